# SPDX-License-Identifier: GPL-3.0-or-later
"""Small matrices without LAPACK, held against numpy.linalg."""

from __future__ import annotations

import numpy as np

from backflip_addon.core import batched_linalg


def test_inverses_of_affine_matrices() -> None:
    random = np.random.default_rng(0)
    matrices = np.zeros((5, 7, 4, 4))
    matrices[..., :3, :] = random.normal(size=(5, 7, 3, 4))
    matrices[..., 3, 3] = 1.0
    np.testing.assert_allclose(batched_linalg.inverse(matrices), np.linalg.inv(matrices), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(
        batched_linalg.inverse(matrices[0, 0]), np.linalg.inv(matrices[0, 0]), rtol=1e-9, atol=1e-9
    )


def test_inverses_of_tiny_and_mirrored_matrices() -> None:
    matrix = np.diag([-0.01, 0.01, 0.01, 1.0])
    matrix[:3, 3] = 3.0, -20.0, 0.5
    np.testing.assert_allclose(batched_linalg.inverse(matrix) @ matrix, np.eye(4), atol=1e-12)


def test_solutions_for_positive_definite_matrices() -> None:
    random = np.random.default_rng(1)
    halves = random.normal(size=(40, 6, 6))
    matrices = halves @ halves.transpose(0, 2, 1) + 1e-3 * np.eye(6)
    vectors = random.normal(size=(40, 6))
    expected = np.linalg.solve(matrices, vectors[..., None])[..., 0]
    np.testing.assert_allclose(batched_linalg.solve(matrices, vectors), expected, rtol=1e-6, atol=1e-6)
