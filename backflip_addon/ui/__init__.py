# SPDX-License-Identifier: GPL-3.0-or-later
"""Panels, lists and viewport overlays: they draw and decide nothing."""

from __future__ import annotations


def register() -> None:
    import bpy

    from . import lists, overlays, panels

    for cls in (*lists.CLASSES, *panels.CLASSES):
        bpy.utils.register_class(cls)
    overlays.register()


def unregister() -> None:
    import bpy

    from . import lists, overlays, panels

    overlays.unregister()
    for cls in reversed((*lists.CLASSES, *panels.CLASSES)):
        bpy.utils.unregister_class(cls)
