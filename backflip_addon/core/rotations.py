# SPDX-License-Identifier: GPL-3.0-or-later
"""Quaternions and rotation vectors over numpy arrays.

Quaternions are (w, x, y, z), unit length, in the last axis; every function broadcasts over the
leading axes. Angles are radians.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .arrays import Array

IDENTITY: Array = np.array([1.0, 0.0, 0.0, 0.0])
_EPSILON = 1e-12


def arctan2(y: ArrayLike, x: ArrayLike) -> Array:
    """As numpy's, the same to the last digit wherever the arrays lie in memory.

    numpy takes other code, with other last digits, where memory overlaps, and takes a strided view to reach one stride
    past its last number: the same seed came to another plan where the result happened to lie right behind.
    """
    angle: Array = np.arctan2(np.array(y, dtype=float, order="C"), np.array(x, dtype=float, order="C"))
    return angle


def normalise(vectors: ArrayLike) -> Array:
    """Scale (..., n) vectors to unit length; a zero vector stays zero."""
    vectors = np.asarray(vectors, dtype=float)
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit: Array = vectors / np.maximum(length, _EPSILON)
    return unit


def multiply(a: ArrayLike, b: ArrayLike) -> Array:
    """Hamilton product of (..., 4) quaternions: the rotation b, then a."""
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    aw, ax, ay, az = a[..., 0], a[..., 1], a[..., 2], a[..., 3]
    bw, bx, by, bz = b[..., 0], b[..., 1], b[..., 2], b[..., 3]
    w = aw * bw - ax * bx - ay * by - az * bz
    result = np.empty((*np.shape(w), 4))
    result[..., 0] = w
    result[..., 1] = aw * bx + ax * bw + ay * bz - az * by
    result[..., 2] = aw * by - ax * bz + ay * bw + az * bx
    result[..., 3] = aw * bz + ax * by - ay * bx + az * bw
    return result


def conjugate(q: ArrayLike) -> Array:
    """The inverse of unit quaternions (..., 4)."""
    inverse: Array = np.asarray(q, dtype=float) * np.array([1.0, -1.0, -1.0, -1.0])
    return inverse


def rotate(q: ArrayLike, vectors: ArrayLike) -> Array:
    """Rotate (..., 3) vectors by (..., 4) quaternions."""
    q, vectors = np.asarray(q, dtype=float), np.asarray(vectors, dtype=float)
    w, u = q[..., :1], q[..., 1:]
    t = 2.0 * cross(u, vectors)
    rotated: Array = vectors + w * t + cross(u, t)
    return rotated


def cross(a: ArrayLike, b: ArrayLike) -> Array:
    """Cross product of (..., 3) vectors: as numpy's, without its overhead, which is most of its time
    on small arrays."""
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    ax, ay, az = a[..., 0], a[..., 1], a[..., 2]
    bx, by, bz = b[..., 0], b[..., 1], b[..., 2]
    x = ay * bz - az * by
    result = np.empty((*np.shape(x), 3))
    result[..., 0] = x
    result[..., 1] = az * bx - ax * bz
    result[..., 2] = ax * by - ay * bx
    return result


def to_matrix(q: ArrayLike) -> Array:
    """Rotation matrices (..., 3, 3) of unit quaternions (..., 4)."""
    q = np.asarray(q, dtype=float)
    w, x, y, z = q[..., 0], q[..., 1], q[..., 2], q[..., 3]
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def from_matrix(matrices: ArrayLike) -> Array:
    """Quaternions (..., 4), w >= 0, of rotation matrices (..., 3, 3).

    Of the four classical branches the best conditioned is taken for each matrix (Shepperd 1978).
    """
    m = np.asarray(matrices, dtype=float)
    xx, yy, zz = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    wx, wy, wz = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    xy, xz, yz = m[..., 1, 0] + m[..., 0, 1], m[..., 0, 2] + m[..., 2, 0], m[..., 2, 1] + m[..., 1, 2]
    branches = [
        [1 + xx + yy + zz, wx, wy, wz],
        [wx, 1 + xx - yy - zz, xy, xz],
        [wy, xy, 1 - xx + yy - zz, yz],
        [wz, xz, yz, 1 - xx - yy + zz],
    ]
    branches = np.stack([np.stack(row, axis=-1) for row in branches], axis=-2)
    best = np.argmax(np.diagonal(branches, axis1=-2, axis2=-1), axis=-1)
    q = np.take_along_axis(branches, best[..., None, None], axis=-2)[..., 0, :]
    return canonical(normalise(q))


def canonical(q: ArrayLike) -> Array:
    """The same rotations with w >= 0."""
    q = np.asarray(q, dtype=float)
    return np.where(q[..., :1] < 0, -q, q)


def from_rotation_vector(v: ArrayLike) -> Array:
    """Quaternions (..., 4) of rotation vectors (..., 3): axis times angle."""
    v = np.asarray(v, dtype=float)
    angle = np.linalg.norm(v, axis=-1, keepdims=True)
    # sin(a/2)/a, continuous through zero
    return np.concatenate([np.cos(angle / 2), v * 0.5 * np.sinc(angle / (2 * np.pi))], axis=-1)


def to_rotation_vector(q: ArrayLike) -> Array:
    """Rotation vectors (..., 3), angle at most pi, of quaternions (..., 4)."""
    q = canonical(q)
    sine = np.linalg.norm(q[..., 1:], axis=-1, keepdims=True)
    angle = 2.0 * arctan2(sine, q[..., :1])
    factor = np.where(sine > 1e-9, angle / np.maximum(sine, 1e-9), 2.0)
    vectors: Array = q[..., 1:] * factor
    return vectors


def matrix_about_z(angle: float) -> Array:
    """Rotation matrix (3, 3) by an angle about the world's z."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def from_axis_angle(axis: ArrayLike, angle: ArrayLike) -> Array:
    """Quaternions of turns by angle (...) about axes (..., 3)."""
    return from_rotation_vector(normalise(axis) * np.asarray(angle, dtype=float)[..., None])


def angle_between(a: ArrayLike, b: ArrayLike) -> Array:
    """Angle (...) in [0, pi] between the orientations a and b (..., 4)."""
    relative = multiply(conjugate(a), b)
    angle: Array = 2.0 * arctan2(np.linalg.norm(relative[..., 1:], axis=-1), np.abs(relative[..., 0]))
    return angle


def between_vectors(a: ArrayLike, b: ArrayLike) -> Array:
    """The smallest rotation that turns direction a (..., 3) into direction b (..., 3)."""
    a, b = np.broadcast_arrays(normalise(a), normalise(b))
    scalar = 1.0 + np.sum(a * b, axis=-1, keepdims=True)
    vector = np.cross(a, b)
    # opposite directions: any axis at right angles to a will do
    spare = np.where(np.abs(a[..., :1]) < 0.9, np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0]))
    opposite = scalar < 1e-8
    vector = np.where(opposite, np.cross(a, spare), vector)
    scalar = np.where(opposite, 0.0, scalar)
    return normalise(np.concatenate([scalar, vector], axis=-1))


def slerp(a: ArrayLike, b: ArrayLike, t: ArrayLike) -> Array:
    """The rotation a fraction t (...) of the shortest way from a to b (..., 4)."""
    a = np.asarray(a, dtype=float)
    step = to_rotation_vector(multiply(conjugate(a), b))
    return multiply(a, from_rotation_vector(step * np.asarray(t, dtype=float)[..., None]))


def twist_angle(q: ArrayLike, axis: ArrayLike) -> Array:
    """Signed angle (...) in (-pi, pi] of q's twist about the unit axis (..., 3)."""
    q = np.asarray(q, dtype=float)
    angle = 2.0 * arctan2(np.sum(q[..., 1:] * axis, axis=-1), q[..., 0])
    return (angle + np.pi) % (2 * np.pi) - np.pi


def continuous(q: ArrayLike) -> Array:
    """Flip signs along the first axis of (F, ..., 4) so that neighbours lie in one hemisphere."""
    q = np.array(q, dtype=float)
    if len(q) > 1:
        flips = np.where(np.sum(q[1:] * q[:-1], axis=-1) < 0, -1.0, 1.0)
        q[1:] *= np.cumprod(flips, axis=0)[..., None]
    return q


def angular_velocity(q: ArrayLike, rate: float) -> Array:
    """World-frame angular velocity (F, ..., 3), rad/s, of orientations (F, ..., 4) at rate Hz.

    Central differences inside, one-sided at the ends; a single frame is at rest.
    """
    q = np.asarray(q, dtype=float)
    if len(q) < 2:
        return np.zeros(q.shape[:-1] + (3,))
    step = to_rotation_vector(multiply(q[1:], conjugate(q[:-1]))) * rate
    inner = to_rotation_vector(multiply(q[2:], conjugate(q[:-2]))) * (rate / 2)
    return np.concatenate([step[:1], inner, step[-1:]], axis=0)


def heading(q: ArrayLike) -> Array:
    """The part (..., 4) of q that turns about world z (its twist about z)."""
    q = np.asarray(q, dtype=float)
    z = np.zeros_like(q)
    z[..., 0], z[..., 3] = q[..., 0], q[..., 3]
    length = np.linalg.norm(z, axis=-1, keepdims=True)
    return np.where(length > 1e-9, z / np.maximum(length, 1e-9), IDENTITY)
