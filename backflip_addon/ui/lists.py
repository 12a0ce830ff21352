# SPDX-License-Identifier: GPL-3.0-or-later
"""The bone map and the takes, as lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bpy

from ..core.rigs import roles
from ..core.verdict import verdict
from ..jobs.messages import TakeRecorded
from ..operators import job_monitor
from ..operators.base import current_scene
from ..settings import BackflipRole, scene_settings

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import IconItems


class BACKFLIP_UL_roles(bpy.types.UIList):
    """Body parts and their bones: red for a gap that must be filled, yellow for a guess."""

    def draw_item(
        self,
        context: bpy.types.Context | None,
        layout: bpy.types.UILayout,
        data: Any,
        item: Any,
        _icon: int | None,
        _active_data: Any,
        active_property: str | None,
        _index: int | None = 0,
        _filter_flag: int | None = 0,
    ) -> None:
        split = layout.split(factor=0.46)
        lacking = item.required and not item.bone
        split.alert = lacking
        split.label(text=_part(item.name), icon=_colour(item))
        avatar = scene_settings(current_scene(context)).avatar
        if active_property == "clip_role_index":
            split.prop_search(item, "bone", data, "clip_joints", text="", icon="BONE_DATA")
        elif avatar is not None:
            split.prop_search(item, "bone", avatar.data, "bones", text="")
        else:
            split.label(text=item.bone)


def _part(role: str) -> str:
    """A role in few words, the side last: "Upper arm L"."""
    side = role.partition(".")[2]
    plain = roles.words(role).removeprefix("left ").removeprefix("right ").replace("collar bone", "collar")
    return f"{plain.capitalize()} {side}".strip()


def _colour(item: BackflipRole) -> IconItems:
    if item.bone:
        return "STRIP_COLOR_04" if item.certain else "STRIP_COLOR_03"  # green, yellow
    return "STRIP_COLOR_01" if item.required else "STRIP_COLOR_09"  # red, grey


class BACKFLIP_UL_parts(bpy.types.UIList):
    """Parts of the body and what they weigh, both sides together; a dot marks changed ones."""

    def draw_item(
        self,
        _context: bpy.types.Context | None,
        layout: bpy.types.UILayout,
        _data: Any,
        item: Any,
        _icon: int | None,
        _active_data: Any,
        _active_property: str | None,
        _index: int | None = 0,
        _filter_flag: int | None = 0,
    ) -> None:
        changed = any(abs(factor - 1.0) > 1e-6 for factor in (item.mass, item.size, item.strength, item.reach))
        split = layout.split(factor=0.65)
        split.label(text=item.name.replace("_", " ").capitalize(), icon="DOT" if changed else "BLANK1")
        split.label(text=f"{item.kilograms:.1f} kg")


class BACKFLIP_UL_takes(bpy.types.UIList):
    """Recorded takes, oldest first, and what became of each: a star for a clean landing, a tick for another."""

    def draw_item(
        self,
        context: bpy.types.Context | None,
        layout: bpy.types.UILayout,
        _data: Any,
        item: Any,
        _icon: int | None,
        _active_data: Any,
        _active_property: str | None,
        _index: int | None = 0,
        _filter_flag: int | None = 0,
    ) -> None:
        facts = job_monitor.facts_of(current_scene(context), item.name) or TakeRecorded(landed=item.landed)
        icon: IconItems = "SOLO_ON" if facts.landed_cleanly else "CHECKMARK" if item.landed else "DOT"
        split = layout.split(factor=0.45)
        split.label(text=item.name.removesuffix(".npz"), icon=icon)
        split.label(text=verdict(vars(facts)))


CLASSES = (BACKFLIP_UL_roles, BACKFLIP_UL_parts, BACKFLIP_UL_takes)
