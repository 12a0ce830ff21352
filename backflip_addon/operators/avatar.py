# SPDX-License-Identifier: GPL-3.0-or-later
"""Step 1: an avatar, the map of its bones, its physical body."""

from __future__ import annotations

from typing import Annotated

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, StringProperty

from .. import compat
from ..core.rigs import fit, roles
from ..core.rigs.anthropometry import USUAL_BMI
from ..core.rigs.names import REQUIRED
from ..core.rigs.rig import Rig, RigError, check_sound
from ..core.slices import Slices, apart, at_once
from ..scene import mapping_pose, stored_avatar, stored_reference
from ..scene.armature.hierarchy import meshes_left_behind
from ..scene.armature.rig import bound_meshes, read_rig, read_rig_slices
from ..scene.importing import importer, objects_as_bones
from ..scene.importing.importer import RIG_SUFFIXES
from ..scene.mannequin.build import add_mannequin_slices, free_place, remove_mannequin
from ..scene.typed_data import current_view_layer
from ..settings import STRENGTHS, scene_settings
from ..settings.road import turn_to
from . import reference_clip
from .base import FileStep, Step, current_scene, guess_sentence, need_avatar, need_body, need_map, need_object_mode
from .bone_map import choose_slices
from .sliced_step import SlicedStep


def import_avatar(scene: bpy.types.Scene, filepath: str, link: bool = False) -> tuple[bpy.types.Object, str]:
    """Import a character and make it the avatar; returns its armature, and a sentence on what was imported.

    One whose map has gaps is kept, so that they can be filled. Raises FileError or RigError, and then leaves nothing
    behind. link: see importer.import_rig.
    """
    return at_once(import_avatar_slices(scene, filepath, link))


def import_avatar_slices(
    scene: bpy.types.Scene, filepath: str, link: bool = False
) -> Slices[tuple[bpy.types.Object, str]]:
    """import_avatar() in slices."""
    armature, imported = yield from importer.import_rig_slices(filepath, link)
    try:
        yield None
        rig = read_rig(armature, with_skin=False)
        yield from apart(check_sound, rig)
        yield from apart(_check_humanoid, rig, filepath)
        yield from choose_slices(scene, armature)
    except (RigError, GeneratorExit):
        importer.remove(imported)
        raise
    _select(armature)
    return armature, _import_report(armature, imported)


def _select(armature: bpy.types.Object) -> None:
    """Have the armature selected alone and active, where it can be, as Blender's own importers do."""
    layer = bpy.context.view_layer
    if layer is None or armature.name not in layer.objects:
        return
    for ob in layer.objects:
        ob.select_set(ob == armature)
    layer.objects.active = armature


def _check_humanoid(rig: Rig, filepath: str) -> None:
    """Raises RigError where the bones of fewer than half the body parts are found: a map to start from."""
    lacking = roles.missing(roles.guess(rig))
    if 2 * len(lacking) > len(REQUIRED):
        menu = "File > Append" if filepath.lower().endswith(".blend") else "File > Import"
        raise RigError(
            f"{rig.name} does not look like a humanoid: of {len(REQUIRED)} body parts {len(lacking)} were not "
            f"found. To choose its bones yourself, import it with {menu} and press Use as Avatar (step 1)."
        )


def _import_report(armature: bpy.types.Object, imported: importer.Imported) -> str:
    words = f"{armature.name} is the avatar"
    if armature.get(objects_as_bones.NODES_PROPERTY):
        words += "; its file has no bones, so bones were made for its parts"
    others = [ob.name for ob in imported.armatures if ob != armature and ob.library is None and bound_meshes(ob)]
    if others:
        words += f". {' and '.join(others)} came with it: to use another one, select it and press Use as Avatar"
    return f"{words}."


def build_body(scene: bpy.types.Scene, mass: float, strength: str) -> str:
    """Fit the body; returns a warning, "" for none. mass: kg, 0 for what is usual. strength: one of STRENGTHS."""
    return at_once(build_body_slices(scene, mass, strength))


def build_body_slices(scene: bpy.types.Scene, mass: float, strength: str) -> Slices[str]:
    """build_body() in slices; one that is given up leaves the body as it was."""
    armature = stored_avatar.avatar(scene)
    rig = yield from read_rig_slices(armature)
    role_map, adjustments = stored_avatar.role_map(scene), stored_avatar.adjustments(scene)
    body, binding = yield from apart(fit.fit_body, rig, role_map, mass or None, adjustments, strength)
    before = stored_avatar.body_as_kept(scene)
    stored_avatar.set_body(scene, body, binding)
    try:
        warning = yield from reference_clip.read_again_slices(scene)
    except GeneratorExit:
        stored_avatar.put_back_body(scene, before)
        raise
    return " ".join(filter(None, (_left_behind(armature), warning)))


def _left_behind(armature: bpy.types.Object) -> str:
    """A sentence on meshes that the bones will not move, "" where there are none."""
    names = [ob.name for ob in meshes_left_behind(armature)]
    if not names:
        return ""
    others = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return (
        f"{names[0]}{others} will stay behind when {armature.name} moves, because no bone moves it: "
        "parent it to a bone (Ctrl+P)."
    )


def choose_mannequin_slices(context: bpy.types.Context) -> Slices[None]:
    """Add the mannequin where there is room for it, and make it the avatar."""
    armature = yield from add_mannequin_slices(context)
    try:
        armature.location.x = free_place(current_scene(context), armature)
        current_view_layer(context).update()
        yield from choose_slices(current_scene(context), armature)
    except GeneratorExit:
        remove_mannequin(armature)
        raise


def take_back_mannequin(scene: bpy.types.Scene) -> None:
    """Take out the mannequin that is the avatar, with what was set for it."""
    armature = stored_avatar.avatar(scene)
    stored_reference.forget_reference(scene)
    stored_avatar.forget_avatar(scene)
    remove_mannequin(armature)


class AddMannequin(SlicedStep, bpy.types.Operator):
    """Add the built-in character and make it the avatar"""

    bl_idname = "backflip.add_mannequin"
    bl_label = "Add Mannequin"
    bl_options = {"REGISTER", "UNDO"}
    needs = (need_object_mode,)

    def slices(self, context: bpy.types.Context) -> Slices[None]:
        yield from choose_mannequin_slices(context)


class ImportAvatar(FileStep, SlicedStep, bpy.types.Operator):
    """Import a rigged character (FBX, glTF, VRM, BLEND, BVH) and make it the avatar"""

    bl_idname = "backflip.import_avatar"
    bl_label = "Import Avatar"
    bl_options = {"REGISTER", "UNDO"}
    needs = (need_object_mode,)
    suffixes = RIG_SUFFIXES

    link: Annotated[
        bool,
        BoolProperty(
            name="Link",
            description="Link the character of a .blend and make a library override of it, instead of appending it",
            options={"SKIP_SAVE"},
        ),
    ]

    def slices(self, context: bpy.types.Context) -> Slices[None]:
        _armature, words = yield from import_avatar_slices(current_scene(context), self.filepath, self.link)
        self.report({"INFO"}, words)
        _say_doubts(self, current_scene(context))


class PickAvatar(SlicedStep, bpy.types.Operator):
    """Make an armature of this scene the avatar, and map its bones"""

    bl_idname = "backflip.pick_avatar"
    bl_label = "Use as Avatar"
    bl_options = {"REGISTER", "UNDO"}
    needs = (need_object_mode,)

    armature: Annotated[
        str,
        StringProperty(
            name="Armature", description="Name of the armature object; the active one when empty", options={"SKIP_SAVE"}
        ),
    ]

    def slices(self, context: bpy.types.Context) -> Slices[None]:
        armature = named_armature(context, self.armature)
        yield from choose_slices(current_scene(context), armature)
        self.armature = armature.name
        _say_doubts(self, current_scene(context))


def _say_doubts(step: bpy.types.Operator, scene: bpy.types.Scene) -> None:
    """Report which body parts of the avatar's map have no bone, what else is wrong with it, and what was guessed."""
    lacking = [roles.words(role) for role in roles.missing(stored_avatar.role_map(scene))]
    if lacking:
        step.report({"WARNING"}, f"No bone was found for: {', '.join(lacking)}. Choose them in the list.")
    else:
        try:
            roles.check(read_rig(stored_avatar.avatar(scene), with_skin=False), stored_avatar.role_map(scene))
        except RigError as error:
            step.report({"WARNING"}, str(error))
    if sentence := guess_sentence(scene_settings(scene).roles, "avatar"):
        step.report({"WARNING"}, sentence)


def named_armature(context: bpy.types.Context, name: str) -> bpy.types.Object:
    """An armature object of the scene by name, the active object's own when empty. Raises RigError."""
    ob = (
        stored_avatar.object_named(current_scene(context), name) if name else current_view_layer(context).objects.active
    )
    if not name and ob is not None and ob.type == "MESH":
        ob = ob.find_armature() or ob
    if ob is None:
        raise RigError(f"There is no object called {name} in this scene." if name else "Select an armature first.")
    if ob.type != "ARMATURE":
        raise RigError(f"{ob.name} is not an armature: choose the armature that moves the character.")
    return ob


class BuildBody(SlicedStep, bpy.types.Operator):
    """Fit a physical body to the avatar: masses, joints, shapes and strength"""

    bl_idname = "backflip.build_body"
    bl_label = "Build Body"
    bl_options = {"REGISTER", "UNDO"}
    needs = (need_avatar, need_map, need_object_mode)

    mass: Annotated[
        float,
        FloatProperty(
            name="Mass",
            description="Mass in kg; 0 uses the usual mass for the height",
            min=0.0,
            max=1000.0,
            options={"SKIP_SAVE"},
        ),
    ]
    strength: Annotated[
        str,
        EnumProperty(name="Strength", description="Whose muscles the body has", items=STRENGTHS, options={"SKIP_SAVE"}),
    ]

    def slices(self, context: bpy.types.Context) -> Slices[None]:
        settings = scene_settings(current_scene(context))
        settings.mass = self.given(settings, "mass")
        settings.strength = self.given(settings, "strength")
        warning = yield from build_body_slices(current_scene(context), settings.mass, settings.strength)
        turn_to(settings, "train" if settings.reference_data else "reference")
        self.mass = settings.mass or USUAL_BMI * settings.body_height**2
        if warning:
            self.report({"WARNING"}, warning)


class ToggleBody(Step, bpy.types.Operator):
    """Show or hide the physical body over the character"""

    bl_idname = "backflip.toggle_body"
    bl_label = "Show Body"
    bl_options = {"REGISTER", "UNDO"}
    needs = (need_avatar, need_body)

    def run(self, context: bpy.types.Context) -> None:
        scene_settings(current_scene(context)).show_body = not scene_settings(current_scene(context)).show_body
        compat.redraw()


class ResetParts(Step, bpy.types.Operator):
    """Reset the factors of all parts of the body"""

    bl_idname = "backflip.reset_parts"
    bl_label = "Reset Parts"
    bl_options = {"REGISTER", "UNDO"}
    needs = (need_avatar,)

    def run(self, context: bpy.types.Context) -> None:
        for part in scene_settings(current_scene(context)).parts:
            for factor in ("mass", "size", "strength", "reach"):
                if getattr(part, factor) != 1.0:  # one that is set calls for another body, were it to the same
                    setattr(part, factor, 1.0)


def in_check_pose(scene: bpy.types.Scene) -> bool:
    """Whether the avatar is in the check pose, out of which the button brings it. Cheap."""
    armature = stored_avatar.present(scene)
    return armature is not None and mapping_pose.is_shown(armature)


def _need_body_to_pose(scene: bpy.types.Scene) -> str:
    """The way back needs no body: whoever finds the map wrong and changes it has none."""
    return "" if in_check_pose(scene) else need_body(scene)


class CheckPose(Step, bpy.types.Operator):
    """Pose the avatar to show whether its map is right: left arm and left knee forward, right arm up at its side"""

    bl_idname = "backflip.check_pose"
    bl_label = "Check Pose"
    bl_options = {"REGISTER", "UNDO"}
    needs = (need_avatar, _need_body_to_pose, need_object_mode)

    def run(self, context: bpy.types.Context) -> None:
        armature = stored_avatar.avatar(current_scene(context))
        if not mapping_pose.take_back(armature):
            mapping_pose.show(armature, *stored_avatar.body_and_binding(current_scene(context)))
        current_view_layer(context).update()
        compat.redraw()


CLASSES = (
    AddMannequin,
    ImportAvatar,
    PickAvatar,
    BuildBody,
    ToggleBody,
    ResetParts,
    CheckPose,
)
