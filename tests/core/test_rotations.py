# SPDX-License-Identifier: GPL-3.0-or-later
"""Quaternions held against matrices made by another road: Rodrigues' formula and its series."""

from __future__ import annotations

import numpy as np
import pytest

from backflip_addon.core import joint_limits, rotations

RNG = np.random.default_rng(7)


def rodrigues(vector: np.ndarray) -> np.ndarray:
    """Rotation matrix (3, 3) of a rotation vector."""
    angle = np.linalg.norm(vector)
    if angle < 1e-15:
        return np.eye(3)
    x, y, z = vector / angle
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * k @ k


def some_vectors(count: int = 200, most: float = np.pi) -> np.ndarray:
    vectors = RNG.normal(size=(count, 3))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors * RNG.uniform(0, most, size=(count, 1))


def same_rotation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.minimum(np.abs(a - b).max(-1), np.abs(a + b).max(-1))


def test_rotation_vectors_make_rodrigues_matrices() -> None:
    vectors = np.concatenate([some_vectors(), np.zeros((1, 3)), some_vectors(20, 1e-9), some_vectors(20, 20.0)])
    matrices = rotations.to_matrix(rotations.from_rotation_vector(vectors))
    assert np.allclose(matrices, [rodrigues(v) for v in vectors], atol=1e-12)


def test_rotation_vectors_return() -> None:
    vectors = np.concatenate([some_vectors(), some_vectors(50, 1e-7), np.zeros((1, 3))])
    again = rotations.to_rotation_vector(rotations.from_rotation_vector(vectors))
    assert np.allclose(again, vectors, atol=1e-9)


def test_a_long_turn_comes_back_as_the_short_one() -> None:
    vector = rotations.to_rotation_vector(rotations.from_rotation_vector([0.0, 0.0, 1.5 * np.pi]))
    assert np.allclose(vector, [0, 0, -0.5 * np.pi])


def test_product_is_the_second_rotation_then_the_first() -> None:
    a, b = some_vectors(), some_vectors()
    product = rotations.multiply(rotations.from_rotation_vector(a), rotations.from_rotation_vector(b))
    expected = np.array([rodrigues(x) @ rodrigues(y) for x, y in zip(a, b, strict=True)])
    assert np.allclose(rotations.to_matrix(product), expected, atol=1e-12)


def test_rotate_and_conjugate() -> None:
    turns, vectors = some_vectors(), RNG.normal(size=(200, 3))
    q = rotations.from_rotation_vector(turns)
    expected = np.array([rodrigues(t) @ v for t, v in zip(turns, vectors, strict=True)])
    assert np.allclose(rotations.rotate(q, vectors), expected, atol=1e-12)
    assert np.allclose(rotations.rotate(rotations.conjugate(q), expected), vectors, atol=1e-12)


def test_cross_is_numpys() -> None:
    a, b = RNG.normal(size=(4, 5, 3)), RNG.normal(size=(5, 3))
    assert np.allclose(rotations.cross(a, b), np.cross(a, b))


@pytest.mark.parametrize("axis", np.concatenate([np.eye(3), -np.eye(3), np.ones((1, 3)) / np.sqrt(3)]).tolist())
@pytest.mark.parametrize("angle", [0.0, 1e-8, 1.0, np.pi / 2, np.pi - 1e-9, np.pi])
def test_matrices_return_also_at_half_turns(axis: list[float], angle: float) -> None:
    matrix = rodrigues(np.array(axis) * angle)
    q = rotations.from_matrix(matrix)
    assert np.isclose(np.linalg.norm(q), 1.0) and q[0] >= 0
    assert np.allclose(rotations.to_matrix(q), matrix, atol=1e-7)


def test_from_matrix_broadcasts() -> None:
    vectors = some_vectors(24)
    matrices = np.array([rodrigues(v) for v in vectors]).reshape(2, 3, 4, 3, 3)
    q = rotations.from_matrix(matrices)
    assert q.shape == (2, 3, 4, 4)
    assert np.allclose(same_rotation(q.reshape(-1, 4), rotations.from_rotation_vector(vectors)), 0, atol=1e-9)


def test_angle_between() -> None:
    a = rotations.from_rotation_vector(some_vectors(50))
    turn = some_vectors(50)
    b = rotations.multiply(a, rotations.from_rotation_vector(turn))
    assert np.allclose(rotations.angle_between(a, b), np.linalg.norm(turn, axis=1), atol=1e-7)
    assert np.allclose(rotations.angle_between(a, -b), np.linalg.norm(turn, axis=1), atol=1e-7)


def test_between_vectors_takes_one_onto_the_other_by_the_shortest_way() -> None:
    a, b = some_vectors(100, 3.0), some_vectors(100, 3.0)
    b[0], b[1] = -a[0], a[1]  # opposite, and the same
    q = rotations.between_vectors(a, b)
    na, nb = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (a, b))
    assert np.allclose(rotations.rotate(q, na), nb, atol=1e-7)
    angles = np.arccos(np.clip(np.sum(na * nb, axis=1), -1, 1))
    assert np.allclose(2 * np.arccos(np.clip(np.abs(q[:, 0]), 0, 1)), angles, atol=1e-6)


@pytest.mark.parametrize("axis", np.eye(3).tolist())
def test_between_exactly_opposite_vectors(axis: list[float]) -> None:
    q = rotations.between_vectors(axis, -np.array(axis))
    assert np.allclose(rotations.rotate(q, axis), -np.array(axis), atol=1e-9)


def test_slerp_turns_evenly() -> None:
    a = rotations.from_rotation_vector([0.3, -0.2, 0.9])
    axis = np.array([0.0, 0.6, 0.8])
    b = rotations.multiply(a, rotations.from_rotation_vector(axis * 1.2))
    for t in (0.0, 0.25, 1.0):
        expected = rotations.multiply(a, rotations.from_rotation_vector(axis * 1.2 * t))
        assert same_rotation(rotations.slerp(a, b, t), expected) < 1e-12
        assert same_rotation(rotations.slerp(a, -b, t), expected) < 1e-12, "the other sign is the same rotation"


def test_twist_angle_and_heading() -> None:
    axis = np.array([0.0, 0.0, 1.0])
    for angle in (-3.0, -0.4, 0.0, 0.7, 3.1):
        swing = rotations.from_rotation_vector([0.5, 0.3, 0.0])
        q = rotations.multiply(rotations.from_axis_angle(axis, angle), swing)
        assert np.isclose(rotations.twist_angle(q, axis), angle)
        assert np.isclose(rotations.twist_angle(-q, axis), angle), "either sign"
        assert same_rotation(rotations.heading(q), rotations.from_axis_angle(axis, angle)) < 1e-9


def test_continuous_takes_out_jumps_of_sign() -> None:
    angles = np.linspace(0, 4 * np.pi, 50)
    q = rotations.from_axis_angle(np.array([0.0, 1.0, 0.0]), angles)
    flipped = q * RNG.choice([-1.0, 1.0], size=(50, 1))
    flipped[0] = q[0]
    assert np.allclose(rotations.continuous(flipped), q)


def test_angular_velocity_of_a_steady_turn() -> None:
    spin = np.array([0.3, -2.0, 1.1])
    start = rotations.from_rotation_vector([0.4, 0.1, -0.7])
    q = rotations.multiply(rotations.from_rotation_vector(spin * (np.arange(20) / 50.0)[:, None]), start)
    assert np.allclose(rotations.angular_velocity(q, 50.0), spin, atol=1e-9)
    assert np.allclose(rotations.angular_velocity(q[:1], 50.0), 0)
    assert np.allclose(rotations.angular_velocity(q[:2], 50.0), spin, atol=1e-9)


def test_zero_vector_stays_zero() -> None:
    assert np.allclose(rotations.normalise(np.zeros(3)), 0)


def test_angles_come_of_whole_arrays_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    # a strided view that seems to reach into the result's memory has other last digits, in some processes and not in
    # others: nobody can place the result, so what is looked at is what numpy is given
    def told(y: np.ndarray, x: np.ndarray) -> np.ndarray:
        assert y.flags.c_contiguous and x.flags.c_contiguous
        return y * x

    q = RNG.normal(size=(37, 4))
    q /= np.linalg.norm(q, axis=-1, keepdims=True)
    monkeypatch.setattr(np, "arctan2", told)
    rotations.twist_angle(q, (1.0, 0.0, 0.0))
    rotations.to_rotation_vector(q)
    rotations.angle_between(q, q[::-1])
    joint_limits.angles(q, joint_limits.usual_limit("thigh.L"))
