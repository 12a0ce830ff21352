# SPDX-License-Identifier: GPL-3.0-or-later
"""One file a step of the road; each operator is a short wrapper of a plain function."""

from __future__ import annotations


def register() -> None:
    import bpy

    from . import avatar, bone_map, job_monitor, overlay, reference, runtime, takes, training

    for module in (avatar, bone_map, reference, training, takes, runtime):
        for cls in module.CLASSES:
            bpy.utils.register_class(cls)
    job_monitor.register()
    runtime.register()
    overlay.register()


def unregister() -> None:
    import bpy

    from . import avatar, bone_map, job_monitor, overlay, reference, runtime, takes, training

    overlay.unregister()
    job_monitor.unregister()
    runtime.unregister()
    for module in (runtime, takes, training, reference, bone_map, avatar):
        for cls in reversed(module.CLASSES):
            bpy.utils.unregister_class(cls)
