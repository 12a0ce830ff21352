# SPDX-License-Identifier: GPL-3.0-or-later
"""An action's frames and keyframes: reading which there are, and writing new ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import bpy
import numpy as np
from numpy.typing import ArrayLike

from ... import compat
from ...core.arrays import Array
from ..typed_data import subtype

LINEAR = 1  # Keyframe.interpolation's number in foreach_set


@dataclasses.dataclass(frozen=True)
class Channel:
    """One animated number: its RNA path from the object, its index, its values at the frames."""

    data_path: str
    index: int
    group: str
    values: Array


def action_range(action: bpy.types.Action, slot: Any = None) -> tuple[float, float]:
    """First and last frame: the action's own manual range, else that of the slot's keyframes."""
    if action.use_frame_range:
        return float(action.frame_start), float(action.frame_end)
    ranges: list[tuple[float, float]] = [
        tuple(subtype(curve.range())) for curve in compat.curves(action, slot) if not curve.is_empty
    ]
    if not ranges:
        return float(action.frame_range[0]), float(action.frame_range[1])
    return min(r[0] for r in ranges), max(r[1] for r in ranges)


def animations(data: bpy.types.AnimData | None) -> list[tuple[bpy.types.Action, Any]]:
    """Every action and slot an ID plays or holds in its NLA, the active one first."""
    if data is None:
        return []
    pairs: list[tuple[bpy.types.Action, Any]] = [(data.action, data.action_slot)] if data.action else []
    strips = [strip for track in data.nla_tracks for strip in track.strips]
    return pairs + [(strip.action, strip.action_slot) for strip in strips if strip.action]


def new_action(name: str, slot_name: str) -> tuple[bpy.types.Action, Any, Any]:
    """A new action with a slot for an object, a layer, a strip; returns action, slot, channelbag."""
    action = bpy.data.actions.new(name.encode(errors="replace").decode())
    slot = action.slots.new(id_type="OBJECT", name=slot_name)
    strip = subtype(action.layers.new("Layer").strips.new(type="KEYFRAME"))
    return action, slot, strip.channelbag(slot, ensure=True)


def write_channels(channelbag: Any, frames: ArrayLike, channels: Iterable[Channel]) -> list[bpy.types.FCurve]:
    """One curve a channel, linear between keys; a channel that never changes gets one key."""
    frames = np.asarray(frames, dtype=np.float32)
    curves = []
    for channel in channels:
        values = np.asarray(channel.values, dtype=np.float32)
        still = len(values) < 2 or np.ptp(values) == 0.0
        count = 1 if still else len(values)
        keys = np.column_stack([frames[:count], values[:count]]).ravel()
        curve = compat.new_curve(channelbag, channel.data_path, channel.index, channel.group)
        curve.keyframe_points.add(count)
        curve.keyframe_points.foreach_set("co", keys)
        curve.keyframe_points.foreach_set("interpolation", np.full(count, LINEAR, dtype=np.int32))
        curve.update()
        curves.append(curve)
    return curves
