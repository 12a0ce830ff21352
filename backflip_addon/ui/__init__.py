# SPDX-License-Identifier: GPL-3.0-or-later
"""Panels, lists and what is drawn in the viewport: they draw and decide nothing."""

from __future__ import annotations


def register() -> None:
    import bpy

    from . import avatar_panel, bake_panel, lists, reference_panel, takes_panel, training_panel, viewport

    for module in (lists, avatar_panel, reference_panel, training_panel, takes_panel, bake_panel):
        for cls in module.CLASSES:
            bpy.utils.register_class(cls)
    viewport.register()


def unregister() -> None:
    import bpy

    from . import avatar_panel, bake_panel, lists, reference_panel, takes_panel, training_panel, viewport

    viewport.unregister()
    for module in (bake_panel, takes_panel, training_panel, reference_panel, avatar_panel, lists):
        for cls in reversed(module.CLASSES):
            bpy.utils.unregister_class(cls)
