# SPDX-License-Identifier: GPL-3.0-or-later
"""What the add-on keeps in a .blend: one group of properties a scene, Scene.backflip.

Objects of a running job are remembered by name in the job folder, not here.
"""

from __future__ import annotations

from typing import Annotated, Any, cast

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from ..registration import Collection, register_classes, unregister_classes
from . import body, choices, direction, road, takes, video
from .body import BackflipJoint, BackflipPart, BackflipRole, adjusted
from .choices import ENGINES as ENGINES
from .choices import FOLLOWS as FOLLOWS
from .choices import FORMATS as FORMATS
from .choices import MODES as MODES
from .choices import STRENGTHS as STRENGTHS
from .direction import BackflipDirection as BackflipDirection
from .road import BackflipRoad
from .takes import BackflipBrowser as BackflipBrowser
from .takes import BackflipTake as BackflipTake
from .video import BackflipVideo


def _armature_chosen(settings: BackflipSettings, _context: bpy.types.Context) -> None:
    """An action that is another one's is no longer meant; nor is any slot."""
    action = bpy.data.actions.get(settings.reference_action)
    armature = settings.reference_object or settings.avatar
    slots: list[bpy.types.ActionSlot] = list(action.slots) if action is not None else []
    owners = {user for slot in slots for user in slot.users()}
    named = armature is not None and armature.name in [slot.name_display for slot in slots]
    if owners and armature not in owners and not named:
        settings.reference_action = ""
    settings.reference_slot = ""


def _action_chosen(settings: BackflipSettings, _context: bpy.types.Context) -> None:
    if settings.reference_slot not in [slot.identifier for slot in _slots(settings)]:
        settings.reference_slot = ""


def _slots(settings: BackflipSettings) -> list[bpy.types.ActionSlot]:
    """The slots of the chosen action that can move an object."""
    action = bpy.data.actions.get(settings.reference_action)
    slots: list[bpy.types.ActionSlot] = list(action.slots) if action is not None else []
    return [slot for slot in slots if slot.target_id_type in ("OBJECT", "UNSPECIFIED")]


def _clip_set(settings: BackflipSettings, _context: bpy.types.Context) -> None:
    """What was said of the clip was said of other settings."""
    settings.notes_due = "REFERENCE" if settings.reference_data else ""


_slot_items: list[tuple[str, str, str]] = []  # Blender reads the words of a list that is made anew; they must stay


def _list_slots(settings: BackflipSettings, _context: bpy.types.Context) -> list[tuple[str, str, str]]:
    _slot_items[:] = [("AUTOMATIC", "The Armature's Own", "The slot that the armature uses or that has its name")]
    _slot_items.extend((slot.identifier, slot.name_display, "") for slot in _slots(settings))
    return _slot_items


def _get_slot(settings: BackflipSettings) -> int:
    names = [slot.identifier for slot in _slots(settings)]
    return names.index(settings.reference_slot) + 1 if settings.reference_slot in names else 0


def _set_slot(settings: BackflipSettings, index: int) -> None:
    settings.reference_slot = _slots(settings)[index - 1].identifier if index else ""


class BackflipSettings(bpy.types.PropertyGroup):
    """Everything Backflip knows of a scene."""

    # 1 Avatar
    avatar: Annotated[
        bpy.types.Object | None,
        PointerProperty(
            type=bpy.types.Object,
            name="Avatar",
            description="Armature of the character that learns",
            poll=choices.is_armature,
        ),
    ]
    roles: Annotated[Collection[BackflipRole], CollectionProperty(type=BackflipRole)]
    role_index: Annotated[int, IntProperty(name="Body Part")]
    mass: Annotated[
        float,
        FloatProperty(
            name="Mass",
            description="Mass of the whole body. Set it to 0 for the usual mass for its height",
            default=0.0,
            min=0.0,
            soft_max=150.0,
            max=1000.0,
            precision=1,
            unit="MASS",
            update=adjusted,
        ),
    ]
    own_mass: Annotated[
        bool,
        BoolProperty(
            name="Own Mass",
            description="Enter the body's mass yourself instead of using the usual one for its height",
            get=choices.get_own_mass,
            set=choices.set_own_mass,
        ),
    ]
    strength: Annotated[
        str,
        EnumProperty(
            name="Strength",
            description="Whose muscles the body has for its mass and height: how hard and how fast its joints turn",
            items=STRENGTHS,
            default="athlete",
            update=adjusted,
        ),
    ]
    parts: Annotated[Collection[BackflipPart], CollectionProperty(type=BackflipPart)]
    part_index: Annotated[int, IntProperty(name="Part")]
    body_json: Annotated[str, StringProperty(options={"HIDDEN"})]
    binding_json: Annotated[str, StringProperty(options={"HIDDEN"})]
    body_stale: Annotated[bool, BoolProperty(options={"HIDDEN"})]
    body_height: Annotated[float, FloatProperty(options={"HIDDEN"})]  # m and kg, for the panel
    body_mass: Annotated[float, FloatProperty(options={"HIDDEN"})]
    show_body: Annotated[
        bool, BoolProperty(name="Show Body", description="Draw the physical body over the character", default=True)
    ]

    # 2 Reference
    reference_label: Annotated[str, StringProperty(name="Reference", options={"HIDDEN"})]
    # "FILE", "ACTION", "POSE" (what is seen), or "" for none
    reference_kind: Annotated[str, StringProperty(options={"HIDDEN"})]
    reference_file: Annotated[str, StringProperty(options={"HIDDEN"})]
    reference_object: Annotated[
        bpy.types.Object | None,
        PointerProperty(
            type=bpy.types.Object,
            name="Armature",
            description="Armature to imitate; the avatar itself when empty",
            poll=choices.is_armature,
            update=_armature_chosen,
        ),
    ]
    reference_action: Annotated[
        str,
        StringProperty(
            name="Action",
            description="Action to imitate; when empty, the armature's visual motion, whatever causes it",
            update=_action_chosen,
        ),
    ]
    reference_slot: Annotated[
        str, StringProperty(name="Slot", description="Slot of the action; the armature's own when empty")
    ]
    slot_choice: Annotated[
        str,
        EnumProperty(
            name="Slot",
            description="Which slot of the action to imitate",
            items=_list_slots,
            get=_get_slot,
            set=_set_slot,
        ),
    ]
    use_frames: Annotated[
        bool,
        BoolProperty(name="Frames", description="Choose the frame range; otherwise the keyed range is used"),
    ]
    frames_first: Annotated[int, IntProperty(name="First", description="First frame of the range", default=1)]
    frames_last: Annotated[int, IntProperty(name="Last", description="Last frame of the range", default=250)]
    # What was read in the end, whatever has been chosen above since
    source_object: Annotated[bpy.types.Object | None, PointerProperty(type=bpy.types.Object, options={"HIDDEN"})]
    source_action: Annotated[str, StringProperty(options={"HIDDEN"})]
    source_slot: Annotated[str, StringProperty(options={"HIDDEN"})]
    source_first: Annotated[int, IntProperty(options={"HIDDEN"})]
    source_last: Annotated[int, IntProperty(options={"HIDDEN"})]
    # The clip's own skeleton and which of its joints play which body parts; empty where it has none of its own
    clip_roles: Annotated[Collection[BackflipRole], CollectionProperty(type=BackflipRole)]
    clip_role_index: Annotated[int, IntProperty(name="Body Part")]
    clip_joints: Annotated[Collection[BackflipJoint], CollectionProperty(type=BackflipJoint)]
    clip_stale: Annotated[bool, BoolProperty(options={"HIDDEN"})]  # the map was changed since the clip was read
    reference_problem: Annotated[str, StringProperty(options={"HIDDEN"})]  # why the clip cannot be read with this map
    reference_data: Annotated[
        str, StringProperty(options={"HIDDEN"})
    ]  # the clip on the body, see scene.stored_reference
    reference_notes: Annotated[str, StringProperty(options={"HIDDEN"})]  # JSON: what seems wrong with the clip
    notes_due: Annotated[str, StringProperty(options={"HIDDEN"})]  # "REFERENCE" while notes are still to come
    reference_seconds: Annotated[float, FloatProperty(options={"HIDDEN"})]
    trim_start: Annotated[
        float,
        FloatProperty(
            name="From",
            description="Seconds of the clip to leave out at its start",
            min=0.0,
            precision=2,
            unit="TIME_ABSOLUTE",
            update=_clip_set,
        ),
    ]
    trim_end: Annotated[
        float,
        FloatProperty(
            name="To",
            description="Time in the clip to end at; 0 uses the whole clip",
            min=0.0,
            precision=2,
            unit="TIME_ABSOLUTE",
            update=_clip_set,
        ),
    ]
    time_scale: Annotated[
        float,
        FloatProperty(
            name="Slow Down",
            description="How many times longer than the clip the stunt takes",
            default=1.0,
            min=0.1,
            max=10.0,
            precision=2,
            update=_clip_set,
        ),
    ]
    upright: Annotated[
        bool,
        BoolProperty(
            name="Upright",
            description="Stand up a clip that lies down throughout because it has another up axis",
            update=_clip_set,
        ),
    ]
    grounded: Annotated[
        bool,
        BoolProperty(
            name="On the Floor",
            description="Raise and lower the clip over time so that what carries the body rests on the floor",
            update=_clip_set,
        ),
    ]
    physical_flights: Annotated[
        bool,
        BoolProperty(
            name="Physical Flights",
            description="Imitate the nearest motion that is possible in free flight: the center of mass on a parabola, "
            "rotating evenly. The ghost shows it",
            update=_clip_set,
        ),
    ]
    physical_footing: Annotated[
        bool,
        BoolProperty(
            name="Physical Footing",
            description="Imitate the nearest motion that a floor can carry: nothing hangs from it, slips or tips. "
            "Soles that rest lie flat on it, and joints stay within their limits. Flights become physical, too. The "
            "ghost shows it",
            update=_clip_set,
        ),
    ]
    loops: Annotated[
        bool,
        BoolProperty(
            name="Loop",
            description="The clip is a cycle, such as a walk: perform it several times in a row",
            update=_clip_set,
        ),
    ]
    cycles: Annotated[
        int,
        IntProperty(name="Cycles", description="How many times in a row", default=3, min=2, max=20, update=_clip_set),
    ]
    show_ghost: Annotated[
        bool, BoolProperty(name="Show Ghost", description="Draw the reference beside the character", default=True)
    ]
    start_frame: Annotated[
        int,
        IntProperty(name="Start Frame", description="Scene frame at which the ghost and a baked take start", default=1),
    ]
    video: Annotated[BackflipVideo, PointerProperty(type=BackflipVideo)]

    # 3 Train
    goal: Annotated[
        str,
        EnumProperty(
            name="Goal",
            description="What you want from the training",
            items=choices.GOALS,
            get=choices.get_goal,
            set=choices.set_goal,
        ),
    ]
    longest: Annotated[
        float,
        FloatProperty(
            name="Up To",
            description="Longest time to train; training ends earlier once the goal is reached",
            min=3.0,
            soft_max=7200.0,
            max=36000.0,
            unit="TIME_ABSOLUTE",
            get=choices.get_longest,
            set=choices.set_longest,
        ),
    ]
    minutes: Annotated[
        float,
        FloatProperty(
            name="Minutes", description="Longest time to train", default=5.0, min=0.05, soft_max=600.0, precision=1
        ),
    ]
    seed: Annotated[
        int,
        IntProperty(
            name="Seed",
            description="Seed of the random numbers; another seed, another course of learning",
            default=0,
            min=0,
        ),
    ]
    workers: Annotated[
        int,
        IntProperty(
            name="Processes",
            description="Simulations that run in parallel; 0 uses every core",
            default=0,
            min=0,
            max=256,
        ),
    ]
    mode: Annotated[
        str, EnumProperty(name="Learning", description="How the stunt is learned", items=MODES, default="search")
    ]
    stop_when_landed: Annotated[
        bool,
        BoolProperty(name="Stop When Landed", description="End as soon as a take has landed", default=False),
    ]
    friction: Annotated[
        float, FloatProperty(name="Friction", description="Friction of the floor", default=0.9, min=0.0, max=3.0)
    ]
    engine: Annotated[
        str, EnumProperty(name="Physics", description="What simulates the takes", items=ENGINES, default="auto")
    ]
    follow: Annotated[
        str, EnumProperty(name="Follow", description="What counts more as it learns", items=FOLLOWS, default="both")
    ]
    job_folder: Annotated[
        str,
        StringProperty(
            name="Job",
            description="Folder of the training job",
            subtype="DIR_PATH",
            options={"HIDDEN", "PATH_SUPPORTS_BLEND_RELATIVE"},
        ),
    ]
    # Finds the job when the .blend alone was moved.
    job_folder_absolute: Annotated[str, StringProperty(subtype="DIR_PATH", options={"HIDDEN"})]

    # 4 Takes
    takes: Annotated[Collection[BackflipTake], CollectionProperty(type=BackflipTake)]
    take_index: Annotated[int, IntProperty(name="Take", update=takes.looked_for)]
    show_take: Annotated[
        bool,
        BoolProperty(
            name="Play in Viewport",
            description="Play the chosen take in the viewport: seen alone, neither saved nor rendered",
            default=True,
            update=takes.changed,
        ),
    ]
    browser: Annotated[BackflipBrowser, PointerProperty(type=BackflipBrowser)]
    road: Annotated[BackflipRoad, PointerProperty(type=BackflipRoad)]
    direction: Annotated[BackflipDirection, PointerProperty(type=BackflipDirection)]

    # 5 Bake and export
    baked_first: Annotated[int, IntProperty(options={"HIDDEN"})]
    baked_last: Annotated[int, IntProperty(options={"HIDDEN"})]
    export_format: Annotated[
        str, EnumProperty(name="Format", description="File format of the shot", items=FORMATS, default="FBX")
    ]


def scene_settings(scene: bpy.types.Scene) -> BackflipSettings:
    """What the add-on keeps in a scene, with its types: Blender's stubs know nothing of Scene.backflip."""
    return cast(BackflipSettings, cast(Any, scene).backflip)


_GROUPS = (*body.CLASSES, *road.CLASSES, *takes.CLASSES, *direction.CLASSES, *video.CLASSES)
CLASSES = (*_GROUPS, BackflipSettings)


def register() -> None:
    register_classes(CLASSES)
    bpy.types.Scene.backflip = PointerProperty(type=BackflipSettings)  # type: ignore[attr-defined]  # made here


def unregister() -> None:
    del bpy.types.Scene.backflip  # type: ignore[attr-defined]  # made above
    unregister_classes(CLASSES)
