# SPDX-License-Identifier: GPL-3.0-or-later
"""Panels, lists and what is drawn in the viewport: they draw and decide nothing."""

from __future__ import annotations


def register() -> None:
    from ..registration import register_classes
    from . import road_panel, viewport

    register_classes(_classes())
    viewport.register()
    road_panel.register()


def unregister() -> None:
    from ..registration import unregister_classes
    from . import road_panel, viewport

    road_panel.unregister()
    viewport.unregister()
    unregister_classes(_classes())


def _classes() -> list[type]:
    from . import avatar_panel, bake_panel, lists, push_gizmo, reference_panel, road_panel, shoot_panel, takes_panel
    from . import training_panel as training
    from . import video_panel as video

    steps = (avatar_panel, reference_panel, video, training, takes_panel, shoot_panel, bake_panel)
    found = [cls for module in (lists, road_panel, *steps, push_gizmo) for cls in module.CLASSES]
    return [*found, *road_panel.LAST_CLASSES]
