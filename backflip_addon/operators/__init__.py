# SPDX-License-Identifier: GPL-3.0-or-later
"""One file a step of the road; each operator is a short wrapper of a plain function."""

from __future__ import annotations


def register() -> None:
    import bpy

    from . import avatar, baking, bone_map, export, job_monitor, reference, runtime, takes, training, viewport_lines

    for module in (avatar, bone_map, reference, training, takes, baking, export, runtime):
        for cls in module.CLASSES:
            bpy.utils.register_class(cls)
    job_monitor.register()
    runtime.register()
    viewport_lines.register()


def unregister() -> None:
    import bpy

    from . import avatar, baking, bone_map, export, job_monitor, reference, runtime, takes, training, viewport_lines

    viewport_lines.unregister()
    job_monitor.unregister()
    runtime.unregister()
    for module in (runtime, export, baking, takes, training, reference, bone_map, avatar):
        for cls in reversed(module.CLASSES):
            bpy.utils.unregister_class(cls)
