# SPDX-License-Identifier: GPL-3.0-or-later
"""Backflip: a Blender add-on with which a character learns a stunt.

Importing it needs no Blender; register() does.
"""

from __future__ import annotations

import atexit
from typing import Any

_commands: list[Any] = []  # that Blender knows us by on its command line


def register() -> None:
    import bpy

    from . import compat, operators, preferences, settings, translations, ui

    for part in (translations, preferences, settings, operators, ui):
        part.register()
    _commands.append(bpy.utils.register_cli_command("backflip", _command))
    if compat.IS_MODULE:
        # Blender as a Python module hangs at its end while a handler or class of ours is left in it.
        atexit.register(unregister)


def _command(arguments: list[str]) -> int:
    """`blender --command backflip WORD ...`; returns the exit status."""
    from .headless.words import run  # takes a moment, which no other start of Blender is to wait for

    return run(arguments)


def unregister() -> None:
    import bpy

    from . import operators, preferences, settings, translations, ui

    atexit.unregister(unregister)
    while _commands:
        bpy.utils.unregister_cli_command(_commands.pop())
    for part in (ui, operators, settings, preferences, translations):
        part.unregister()
