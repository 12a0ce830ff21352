# SPDX-License-Identifier: GPL-3.0-or-later
"""Scene.backflip <-> plain data: the bone map, the body, the reference.

Body, binding and reference are kept in the .blend as text, so that they need no file beside it.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import io
import json
from collections.abc import Iterable
from typing import Any

import bpy
import numpy as np

from ..core import body as bodies
from ..core import motion as motions
from ..core.body import LINK_NAMES, Body
from ..core.clips import ground, posture
from ..core.motion import MOST_MOTION_BYTES, Motion
from ..core.motions import feasible_flight, retarget
from ..core.npz import pack_npz, unpack_npz
from ..core.reading import parse_json
from ..core.rigs import binding as bindings
from ..core.rigs import roles
from ..core.rigs.binding import Binding
from ..core.rigs.fit import Adjustment
from ..core.rigs.roles import RoleMap
from .typed_data import subtype

MOST_JSON = 1_000_000  # letters of a body or a binding; ours have 10,000
NO_BODY = "Build the body first (step 1)."
NO_REFERENCE = "Choose a reference first (step 2)."


class StateError(Exception):
    """Something an earlier step has not made yet; the message is one sentence for the user."""


def _settings(scene: bpy.types.Scene) -> Any:
    """Scene.backflip (settings.BackflipSettings), which this layer and Blender's stubs know no type of."""
    return subtype(scene).backflip


def avatar(scene: bpy.types.Scene) -> bpy.types.Object:
    """The scene's avatar. Raises StateError when it was not chosen or has been deleted."""
    ob: bpy.types.Object | None = _settings(scene).avatar
    if ob is None or ob.name not in scene.objects:
        raise StateError("Choose an avatar first (step 1).")
    return ob


# The bone map


def set_avatar(scene: bpy.types.Scene, armature: bpy.types.Object, role_map: RoleMap) -> None:
    """Make an armature the avatar, with a fresh map and no body yet."""
    _settings(scene).avatar = armature
    _settings(scene).parts.clear()
    set_role_map(scene, role_map)


def set_role_map(scene: bpy.types.Scene, role_map: RoleMap) -> None:
    """Show a map in the list; the body has to be built again."""
    _show_map(_settings(scene).roles, role_map)
    forget_body(_settings(scene))


def role_map(scene: bpy.types.Scene) -> RoleMap:
    """The map as the list shows it."""
    return _shown_map(_settings(scene).roles)


def _show_map(items: Any, role_map: RoleMap) -> None:
    items.clear()
    for role in roles.ROLES:
        item = items.add()
        item.name = role
        item.bone = role_map.bones.get(role, "")
        item.certain = role_map.certain.get(role, True)
        item.required = role in roles.REQUIRED


def _shown_map(items: Any) -> RoleMap:
    mapped = [item for item in items if item.bone]
    return RoleMap({item.name: item.bone for item in mapped}, {item.name: item.certain for item in mapped})


# The map of the clip's own skeleton


def set_clip_map(scene: bpy.types.Scene, joints: Iterable[str], role_map: RoleMap) -> None:
    """Show which of a clip's joints play which body parts; the clip has to be read with it."""
    settings = _settings(scene)
    settings.clip_joints.clear()
    for joint in joints:
        settings.clip_joints.add().name = joint
    _show_map(settings.clip_roles, role_map)
    settings.clip_stale = True


def clip_map(scene: bpy.types.Scene) -> RoleMap | None:
    """The clip's map as the list shows it; None for a clip without a skeleton of its own."""
    return _shown_map(_settings(scene).clip_roles) if len(_settings(scene).clip_roles) else None


def forget_clip_map(scene: bpy.types.Scene) -> None:
    """Take the map of a clip's own skeleton out of the list."""
    settings = _settings(scene)
    settings.clip_roles.clear()
    settings.clip_joints.clear()
    settings.clip_stale, settings.reference_problem = False, ""


# The body

PARTS = tuple(dict.fromkeys(name.partition(".")[0] for name in LINK_NAMES))
_FACTORS = tuple(field.name for field in dataclasses.fields(Adjustment))


def adjustments(scene: bpy.types.Scene) -> dict[str, Adjustment]:
    """The user's factors by part of the body."""
    found = _settings(scene).parts
    return {part.name: Adjustment(**{key: getattr(part, key) for key in _FACTORS}) for part in found}


def set_body(scene: bpy.types.Scene, body: Body, binding: Binding) -> None:
    """Keep a body and how it hangs on the avatar in the .blend, with its parts' masses, kg, for the list."""
    settings = _settings(scene)
    for name in PARTS:
        part = settings.parts.get(name)
        if part is None:
            part = settings.parts.add()
            part.name = name
        part.kilograms = sum(link.mass for link in body.links if link.name.partition(".")[0] == name)
    settings.body_json = json.dumps(bodies.to_json(body))
    settings.binding_json = json.dumps(bindings.to_json(binding))
    settings.body_height, settings.body_mass = body.height, body.mass
    settings.body_stale = False


def forget_body(settings: Any) -> None:
    """Have no body any more; settings: Scene.backflip."""
    settings.body_json, settings.binding_json, settings.body_stale = "", "", False


def body_and_binding(scene: bpy.types.Scene) -> tuple[Body, Binding]:
    """The avatar's body and how it hangs on the rig. Raises StateError when there is none."""
    settings = _settings(scene)
    if not settings.body_json or not settings.binding_json:
        raise StateError(NO_BODY)
    return read_body_text(settings.body_json, settings.binding_json)


def read_body_text(body: str, binding: str) -> tuple[Body, Binding]:
    """A body and its binding of texts that may be a stranger's. Raises StateError."""
    try:
        return _read_body(body), _read_binding(binding)
    except (ValueError, RecursionError) as error:
        raise StateError(f"The body in this file cannot be read ({error}); build it again.") from error


@functools.lru_cache(maxsize=8)
def _read_body(text: str) -> Body:
    return bodies.from_json(parse_json(_of_size(text)))


@functools.lru_cache(maxsize=8)
def _read_binding(text: str) -> Binding:
    return bindings.from_json(parse_json(_of_size(text)))


def _of_size(text: str) -> str:
    """A text of the file, which may be a stranger's. Raises ValueError."""
    if len(text) > MOST_JSON:
        raise ValueError("it is longer than a body's can be")
    return text


# The reference


def set_reference(scene: bpy.types.Scene, motion: Motion, notes: list[dict[str, Any]]) -> None:
    """Keep a clip on the body, whole; trim and time scale are applied when it is asked for."""
    settings = _settings(scene)
    settings.reference_data = encode_motion(motion)
    settings.reference_notes = json.dumps(notes)
    settings.reference_seconds = motion.duration
    settings.clip_stale, settings.reference_problem = False, ""


def keep_unread(scene: bpy.types.Scene, problem: str) -> None:
    """Keep a clip that cannot be put on the body with its map, so that the map can be mended."""
    settings = _settings(scene)
    settings.reference_data, settings.reference_notes, settings.reference_seconds = "", "", 0.0
    settings.reference_problem = problem
    gaps = [i for i, item in enumerate(settings.clip_roles) if item.required and not item.bone]
    settings.clip_role_index = gaps[0] if gaps else 0


def forget_reference(scene: bpy.types.Scene) -> None:
    """Have no reference any more, and no map of its skeleton."""
    settings = _settings(scene)
    settings.reference_data, settings.reference_notes, settings.reference_seconds = "", "", 0.0
    settings.reference_kind, settings.reference_label = "", ""
    settings.source_object = None
    forget_clip_map(scene)


def object_named(scene: bpy.types.Scene, name: str) -> bpy.types.Object | None:
    """An object of the scene by name; of an override and what it overrides, which share theirs, the override."""
    named = [ob for ob in scene.objects if ob.name == name]
    return min(named, key=lambda ob: ob.library is not None, default=None)


def whole_reference(scene: bpy.types.Scene) -> Motion:
    """The clip on the body, untrimmed. Raises StateError when there is none."""
    text = _settings(scene).reference_data
    if not text:
        raise StateError(NO_REFERENCE)
    try:
        return decode_motion(text)
    except ValueError as error:
        raise StateError(f"{error}; choose the reference again.") from error


def reference(scene: bpy.types.Scene) -> Motion:
    """The clip to imitate: trimmed, timed, on the floor, its flights made physical and its cycle repeated
    if asked. Raises StateError."""
    settings = _settings(scene)
    motion = whole_reference(scene)
    end = settings.trim_end if settings.trim_end > 0.0 else motion.duration
    body = body_and_binding(scene)[0]
    cycles = settings.cycles if settings.loops else 1
    changes = (settings.trim_start, end, settings.time_scale, cycles)
    mended = (settings.upright, settings.grounded, settings.physical_flights)
    return _finished(settings.reference_data, *changes, *mended, body)


@functools.lru_cache(maxsize=4)
def _finished(
    text: str,
    start: float,
    end: float,
    time_scale: float,
    cycles: int,
    upright: bool,
    grounded: bool,
    physical: bool,
    body: Body,
) -> Motion:
    try:
        motion = decode_motion(text).trimmed(start, end).scaled_in_time(time_scale)
    except ValueError as error:
        raise StateError(f"{_sentence(error)} Change From and To (step 2).") from error
    if upright:
        motion = retarget.plant_feet(retarget.put_on_floor(posture.upright(motion, body), body), body)
    if grounded:
        motion = ground.grounded(motion, body)
    motion = retarget.put_on_floor(motion, body)
    if physical:
        motion, _flights = feasible_flight.feasible(body, motion)
    return dataclasses.replace(motion.repeated(cycles) if cycles > 1 else motion, loops=cycles > 1)


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
    return base64.b64encode(pack_npz(arrays)).decode()


@functools.lru_cache(maxsize=4)
def decode_motion(text: str) -> Motion:
    """The inverse of encode_motion. Raises ValueError."""
    if len(text) > 2 * MOST_MOTION_BYTES:
        raise ValueError("The reference in this file is too long")
    try:
        arrays = unpack_npz(io.BytesIO(base64.b64decode(text)), MOST_MOTION_BYTES)
        rate, loops = float(arrays["rate"]), bool(arrays["loops"])
        motion = Motion(rate, arrays["position"].astype(float), arrays["rotations"].astype(float), loops)
        motions.validate(motion, motion.rotations.shape[1])
    except Exception as error:  # a stranger's text can be damaged in a dozen ways
        raise ValueError("The reference in this file is damaged") from error
    return motion


def source_names(scene: bpy.types.Scene) -> tuple[bpy.types.Object | None, str, str]:
    """The armature that was read, its action and slot, "" for none."""
    settings = _settings(scene)
    if settings.reference_kind == "ACTION" and not settings.source_action:  # kept by an earlier version
        return settings.reference_object, settings.reference_action, settings.reference_slot
    return settings.source_object, settings.source_action, settings.source_slot


def reference_origin(scene: bpy.types.Scene) -> dict[str, Any]:
    """Where the reference came from, for job.json: enough to let unmapped bones follow it."""
    settings = _settings(scene)
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
    }
