# SPDX-License-Identifier: GPL-3.0-or-later
"""Vectors, quaternions (w, x, y, z) and matrices of the bodies in the lanes. Vectors are three values, not arrays."""

from __future__ import annotations

from typing import TypeAlias

from ....core.arrays import Float32Array
from .lanes import (
    Lanes,
    absolute,
    everywhere,
    greatest,
    inlined,
    least,
    load,
    power_of_two,
    rounded,
    square_root,
    store,
    where,
)

Vector: TypeAlias = tuple[Lanes, Lanes, Lanes]
Quaternion: TypeAlias = tuple[Lanes, Lanes, Lanes, Lanes]

LOG_2 = 0.6931471805599453
LEAST_EXPONENT = -87.0  # of e: below it float32 has no normal numbers
SMALLEST_SINE = 1e-9  # of half an angle: below it the angle is 0
PI = 3.141592653589793
TAN_EIGHTH = 0.41421356  # tan(pi / 8)
# Minimax polynomial of atan on [0, tan(pi / 8)], to float32's last digits (Cephes, atanf)
ATAN = (8.05374449538e-2, -1.38776856032e-1, 1.99777106478e-1, -3.33329491539e-1)


@inlined
def load3(array: Float32Array, row: int) -> Vector:
    """Three rows on end."""
    return load(array, row), load(array, row + 1), load(array, row + 2)


@inlined
def load4(array: Float32Array, row: int) -> Quaternion:
    """Four rows on end."""
    return load(array, row), load(array, row + 1), load(array, row + 2), load(array, row + 3)


@inlined
def store3(array: Float32Array, row: int, x: Lanes, y: Lanes, z: Lanes) -> None:
    """Write three rows on end."""
    store(array, row, x)
    store(array, row + 1, y)
    store(array, row + 2, z)


@inlined
def store4(array: Float32Array, row: int, w: Lanes, x: Lanes, y: Lanes, z: Lanes) -> None:
    """Write four rows on end."""
    store(array, row, w)
    store3(array, row + 1, x, y, z)


@inlined
def cross(ax: Lanes, ay: Lanes, az: Lanes, bx: Lanes, by: Lanes, bz: Lanes) -> Vector:
    """a x b."""
    return ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx


@inlined
def multiply(aw: Lanes, ax: Lanes, ay: Lanes, az: Lanes, bw: Lanes, bx: Lanes, by: Lanes, bz: Lanes) -> Quaternion:
    """The product of quaternions a and b: first b, then a."""
    return (
        aw * bw - ax * bx - ay * by - az * bz,
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
    )


@inlined
def normalised(w: Lanes, x: Lanes, y: Lanes, z: Lanes) -> Quaternion:
    """A quaternion brought to length 1."""
    share = 1.0 / square_root(w * w + x * x + y * y + z * z)
    return w * share, x * share, y * share, z * share


@inlined
def from_rotation_vector(x: Lanes, y: Lanes, z: Lanes) -> Quaternion:
    """The quaternion of a rotation vector, rad, no longer than pi or so: Taylor series in its square."""
    q = 0.25 * (x * x + y * y + z * z)
    cos = 1.0 + q * (-1 / 2 + q * (1 / 24 + q * (-1 / 720 + q * (1 / 40320 + q * (-1 / 3628800)))))
    share = 0.5 * (1.0 + q * (-1 / 6 + q * (1 / 120 + q * (-1 / 5040 + q * (1 / 362880 + q * (-1 / 39916800))))))
    return cos, x * share, y * share, z * share


@inlined
def exponential(x: Lanes) -> Lanes:
    """e to the power of x, no greater than 0: of whole powers of two, and a Taylor series of what is left."""
    x = greatest(x, everywhere(LEAST_EXPONENT))
    n = rounded(x * (1.0 / LOG_2))
    r = x - n * LOG_2
    rest = 1.0 + r * (1 / 4 + r * (1 / 20 + r * (1 / 120)))
    series = 1.0 + r * (1.0 + r * (1 / 2 + r * (1 / 6 * rest)))
    return series * power_of_two(n)


@inlined
def rotation_vector(w: Lanes, x: Lanes, y: Lanes, z: Lanes) -> Vector:
    """Axis times angle, at most pi, of a unit quaternion: core.rotations.to_rotation_vector() in lanes."""
    sine = square_root(x * x + y * y + z * z)
    angle = 2.0 * arctan2(sine, absolute(w))
    share = where(sine > SMALLEST_SINE, angle / greatest(sine, everywhere(SMALLEST_SINE)), everywhere(2.0))
    share = where(w < 0.0, -share, share)
    return x * share, y * share, z * share


@inlined
def arctan2(y: Lanes, x: Lanes) -> Lanes:
    """The angle of the point (x, y), rad."""
    a, b = absolute(x), absolute(y)
    share = least(a, b) / greatest(greatest(a, b), everywhere(1e-30))
    far = share > TAN_EIGHTH
    t = where(far, (share - 1.0) / (share + 1.0), share)
    q = t * t
    angle = (((ATAN[0] * q + ATAN[1]) * q + ATAN[2]) * q + ATAN[3]) * q * t + t
    angle = where(far, angle + PI / 4, angle)
    angle = where(b > a, PI / 2 - angle, angle)
    angle = where(x < 0.0, PI - angle, angle)
    return where(y < 0.0, -angle, angle)


@inlined
def arcsin(x: Lanes) -> Lanes:
    """The angle in [-pi/2, pi/2] whose sine is x, rad."""
    bounded = greatest(least(x, everywhere(1.0)), everywhere(-1.0))
    return arctan2(bounded, square_root(greatest(1.0 - bounded * bounded, everywhere(0.0))))


@inlined
def apply(matrices: Float32Array, row: int, x: Lanes, y: Lanes, z: Lanes) -> Vector:
    """The matrix whose nine numbers begin at a row, times a vector."""
    m = matrices
    return (
        load(m, row) * x + load(m, row + 1) * y + load(m, row + 2) * z,
        load(m, row + 3) * x + load(m, row + 4) * y + load(m, row + 5) * z,
        load(m, row + 6) * x + load(m, row + 7) * y + load(m, row + 8) * z,
    )


@inlined
def apply_transposed(matrices: Float32Array, row: int, x: Lanes, y: Lanes, z: Lanes) -> Vector:
    """The transpose of the matrix whose nine numbers begin at a row, times a vector."""
    m = matrices
    return (
        load(m, row) * x + load(m, row + 3) * y + load(m, row + 6) * z,
        load(m, row + 1) * x + load(m, row + 4) * y + load(m, row + 7) * z,
        load(m, row + 2) * x + load(m, row + 5) * y + load(m, row + 8) * z,
    )


@inlined
def store_matrix(matrices: Float32Array, row: int, w: Lanes, x: Lanes, y: Lanes, z: Lanes) -> None:
    """Write the rotation matrix of a unit quaternion."""
    store3(matrices, row, 1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - w * z), 2.0 * (x * z + w * y))
    store3(matrices, row + 3, 2.0 * (x * y + w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - w * x))
    store3(matrices, row + 6, 2.0 * (x * z - w * y), 2.0 * (y * z + w * x), 1.0 - 2.0 * (x * x + y * y))
