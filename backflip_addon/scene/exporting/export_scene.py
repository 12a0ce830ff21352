# SPDX-License-Identifier: GPL-3.0-or-later
"""A scene of its own for an export: the armature and all that hangs on it, visible, from frame 0 or later.

What the user hides, excludes, locks or has at rest stays so in the user's scenes; what is set on the
objects themselves is put back.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any, cast

import bpy

from ..armature.hierarchy import attached_objects
from ..baking import nla
from ..typed_data import action_of, current_scene, current_view_layer, subtype

# What an exporter can write of a character. Lights and cameras that it carries belong to the shot.
EXPORTED = ("ARMATURE", "MESH", "EMPTY", "CURVE", "SURFACE", "FONT", "META", "CURVES")
_HIDING = ("hide_viewport", "hide_select", "hide_render")


@dataclasses.dataclass(frozen=True)
class ExportScene:
    """first, last: the shot's frames in this scene; shift: how much later they are than in the user's."""

    scene: bpy.types.Scene
    objects: tuple[bpy.types.Object, ...]  # the armature first
    first: int
    last: int
    shift: int


@contextlib.contextmanager
def export_scene(armature: bpy.types.Object, first: int, last: int) -> Iterator[ExportScene]:
    """The scene, which is Blender's context inside. Frames below 0, which a scene cannot begin at, are shifted to 0."""
    objects = (armature, *(ob for ob in attached_objects(armature) if ob.type in EXPORTED))
    source = current_scene()
    shift = max(0, -first)
    scene = bpy.data.scenes.new(_title(armature))
    try:
        _copy_settings(source, scene)
        for ob in objects:
            scene.collection.objects.link(ob)
        with _as_posed(objects), _shown(objects), _later(objects, shift), _made_current(scene, objects):
            scene.frame_start, scene.frame_end = first + shift, last + shift
            scene.frame_set(first + shift)
            yield ExportScene(scene, objects, first + shift, last + shift, shift)
    finally:
        bpy.data.scenes.remove(scene)
        for ob in objects:
            ob.update_tag()  # the user's scene shows them as they are in its own frame
        current_view_layer().update()


def _title(armature: bpy.types.Object) -> str:
    """What the file calls the animation: the take that plays."""
    track = nla.playing_track(armature)
    return track.strips[0].name if track is not None and len(track.strips) else armature.name


def _copy_settings(source: bpy.types.Scene, scene: bpy.types.Scene) -> None:
    scene.render.fps, scene.render.fps_base = source.render.fps, source.render.fps_base
    scene.unit_settings.system = source.unit_settings.system
    scene.unit_settings.scale_length = source.unit_settings.scale_length


@contextlib.contextmanager
def _made_current(scene: bpy.types.Scene, objects: tuple[bpy.types.Object, ...]) -> Iterator[None]:
    layer = scene.view_layers[0]
    for ob in objects:
        ob.select_set(True, view_layer=layer)
    layer.objects.active = objects[0]
    chosen = list(objects)
    with bpy.context.temp_override(
        scene=scene,
        view_layer=layer,
        collection=scene.collection,
        active_object=objects[0],
        object=objects[0],
        selected_objects=chosen,
        selected_editable_objects=chosen,
        area=None,  # no local view hides anything
    ):
        yield


@contextlib.contextmanager
def _shown(objects: tuple[bpy.types.Object, ...]) -> Iterator[None]:
    """Nothing hidden by its own settings, every armature in its pose."""
    owners: list[tuple[Any, str, Any]] = [(ob, name, False) for ob in objects for name in _HIDING]
    owners += [(ob.data, "pose_position", "POSE") for ob in objects if ob.type == "ARMATURE"]
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in owners]
    try:
        for owner, name, value in owners:
            if getattr(owner, name) != value:
                setattr(owner, name, value)
        yield
    finally:
        for owner, name, value in reversed(before):
            if getattr(owner, name) != value:
                setattr(owner, name, value)


@contextlib.contextmanager
def scaled(staged: ExportScene, factor: float) -> Iterator[None]:
    """All of it standing on an empty that is scaled by factor, for exporters that know no units."""
    if factor == 1.0:
        yield
        return
    base = bpy.data.objects.new("Units", None)
    base.scale = (factor, factor, factor)
    staged.scene.collection.objects.link(base)
    tops = list(dict.fromkeys(_top(ob) for ob in staged.objects))
    before = [(top, top.matrix_parent_inverse.copy()) for top in tops]
    try:
        for top in tops:
            top.parent = base
            top.matrix_parent_inverse.identity()
        yield
    finally:
        for top, inverse in before:
            top.parent = None
            top.matrix_parent_inverse = inverse
        bpy.data.objects.remove(base)


@contextlib.contextmanager
def with_parents(staged: ExportScene) -> Iterator[None]:
    """The parents that the objects have elsewhere are in the scene, too, and not selected."""
    above: dict[bpy.types.Object, None] = {}
    for ob in staged.objects:
        while ob.parent is not None:
            ob = ob.parent
            if ob not in staged.objects:
                above[ob] = None
    objects = staged.scene.collection.objects
    for ob in above:
        objects.link(ob)
    try:
        for ob in above:
            ob.select_set(False, view_layer=staged.scene.view_layers[0])
        yield
    finally:
        for ob in above:
            objects.unlink(ob)


def _top(ob: bpy.types.Object) -> bpy.types.Object:
    """The object, or the first of all its parents."""
    while ob.parent is not None:
        ob = ob.parent
    return ob


@contextlib.contextmanager
def _as_posed(objects: tuple[bpy.types.Object, ...]) -> Iterator[None]:
    """What is animated keeps the values it has, keyed or not, though exporters play the scene."""
    before = []
    for data in _animations(objects):
        owner: Any = data.id_data
        for path in dict.fromkeys(curve.data_path for curve in _curves(data)):
            with contextlib.suppress(ValueError, TypeError):  # a curve of something that is no more
                value = owner.path_resolve(path)
                before.append((owner, path, value if isinstance(value, (bool, int, float, str)) else tuple(value)))
    try:
        yield
    finally:
        for owner, path, value in before:
            with contextlib.suppress(ValueError, TypeError, AttributeError):  # what cannot be set was not changed
                _put_back(owner, path, value)


def _put_back(owner: Any, path: str, value: Any) -> None:
    """Give a property, named by its path from the owner, a value again."""
    now = owner.path_resolve(path)
    if (tuple(now) if isinstance(value, tuple) else now) != value:
        holder, _mark, name = path.rpartition("[" if path.endswith("]") else ".")
        _set(owner.path_resolve(holder) if holder else owner, name, value)


def _set(holder: Any, name: str, value: Any) -> None:
    """Set a property, or one of a list or of the user's own: 0], "name"]."""
    if name.endswith("]"):
        key = name[:-1]
        holder[int(key) if key.isdecimal() else key[1:-1]] = value
    else:
        setattr(holder, name, value)


def _curves(data: bpy.types.AnimData) -> Iterator[bpy.types.FCurve]:
    """Those of the action and of the strips."""
    for action in dict.fromkeys([data.action, *(strip.action for strip in _strips(data))]):
        for layer in action.layers if action is not None else ():
            for strip in map(subtype, layer.strips):
                for bag in strip.channelbags:
                    yield from bag.fcurves


# Frames below 0


@contextlib.contextmanager
def _later(objects: tuple[bpy.types.Object, ...], shift: int) -> Iterator[None]:
    """All that animates the objects, so many frames later. Keys are moved in copies of the user's actions."""
    if not shift:
        yield
        return
    copies: list[tuple[bpy.types.AnimData, bpy.types.Action, Any, bpy.types.Action]] = []
    moved: list[tuple[bpy.types.NlaStrip, float, float]] = []
    try:
        for data in _animations(objects):
            if data.action is not None:
                copies.append((data, data.action, data.action_slot, _play_later(data, shift)))
            for strip in sorted(_strips(data), key=lambda strip: -strip.frame_start):
                moved.append((strip, strip.frame_start, strip.frame_end))
                strip.frame_end += shift  # first, or it would be pushed along or cut by its start
                strip.frame_start += shift
                strip.frame_end = moved[-1][2] + shift
        yield
    finally:
        for strip, start, end in reversed(moved):
            strip.frame_start, strip.frame_end = start, end
        for data, action, slot, copy in copies:
            data.action = action
            if slot is not None:
                data.action_slot = slot
            bpy.data.actions.remove(copy)


def _play_later(data: bpy.types.AnimData, shift: int) -> bpy.types.Action:
    slot = data.action_slot.identifier if data.action_slot else ""
    copy = cast(bpy.types.Action, action_of(data).copy())
    for layer in copy.layers:
        for strip in map(subtype, layer.strips):
            for bag in strip.channelbags:
                for curve in bag.fcurves:
                    for key in curve.keyframe_points:
                        for point in (key.handle_left, key.co, key.handle_right):
                            point.x += shift
                    curve.update()
    data.action = copy
    if slot:
        data.action_slot = next(s for s in copy.slots if s.identifier == slot)
    return copy


def _animations(objects: tuple[bpy.types.Object, ...]) -> list[bpy.types.AnimData]:
    """Animation data of the objects, of their parents, and of their data and shapes."""
    owners: dict[Any, None] = {}
    for ob in objects:
        above: bpy.types.Object | None = ob
        while above is not None:
            owners[above] = None
            above = above.parent
        if ob.data is not None:
            owners[ob.data] = None
            owners[getattr(ob.data, "shape_keys", None)] = None
    return [owner.animation_data for owner in owners if owner is not None and owner.animation_data is not None]


def _strips(data: bpy.types.AnimData) -> list[bpy.types.NlaStrip]:
    return [strip for track in data.nla_tracks for strip in track.strips]
