# SPDX-License-Identifier: GPL-3.0-or-later
"""The lists of a character: which bone plays which body part, the clip's joints, the parts of the body."""

from __future__ import annotations

from typing import Annotated, Any

import bpy
from bpy.props import BoolProperty, FloatProperty, StringProperty


def _settings_of(item: bpy.types.PropertyGroup) -> Any:
    """The group that all of a scene's are in: Scene.backflip."""
    owner: Any = item.id_data
    return owner.backflip


def _role_edited(role: BackflipRole, _context: bpy.types.Context) -> None:
    """A bone chosen by hand is certain, and the body must be built anew, or the clip read again."""
    role["certain"] = True
    settings: Any = _settings_of(role)
    if role.path_from_id().startswith("backflip.clip_roles"):
        settings.clip_stale = True
    else:
        settings.body_json = ""


def adjusted(settings: Any, _context: bpy.types.Context) -> None:
    """The body's settings are not those that it was built with any more."""
    if settings.body_json:
        settings["body_stale"] = True


def _part(part: BackflipPart, _context: bpy.types.Context) -> None:
    adjusted(_settings_of(part), _context)


class BackflipRole(bpy.types.PropertyGroup):
    """One body part (name) and the bone that plays it, "" if none."""

    bone: Annotated[str, StringProperty(name="Bone", description="Bone of this body part", update=_role_edited)]
    certain: Annotated[
        bool, BoolProperty(name="Certain", description="Known by name or chosen by hand, not guessed", default=True)
    ]
    required: Annotated[bool, BoolProperty()]


class BackflipJoint(bpy.types.PropertyGroup):
    """One joint (name) of the clip's own skeleton."""


class BackflipPart(bpy.types.PropertyGroup):
    """One part of the body (name; both sides), and the user's factors for it."""

    mass: Annotated[
        float,
        FloatProperty(
            name="Mass", description="Factor of the fitted mass", default=1.0, min=0.05, max=20.0, update=_part
        ),
    ]
    size: Annotated[
        float,
        FloatProperty(
            name="Size", description="Factor of the fitted size", default=1.0, min=0.1, max=5.0, update=_part
        ),
    ]
    strength: Annotated[
        float,
        FloatProperty(
            name="Strength",
            description="Factor of the strength that was chosen for the whole body",
            default=1.0,
            min=0.05,
            max=20.0,
            update=_part,
        ),
    ]
    reach: Annotated[
        float,
        FloatProperty(
            name="Range",
            description="Factor of the joint's range of motion",
            default=1.0,
            min=0.1,
            max=2.5,
            update=_part,
        ),
    ]
    kilograms: Annotated[float, FloatProperty(options={"HIDDEN"})]  # of the body as it was built, for the panel


CLASSES = (BackflipRole, BackflipJoint, BackflipPart)
