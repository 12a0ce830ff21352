# SPDX-License-Identifier: GPL-3.0-or-later
"""Rotations as the channels of Blender's rotation modes, continuous over time. numpy alone.

Blender's Euler order "XYZ" turns about x first: the matrix is Rz Ry Rx.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ...core import rotations
from ...core.arrays import Array

EULER_ORDERS = ("XYZ", "XZY", "YXZ", "YZX", "ZXY", "ZYX")
PROPERTIES = {"QUATERNION": "rotation_quaternion", "AXIS_ANGLE": "rotation_axis_angle"}
_GIMBAL = 1e-6  # cosine of the middle angle under which the outer two cannot be told apart


def data_property(mode: str) -> str:
    """The pose bone's property that a rotation mode is animated through."""
    return PROPERTIES.get(mode, "rotation_euler")


def to_channels(orientations: ArrayLike, mode: str) -> Array:
    """Channel values (F, B, 4 or 3) of quaternions (F, B, 4) in a rotation mode, frame by frame continuous."""
    orientations = rotations.continuous(rotations.normalise(orientations))
    if mode == "QUATERNION":
        return orientations
    if mode == "AXIS_ANGLE":
        return _axis_angles(orientations)
    if mode in EULER_ORDERS:
        return _eulers(orientations, mode)
    raise ValueError(f"unknown rotation mode {mode!r}")


def _axis_angles(orientations: Array) -> Array:
    """(angle, x, y, z), the axis never jumping to its opposite, the angle never by a whole turn."""
    sine = np.linalg.norm(orientations[..., 1:], axis=-1)
    angle = 2.0 * rotations.arctan2(sine, orientations[..., 0])
    known = sine > 1e-9
    axis = np.where(known[..., None], orientations[..., 1:] / np.maximum(sine, 1e-9)[..., None], 0.0)
    axis[0][~known[0]] = (0.0, 1.0, 0.0)
    for frame in range(1, len(orientations)):
        before = axis[frame - 1]
        axis[frame] = np.where(known[frame][..., None], axis[frame], before)  # no turn: any axis will do
        flip = np.sum(axis[frame] * before, axis=-1) < 0
        axis[frame][flip] *= -1
        angle[frame][flip] *= -1
    return np.concatenate([np.unwrap(angle, axis=0)[..., None], axis], axis=-1)


def _eulers(orientations: Array, order: str) -> Array:
    """Angles about x, y, z; of each rotation's equal triples the one nearest the frame before."""
    i, j, k = ("XYZ".index(letter) for letter in order)
    sign = 1.0 if (i, j, k) in ((0, 1, 2), (1, 2, 0), (2, 0, 1)) else -1.0
    m = rotations.to_matrix(orientations)
    middle = np.arcsin(np.clip(-sign * m[..., k, i], -1.0, 1.0))
    first = rotations.arctan2(sign * m[..., k, j], m[..., k, k])
    last = rotations.arctan2(sign * m[..., j, i], m[..., i, i])
    one = np.stack([first, middle, last], axis=-1)
    other = np.stack([first + np.pi, np.pi - middle, last + np.pi], axis=-1)
    locked = np.hypot(m[..., k, j], m[..., k, k]) < _GIMBAL
    phase = rotations.arctan2(sign * m[..., i, j], m[..., j, j])  # the one angle left when locked
    chosen = np.empty_like(one)
    before = np.zeros_like(one[0])
    for frame in range(len(orientations)):
        near = [_whole_turns_from(before, triple) for triple in (one[frame], other[frame])]
        far = [np.sum(np.abs(triple - before), axis=-1, keepdims=True) for triple in near]
        best = np.where(far[1] < far[0], near[1], near[0])
        if locked[frame].any():
            stuck = _locked_triple(before[..., 0], middle[frame], phase[frame])
            best = np.where(locked[frame][..., None], _whole_turns_from(before, stuck), best)
        chosen[frame] = before = best
    angles: Array = np.empty_like(chosen)
    angles[..., [i, j, k]] = chosen
    return angles


def _locked_triple(first: Array, middle: Array, phase: Array) -> Array:
    """In gimbal lock the first angle is free: keep it, and let the last make up the rest."""
    last = np.where(middle > 0, first - phase, -phase - first)
    return np.stack([first, middle, last], axis=-1)


def _whole_turns_from(before: Array, angles: Array) -> Array:
    """angles shifted by whole turns to lie within half a turn of before."""
    near: Array = angles - 2 * np.pi * np.round((angles - before) / (2 * np.pi))
    return near
