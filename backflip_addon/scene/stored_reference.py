# SPDX-License-Identifier: GPL-3.0-or-later
"""What Scene.backflip keeps of the reference <-> plain data: the clip on the body, and where it came from.

The clip is kept in the .blend as text, so that it needs no file beside it.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import io
import json
from typing import Any, NamedTuple

import bpy
import numpy as np

from ..core import motion as motions
from ..core.body import Body
from ..core.clips import ground, posture
from ..core.motion import MOST_MOTION_BYTES, Motion
from ..core.motions import feasible_flight, retarget
from ..core.motions.feasible import feasible
from ..core.npz import pack_npz, unpack_npz
from .stored_avatar import StateError, body_and_binding, forget_clip_map, settings_of

NO_REFERENCE = "Choose a reference first (step 2)."


def keep_reference(scene: bpy.types.Scene, text: str, seconds: float, notes: list[dict[str, Any]]) -> None:
    """Keep a clip on the body, whole, as encode_motion() makes text of it; trim and time scale are applied when it is
    asked for. seconds: how long it is."""
    settings = settings_of(scene)
    settings.reference_data = text
    settings.reference_notes = json.dumps(notes)
    settings.reference_seconds = seconds
    settings.clip_stale, settings.reference_problem, settings.notes_due = False, "", ""


def keep_unread(scene: bpy.types.Scene, problem: str) -> None:
    """Keep a clip that cannot be put on the body with its map, so that the map can be mended."""
    settings = settings_of(scene)
    settings.reference_data, settings.reference_notes, settings.reference_seconds = "", "", 0.0
    settings.notes_due = ""
    settings.reference_problem = problem
    gaps = [i for i, item in enumerate(settings.clip_roles) if item.required and not item.bone]
    settings.clip_role_index = gaps[0] if gaps else 0


def forget_reference(scene: bpy.types.Scene) -> None:
    """Have no reference any more, and no map of its skeleton."""
    settings = settings_of(scene)
    settings.reference_data, settings.reference_notes, settings.reference_seconds = "", "", 0.0
    settings.notes_due = ""
    settings.reference_kind, settings.reference_label = "", ""
    settings.source_object = None
    forget_clip_map(scene)


def whole_reference(scene: bpy.types.Scene) -> Motion:
    """The clip on the body, untrimmed. Raises StateError when there is none."""
    return whole_clip(settings_of(scene).reference_data)


def whole_clip(text: str) -> Motion:
    """A clip as it is kept. Raises StateError where it is none."""
    if not text:
        raise StateError(NO_REFERENCE)
    try:
        return decode_motion(text)
    except ValueError as error:
        raise StateError(f"{error}; choose the reference again.") from error


class Asked(NamedTuple):
    """A clip on a body as text, and what is to be made of it: plain values, so that a thread may make it."""

    text: str
    start: float
    end: float
    time_scale: float
    cycles: int
    upright: bool
    grounded: bool
    flights: bool
    footing: bool
    body: Body

    @property
    def mended(self) -> bool:
        return self.upright or self.grounded or self.flights or self.footing

    def unmended(self) -> Asked:
        """The same as it was before it was mended."""
        return self._replace(upright=False, grounded=False, flights=False, footing=False)


def reference(scene: bpy.types.Scene) -> Motion:
    """The clip to imitate: trimmed, timed, on the floor, its flights and its footing made physical and its cycle
    repeated if asked. Raises StateError."""
    return finished(asked(scene))


def asked(scene: bpy.types.Scene) -> Asked:
    """What reference() is made of. Raises StateError."""
    settings = settings_of(scene)
    motion = whole_reference(scene)
    end = settings.trim_end if settings.trim_end > 0.0 else motion.duration
    part = (settings.trim_start, end, settings.time_scale, settings.cycles if settings.loops else 1)
    mended = (settings.upright, settings.grounded, settings.physical_flights, settings.physical_footing)
    return Asked(settings.reference_data, *part, *mended, body_and_binding(scene)[0])


def part(asked: Asked) -> Motion:
    """The clip as it is asked for, once, before it is made physical. Raises StateError."""
    try:
        motion = decode_motion(asked.text).trimmed(asked.start, asked.end).scaled_in_time(asked.time_scale)
    except ValueError as error:
        raise StateError(f"{_sentence(error)} Change From and To (step 2).") from error
    body = asked.body
    if asked.upright:
        motion = retarget.plant_feet(retarget.put_on_floor(posture.upright(motion, body), body), body)
    if asked.grounded:
        motion = ground.grounded(motion, body)
    return motion


@functools.lru_cache(maxsize=8)
def finished(asked: Asked) -> Motion:
    """The clip as it is to be imitated; knows nothing of Blender, and may take a second. Raises StateError."""
    body = asked.body
    motion = retarget.put_on_floor(part(asked), body)
    if asked.footing:
        motion, _flights, _changes = feasible(body, motion)
    elif asked.flights:
        motion, _flights = feasible_flight.feasible(body, motion)
    return dataclasses.replace(motion.repeated(asked.cycles) if asked.cycles > 1 else motion, loops=asked.cycles > 1)


def _sentence(error: Exception) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def encode_motion(motion: Motion) -> str:
    """A motion as text."""
    arrays = {
        "rate": np.array(motion.rate),
        "loops": np.array(motion.loops),
        "position": motion.position.astype(np.float32),
        "rotations": motion.rotations.astype(np.float32),
    }
    if motion.sure is not None:
        arrays["sure"] = motion.sure.astype(np.float32)
    return base64.b64encode(pack_npz(arrays)).decode()


@functools.lru_cache(maxsize=4)
def decode_motion(text: str) -> Motion:
    """The inverse of encode_motion. Raises ValueError."""
    if len(text) > 2 * MOST_MOTION_BYTES:
        raise ValueError("The reference in this file is too long")
    try:
        arrays = unpack_npz(io.BytesIO(base64.b64decode(text)), MOST_MOTION_BYTES)
        rate, loops = float(arrays["rate"]), bool(arrays["loops"])
        sure = arrays["sure"].astype(float) if "sure" in arrays else None
        motion = Motion(rate, arrays["position"].astype(float), arrays["rotations"].astype(float), loops, sure)
        motions.validate(motion, motion.rotations.shape[1])
    except Exception as error:  # a stranger's text can be damaged in a dozen ways
        raise ValueError("The reference in this file is damaged") from error
    return motion


def source_names(scene: bpy.types.Scene) -> tuple[bpy.types.Object | None, str, str]:
    """The armature that was read, its action and slot, "" for none."""
    settings = settings_of(scene)
    if settings.reference_kind == "ACTION" and not settings.source_action:  # kept by an earlier version
        return settings.reference_object, settings.reference_action, settings.reference_slot
    return settings.source_object, settings.source_action, settings.source_slot


def reference_origin(scene: bpy.types.Scene) -> dict[str, Any]:
    """Where the reference came from, for job.json: enough to let unmapped bones follow it."""
    settings = settings_of(scene)
    source, action, slot = source_names(scene)
    return {
        "label": settings.reference_label,
        "kind": settings.reference_kind,
        "file": settings.reference_file,
        "object": source.name if source else "",
        "action": action,
        "slot": slot,
        "trim_start": settings.trim_start,
        "time_scale": settings.time_scale,
        "physical_flights": settings.physical_flights,
        "physical_footing": settings.physical_footing,
    }
