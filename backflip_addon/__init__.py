# SPDX-License-Identifier: GPL-3.0-or-later
"""Backflip: a Blender add-on with which a character learns a stunt.

Importing it needs no Blender; register() does.
"""

from __future__ import annotations

import atexit


def register() -> None:
    from . import compat, operators, preferences, settings, ui

    for part in (preferences, settings, operators, ui):
        part.register()
    if compat.IS_MODULE:
        # Blender as a Python module hangs at its end while a handler or class of ours is left in it.
        atexit.register(unregister)


def unregister() -> None:
    from . import operators, preferences, settings, ui

    atexit.unregister(unregister)
    for part in (ui, operators, settings, preferences):
        part.unregister()
