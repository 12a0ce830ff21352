# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that differs between the Blenders this add-on runs in, 4.5 LTS to 5.2 LTS.

Layered actions (slots, layers, strips, channelbags) are the only kind since 4.4 and are written the
same way in all of them; what is left is small.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import addon_utils
import bpy
from mathutils import Vector

_DISTANCE, _ASIDE = 2.6, 0.45  # of a view from what it shows whole, and to the left of a sidebar; radii of that
IS_MODULE = bool(bpy.app.module)  # Python runs Blender, and not the other way round


def new_curve(channelbag: bpy.types.ActionChannelbag, data_path: str, index: int, group: str) -> bpy.types.FCurve:
    """A new F-Curve in a group of its channelbag. 4.5 takes no group when it makes the curve."""
    if bpy.app.version >= (5, 0, 0):
        return channelbag.fcurves.new(data_path, index=index, group_name=group)
    curve = channelbag.fcurves.new(data_path, index=index)
    curve.group = channelbag.groups.get(group) or channelbag.groups.new(group)
    return curve


def curves(action: bpy.types.Action, slot: bpy.types.ActionSlot | None) -> Iterator[bpy.types.FCurve]:
    """The F-Curves that animate whatever uses slot of action; none without a slot."""
    if slot is None:
        return
    for layer in action.layers:
        for strip in layer.strips:
            keyed = strip.type == "KEYFRAME"  # the only type there is as yet, and the only one with curves
            bag = cast(bpy.types.ActionKeyframeStrip, strip).channelbag(slot) if keyed else None
            if bag is not None:
                yield from bag.fcurves


def ensure_addon(module: str) -> bool:
    """Whether the importer or exporter add-on called module is at hand, switched on for this session if need be."""
    _default, loaded = addon_utils.check(module)
    if loaded:
        return True
    enabled: Any = addon_utils.enable  # it returns the module or None; the stubs say that it returns nothing
    return enabled(module, default_set=False) is not None


def has_operator(name: str) -> bool:
    """Whether this Blender was built with an operator such as wm.usd_export; distributions leave some out."""
    module, _, operator = name.partition(".")
    try:
        getattr(getattr(bpy.ops, module), operator).get_rna_type()
    except (AttributeError, KeyError):
        return False
    return True


def import_fbx(filepath: str, animation: bool = True) -> None:
    """Import an FBX file with the add-on that all supported Blenders bring. Raises RuntimeError, also without it."""
    if not ensure_addon("io_scene_fbx"):
        raise RuntimeError("This Blender was built without the FBX add-on.")
    bpy.ops.import_scene.fbx(filepath=filepath, use_anim=animation, ignore_leaf_bones=False)


def import_any_fbx(filepath: str, animation: bool = True) -> None:
    """Import an FBX file with the importer in C++ (4.5 and later). Raises RuntimeError.

    It reads text and versions before 7.1 too, which the add-on refuses, and makes the same objects and bones of a file.
    """
    bpy.ops.wm.fbx_import(filepath=filepath, use_anim=animation, ignore_leaf_bones=False)


def import_gltf(filepath: str) -> None:
    """Import a glTF or GLB file. Raises RuntimeError."""
    ensure_addon("io_scene_gltf2")
    bpy.ops.import_scene.gltf(filepath=filepath, disable_bone_shape=True)


def redraw(sidebar_alone: bool = False) -> None:
    """Have every 3D viewport drawn anew, or what its sidebar says; nothing without a window."""
    for manager in bpy.data.window_managers:
        for window in manager.windows:
            for area in window.screen.areas if window.screen else ():
                if area.type == "VIEW_3D":
                    for region in area.regions:
                        if region.type == "UI" or not sidebar_alone:
                            region.tag_redraw()


def redraw_viewports() -> None:
    """Have the picture of every 3D viewport drawn anew, and nothing beside it."""
    for manager in bpy.data.window_managers:
        for window in manager.windows:
            for area in window.screen.areas if window.screen else ():
                if area.type == "VIEW_3D":
                    for region in area.regions:
                        if region.type == "WINDOW":
                            region.tag_redraw()


def frame_in_viewports(centre: tuple[float, float, float], radius: float) -> None:
    """Move the view of every 3D viewport to what is so far about a place, which comes to lie to the left of a sidebar;
    nothing without a window."""
    for manager in bpy.data.window_managers:
        for window in manager.windows:
            for area in window.screen.areas if window.screen else ():
                space = area.spaces.active
                if isinstance(space, bpy.types.SpaceView3D) and space.region_3d is not None:
                    right = space.region_3d.view_rotation @ Vector((1.0, 0.0, 0.0))
                    shift = right * radius * (_ASIDE if space.show_region_ui else 0.0)
                    space.region_3d.view_location = Vector(centre) + shift
                    space.region_3d.view_distance = radius * _DISTANCE


def show_status(words: str | None) -> None:
    """Have every window's status bar say this, None for what it says usually."""
    for manager in bpy.data.window_managers:
        for window in manager.windows:
            if window.workspace is not None:
                window.workspace.status_text_set(words)


def use_nodes(owner: bpy.types.Material | bpy.types.World) -> None:
    """Give a new material or world its shader nodes. From 5.0 it always has them, and saying so is deprecated."""
    if bpy.app.version < (5, 0, 0):
        owner.use_nodes = True


def image_format(render: bpy.types.RenderSettings) -> tuple[str, str, str]:
    """What renders are written as: kind of media (none before 5.0), file format, colour mode."""
    settings = render.image_settings
    return getattr(settings, "media_type", ""), settings.file_format, settings.color_mode


def set_image_format(render: bpy.types.RenderSettings, image_format: tuple[str, str, str]) -> None:
    """Have renders written so. From 5.0 the kind of media must be chosen before the format."""
    media, file_format, mode = image_format
    settings: Any = render.image_settings  # to the stubs each of them is one of a few words
    if bpy.app.version >= (5, 0, 0):
        settings.media_type = media
    settings.file_format = file_format
    settings.color_mode = mode


def write_stills(render: bpy.types.RenderSettings) -> None:
    """Have renders written as PNG stills."""
    set_image_format(render, ("IMAGE", "PNG", "RGB"))


def write_movie(render: bpy.types.RenderSettings) -> None:
    """Have animations written as an MP4 that every player and browser shows (H.264)."""
    set_image_format(render, ("VIDEO", "FFMPEG", "RGB"))
    ffmpeg = cast(bpy.types.FFmpegSettings, render.ffmpeg)
    ffmpeg.format = "MPEG4"
    ffmpeg.codec = "H264"
