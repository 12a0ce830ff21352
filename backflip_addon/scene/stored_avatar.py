# SPDX-License-Identifier: GPL-3.0-or-later
"""What Scene.backflip keeps of the avatar <-> plain data: the armature, the bone maps, the body and its binding.

Body and binding are kept in the .blend as text, so that they need no file beside it.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Iterable
from typing import Any

import bpy

from ..core import body as bodies
from ..core.body import LINK_NAMES, Body
from ..core.reading import parse_json
from ..core.rigs import binding as bindings
from ..core.rigs import roles
from ..core.rigs.binding import Binding
from ..core.rigs.fit import Adjustment
from ..core.rigs.roles import RoleMap
from .typed_data import subtype

MOST_JSON = 1_000_000  # letters of a body or a binding; ours have 10,000
NO_AVATAR = "Choose an avatar first (step 1)."
NO_BODY = "Build the body first (step 1)."


class StateError(Exception):
    """Something that an earlier step has not made yet; the message is one sentence for the user."""


def settings_of(scene: bpy.types.Scene) -> Any:
    """Scene.backflip (settings.BackflipSettings), which this layer and Blender's stubs know no type of."""
    return subtype(scene).backflip


def present(scene: bpy.types.Scene) -> bpy.types.Object | None:
    """The scene's avatar, None when it was not chosen or has been deleted. Cheap enough for drawing."""
    ob: bpy.types.Object | None = settings_of(scene).avatar
    return ob if ob is not None and ob.name in scene.objects else None


def avatar(scene: bpy.types.Scene) -> bpy.types.Object:
    """The scene's avatar. Raises StateError when it was not chosen or has been deleted."""
    if (ob := present(scene)) is None:
        raise StateError(NO_AVATAR)
    return ob


# The bone map


def set_avatar(scene: bpy.types.Scene, armature: bpy.types.Object, role_map: RoleMap) -> None:
    """Make an armature the avatar, with a fresh map and no body yet."""
    settings_of(scene).avatar = armature
    settings_of(scene).parts.clear()
    set_role_map(scene, role_map)


def forget_avatar(scene: bpy.types.Scene) -> None:
    """Have no avatar, and neither map nor body."""
    settings = settings_of(scene)
    settings.avatar = None
    settings.roles.clear()
    settings.parts.clear()
    forget_body(settings)


def set_role_map(scene: bpy.types.Scene, role_map: RoleMap) -> None:
    """Show a map in the list; the body has to be built again."""
    _show_map(settings_of(scene).roles, role_map)
    forget_body(settings_of(scene))


def role_map(scene: bpy.types.Scene) -> RoleMap:
    """The map as the list shows it."""
    return _shown_map(settings_of(scene).roles)


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
    settings = settings_of(scene)
    settings.clip_joints.clear()
    for joint in joints:
        settings.clip_joints.add().name = joint
    _show_map(settings.clip_roles, role_map)
    settings.clip_stale = True


def clip_map(scene: bpy.types.Scene) -> RoleMap | None:
    """The clip's map as the list shows it; None for a clip without a skeleton of its own."""
    return _shown_map(settings_of(scene).clip_roles) if len(settings_of(scene).clip_roles) else None


def forget_clip_map(scene: bpy.types.Scene) -> None:
    """Take the map of a clip's own skeleton out of the list."""
    settings = settings_of(scene)
    settings.clip_roles.clear()
    settings.clip_joints.clear()
    settings.clip_stale, settings.reference_problem = False, ""


# The body

PARTS = tuple(dict.fromkeys(name.partition(".")[0] for name in LINK_NAMES))
_FACTORS = tuple(field.name for field in dataclasses.fields(Adjustment))


def adjustments(scene: bpy.types.Scene) -> dict[str, Adjustment]:
    """The user's factors by part of the body."""
    found = settings_of(scene).parts
    return {part.name: Adjustment(**{key: getattr(part, key) for key in _FACTORS}) for part in found}


def set_body(scene: bpy.types.Scene, body: Body, binding: Binding) -> None:
    """Keep a body and how it hangs on the avatar in the .blend, with its parts' masses, kg, for the list."""
    settings = settings_of(scene)
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


_KEPT = ("body_json", "binding_json", "body_height", "body_mass", "body_stale")


def body_as_kept(scene: bpy.types.Scene) -> dict[str, Any]:
    """What the .blend keeps of the body, for put_back_body()."""
    return {name: getattr(settings_of(scene), name) for name in _KEPT}


def put_back_body(scene: bpy.types.Scene, kept: dict[str, Any]) -> None:
    """Have the body that there was before."""
    for name, value in kept.items():
        setattr(settings_of(scene), name, value)


def forget_body(settings: Any) -> None:
    """Have no body any more; settings: Scene.backflip."""
    settings.body_json, settings.binding_json, settings.body_stale = "", "", False


def body_and_binding(scene: bpy.types.Scene) -> tuple[Body, Binding]:
    """The avatar's body and how it hangs on the rig. Raises StateError when there is none."""
    settings = settings_of(scene)
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


def object_named(scene: bpy.types.Scene, name: str) -> bpy.types.Object | None:
    """An object of the scene by name; of an override and what it overrides, which share theirs, the override."""
    named = [ob for ob in scene.objects if ob.name == name]
    return min(named, key=lambda ob: ob.library is not None, default=None)
