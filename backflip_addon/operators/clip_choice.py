# SPDX-License-Identifier: GPL-3.0-or-later
"""The clips in the list as pictures to press: an enumeration that Blender shows so, whose choice uses the clip.

It belongs to the window manager, which neither files nor Ctrl+Z know: what is undone is the use of the clip.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import bpy
from bpy.app.translations import pgettext_iface as translated
from bpy.props import EnumProperty

from ..settings import scene_settings
from . import clip_library, clip_pictures
from .base import current_scene, window_manager

PROPERTY = "backflip_clip"
COLUMNS = 8  # in which Blender shows pictures
_ROWS = 3  # that fit 1280 x 720 at twice the scale
# How large pictures are at most, and at least with names, and what is free beside all; in buttons of so many pixels
_LARGEST, _NAMED, _MARGIN, _BUTTON = 6.0, 3.0, 2.0, 20.0
_FILE = "FILE"  # what none of the pictures shows
Item = tuple[str, str, str, "int | str", int]

_items: list[Item] = []  # Blender keeps no texts of these


def choices(_self: Any = None, _context: bpy.types.Context | None = None) -> list[Item]:
    """Identifier, name, tooltip, picture and number of each clip that has a picture; last, of any file."""
    ours, own = clip_library.library()
    names = [*ours, *(name for name in own if clip_pictures.icon(name))][: COLUMNS * _ROWS - 1]
    found: list[Item] = [(name, name, "", clip_pictures.icon(name), i) for i, name in enumerate(names)]
    found.append((_FILE, translated("Import Clip"), "", "FILE_FOLDER", len(names)))
    if found != _items:
        _items[:] = found
    return _items


def picture_scale(context: bpy.types.Context) -> tuple[float, bool]:
    """How large pictures are, in buttons, for all to fit the window above or below the button that shows them, and
    whether there is room for their names, which a tooltip and the menu have as well."""
    preferences, window = context.preferences, context.window
    if preferences is None or window is None:
        return _LARGEST, True
    button, rows = _BUTTON * preferences.system.ui_scale, -(-len(choices()) // COLUMNS)
    wide = (window.width / button - _MARGIN) / COLUMNS
    high = (window.height / 2 / button - _MARGIN) / rows
    named = min(_LARGEST, wide, high - 1.0)
    return (named, True) if named >= _NAMED else (max(min(wide, high), 1.0), False)


def _chosen(_self: Any) -> int:
    """The number of the scene's clip among the choices."""
    label, items = scene_settings(current_scene()).reference_label, choices()
    return next((number for name, *_rest, number in items if name == label), len(items) - 1)


def _choose(_self: Any, number: int) -> None:
    name = choices()[number][0]
    # Blender is in the middle of a press here, and an operator would be a part of it
    bpy.app.timers.register(partial(press, bpy.context.window, name), first_interval=0.0)


def press(window: bpy.types.Window | None, name: str) -> None:
    """Timer: do what the button of a clip's name does."""
    pressed: Any = getattr(bpy.ops, "backflip")  # noqa: B009 - to the stubs there is none
    try:
        with bpy.context.temp_override(window=window):
            if name == _FILE:
                pressed.import_reference("INVOKE_DEFAULT", True)
            else:
                pressed.use_clip("INVOKE_DEFAULT", True, name=name)
    except RuntimeError as error:  # what a button would have shown
        words = str(error).removeprefix("Error: ").strip()

        def draw(menu: Any, _context: bpy.types.Context) -> None:
            menu.layout.label(text=words)

        window_manager(bpy.context).popup_menu(draw, title=translated("Use Clip"), icon="ERROR")


def register() -> None:
    items: Any = choices  # to the stubs a picture has no number
    prop = EnumProperty(
        name="Clip",
        description="Choose a clip by its picture",
        items=items,
        get=_chosen,
        set=_choose,
        options={"SKIP_SAVE"},
    )
    setattr(bpy.types.WindowManager, PROPERTY, prop)


def unregister() -> None:
    delattr(bpy.types.WindowManager, PROPERTY)
    _items.clear()
