# SPDX-License-Identifier: GPL-3.0-or-later
"""The bone map and the takes, as lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bpy

from ..core.rigs import roles
from ..jobs.messages import TakeRecorded
from ..operators import job_monitor, take_browser
from ..operators.base import current_scene
from ..settings import scene_settings
from ..settings.body import BackflipRole
from .panel_base import button

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import IconItems


LONGEST_RUN = 1e7  # s, of a time that is shown


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
    """Recorded takes: what became of each, its name, minutes since the start, and whether it is a favourite."""

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
        scene = current_scene(context)
        facts = job_monitor.facts_of(scene, item.name) or TakeRecorded(landed=item.landed)
        row = layout.row(align=True)
        split = row.split(factor=0.8, align=True)
        split.prop(item, "title", text="", emboss=False, icon=take_icon(facts))
        split.label(text=minutes(facts.seconds))
        marked = take_browser.note_of(scene, item.name).favourite
        star: IconItems = "SOLO_ON" if marked else "SOLO_OFF"
        button(row, "backflip.favourite_take", star, "", emboss=False, take=item.name)

    def draw_filter(self, _context: bpy.types.Context | None, layout: bpy.types.UILayout) -> None:
        layout.prop(self, "filter_name", text="", icon="VIEWZOOM")

    def filter_items(self, context: bpy.types.Context | None, _data: Any, _property: str | None) -> Any:
        """Flags and places of the items, as the browser has them."""
        view = take_browser.view(current_scene(context), self.filter_name)
        return view.flags, view.order


# Kind of core.outcome -> what it looks like in the list
OUTCOME_ICONS: dict[str, IconItems] = {
    "landed": "CHECKMARK",
    "stumbled": "CHECKBOX_DEHLT",
    "followed": "TRACKING_FORWARDS_SINGLE",
    "came_through": "FF",
    "under_rotated": "LOOP_BACK",
    "over_rotated": "LOOP_FORWARDS",
    "never_left": "TRIA_DOWN_BAR",
    "fell_forward": "FORWARD",
    "fell_backward": "BACK",
    "fell_sideways": "ARROW_LEFTRIGHT",
    "on_head": "USER",
    "on_back": "SORT_ASC",
    "on_knees": "HANDLE_VECTOR",
    "on_hands": "VIEW_PAN",
    "slumped": "IPO_EASE_IN",
    "strayed": "CURVE_PATH",
    "broken_off": "UNLINKED",
    "exploded": "LIGHT_SUN",
    "helped": "CON_FOLLOWPATH",
}


def take_icon(facts: TakeRecorded) -> IconItems:
    """What became of a take, as an icon; a clean landing has one of its own."""
    if facts.landed and facts.landed_cleanly:
        return "FAKE_USER_ON"
    return OUTCOME_ICONS.get(take_browser.outcome_of(facts), "DOT")


def minutes(seconds: float | None) -> str:
    """Time since a run's start: "3:07"."""
    if seconds is None or not 0.0 <= seconds < LONGEST_RUN:
        return ""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


CLASSES = (BACKFLIP_UL_roles, BACKFLIP_UL_parts, BACKFLIP_UL_takes)
