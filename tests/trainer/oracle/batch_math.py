# SPDX-License-Identifier: GPL-3.0-or-later
"""Vectors, quaternions and matrices of many bodies at once: float32 arrays that end in N, the bodies,
for numpy's loops to be long."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from backflip_addon.core.arrays import Float32Array

Batch: TypeAlias = Float32Array  # (..., N)
SMALL_ANGLE = 1e-4  # rad, below which sin(a/2)/a is 1/2 to float32's last digit


def apply(matrices: Batch, vectors: Batch) -> Batch:
    """Matrices (..., 3, 3, N) times vectors (..., 3, N)."""
    result: Batch = matrices[..., 0, :] * vectors[..., None, 0, :]
    result += matrices[..., 1, :] * vectors[..., None, 1, :]
    result += matrices[..., 2, :] * vectors[..., None, 2, :]
    return result


def cross(a: Batch, b: Batch, out: Batch | None = None) -> Batch:
    """Cross products of (..., 3, N)."""
    out = np.empty(np.broadcast_shapes(a.shape, b.shape), np.float32) if out is None else out
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        np.multiply(a[..., j, :], b[..., k, :], out=out[..., i, :])
        out[..., i, :] -= a[..., k, :] * b[..., j, :]
    return out


def multiply(a: Batch, b: Batch) -> Batch:
    """Products of quaternions (..., 4, N)."""
    aw, ax, ay, az = (a[..., k, :] for k in range(4))
    bw, bx, by, bz = (b[..., k, :] for k in range(4))
    products = (
        aw * bw - ax * bx - ay * by - az * bz,
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
    )
    return np.stack(products, axis=-2)


def matrices(q: Batch) -> Batch:
    """Rotation matrices (K, 3, 3, N) of unit quaternions (K, 4, N)."""
    w, x, y, z = (q[:, k] for k in range(4))
    result = np.empty((len(q), 3, 3, q.shape[-1]), np.float32)
    for i, a in enumerate((x, y, z)):
        b, c = ((y, z), (z, x), (x, y))[i]
        j = (i + 1) % 3
        result[:, i, i] = 1 - 2 * (b * b + c * c)
        product, twist = 2 * a * b, 2 * w * c
        result[:, i, j], result[:, j, i] = product - twist, product + twist
    return result


def quaternions(vectors: Batch) -> Batch:
    """Quaternions (..., 4, N) of rotation vectors (..., 3, N), rad."""
    angle = np.sqrt((vectors * vectors).sum(axis=-2))
    result = np.empty((*vectors.shape[:-2], 4, vectors.shape[-1]), np.float32)
    result[..., 0, :] = np.cos(0.5 * angle)
    share = np.where(angle > SMALL_ANGLE, np.sin(0.5 * angle) / np.maximum(angle, 1e-8), 0.5)
    result[..., 1:, :] = vectors * share[..., None, :]
    return result
