# SPDX-License-Identifier: GPL-3.0-or-later
"""One file a step of the road; each operator is a short wrapper of a plain function."""

from __future__ import annotations


def register() -> None:
    from ..registration import register_classes
    from . import (
        clip_choice,
        clip_library,
        clip_pictures,
        job_list,
        job_monitor,
        road,
        runtime,
        take_browser,
        take_player,
        take_undo,
        viewport_lines,
    )

    register_classes(_classes())
    # In the order in which they are told of a step that was undone
    undone = (job_monitor, take_undo, take_player, road)
    clips = (clip_library, clip_pictures, clip_choice)
    for part in (*clips, job_list, runtime, take_browser, *undone, viewport_lines):
        part.register()


def unregister() -> None:
    from ..registration import unregister_classes
    from . import (
        background_work,
        clip_choice,
        clip_pictures,
        job_list,
        job_monitor,
        reference_notes,
        road,
        runtime,
        take_browser,
        take_player,
        take_undo,
        video,
        video_networks,
        viewport_lines,
    )

    parts = (
        background_work,
        viewport_lines,
        reference_notes,
        clip_choice,
        clip_pictures,
        road,
        take_player,
        take_undo,
        take_browser,
        job_monitor,
        job_list,
        runtime,
        video,
        video_networks,
    )
    for part in parts:
        part.unregister()
    unregister_classes(_classes())


def _classes() -> list[type]:
    from . import (
        avatar,
        baking,
        bone_map,
        clip_library,
        directions,
        export,
        job_list,
        reference,
        runtime,
        shooting,
        take_browser,
        take_player,
        takes,
        training,
        video,
        video_frames,
        video_networks,
    )

    modules = (
        avatar,
        bone_map,
        reference,
        clip_library,
        job_list,
        training,
        takes,
        take_browser,
        take_player,
        directions,
        shooting,
        baking,
    )
    operators = [
        cls for module in (*modules, export, runtime, video, video_frames, video_networks) for cls in module.CLASSES
    ]
    return [*operators, *clip_library.HANDLERS]
