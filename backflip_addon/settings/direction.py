# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of the next takes, as the Shoot panel has it: core.direction.Direction with units and words.

Defaults and limits are core.direction's; operators/directions.py goes between the two.
"""

from __future__ import annotations

import math
from typing import Annotated

import bpy
from bpy.props import BoolProperty, CollectionProperty, EnumProperty, FloatProperty, IntProperty, StringProperty

from ..registration import Collection
from .takes import changed

# core.body.LINK_NAMES
PARTS = (
    ("chest", "Chest", ""),
    ("pelvis", "Pelvis", ""),
    ("head", "Head", ""),
    ("upper_arm.L", "Left Upper Arm", ""),
    ("forearm.L", "Left Forearm", ""),
    ("hand.L", "Left Hand", ""),
    ("thigh.L", "Left Thigh", ""),
    ("shin.L", "Left Shin", ""),
    ("foot.L", "Left Foot", ""),
    ("upper_arm.R", "Right Upper Arm", ""),
    ("forearm.R", "Right Forearm", ""),
    ("hand.R", "Right Hand", ""),
    ("thigh.R", "Right Thigh", ""),
    ("shin.R", "Right Shin", ""),
    ("foot.R", "Right Foot", ""),
)
MANNERS = (
    ("replanned", "Adapts", "The take is planned anew for what is asked: it manages in spite of it, if it can"),
    ("learned", "As Learned", "What was learned is performed as it is: it does what it can, and fails where it must"),
)
SWEEPS = (
    ("push_strength", "Push", "How hard it is pushed, N s"),
    ("push_at", "Push Time", "When it is pushed, s"),
    ("friction", "Friction", "Friction of the floor"),
    ("slope", "Slope", "Slope of the floor, degrees"),
    ("gravity", "Gravity", "Gravity, m/s²"),
    ("mass", "Weight", "Factor of the character's weight"),
    ("strength", "Strength", "Factor of its strength"),
    ("fatigue", "Fatigue", "Share of its strength that is lost a second"),
    ("clumsiness", "Clumsiness", "How far its joints stray, degrees"),
    ("delay", "Delay", "How late it reacts, s"),
    ("drunk", "Drunk", "How far its sense of balance is off, 0 to 1"),
    ("start_noise", "Start", "How unsteady its start is"),
    ("tone", "Tone", "How it falls: 0 limp, 1 fighting"),
    ("falls_at", "Gives Up", "When it gives up, s"),
)

# The values of a sweep's first and last take, until others are chosen: each goes from little to much, within its bounds
SWEPT: dict[str, tuple[float, float]] = {
    "push_strength": (10.0, 80.0),
    "push_at": (0.2, 1.0),
    "friction": (0.9, 0.1),
    "slope": (2.0, 18.0),
    "gravity": (9.0, 2.0),
    "mass": (1.2, 2.0),
    "strength": (0.9, 0.5),
    "fatigue": (0.05, 0.4),
    "clumsiness": (2.0, 10.0),
    "delay": (0.02, 0.2),
    "drunk": (0.2, 1.0),
    "start_noise": (0.5, 3.0),
    "tone": (0.0, 1.0),
    "falls_at": (0.2, 1.0),
}
SWEPT_TAKES = 5  # of a sweep that is switched on where one take was asked for


def _sweep_switched(fields: BackflipDirection, _context: bpy.types.Context) -> None:
    if fields.sweep and fields.count == 1 and not bpy.app.background:  # a command line says how many it wants
        fields.count = SWEPT_TAKES


def _sweep_chosen(fields: BackflipDirection, _context: bpy.types.Context) -> None:
    """Begin and end where the new value may: 10 to 80 is a push, and no friction."""
    fields.sweep_from, fields.sweep_to = SWEPT[fields.sweep_what]


class BackflipLoad(bpy.types.PropertyGroup):
    """What one part of the body carries."""

    part: Annotated[str, EnumProperty(name="Part", description="The part of the body that carries it", items=PARTS)]
    kilograms: Annotated[
        float,
        FloatProperty(
            name="Load",
            description="What the part carries besides its own weight: a backpack on the chest, a cast on a shin",
            default=5.0,
            min=0.0,
            max=200.0,
            soft_max=40.0,
            precision=1,
            unit="MASS",
        ),
    ]


class BackflipDirection(bpy.types.PropertyGroup):
    """What is asked of the next takes."""

    # How many, and by what
    count: Annotated[int, IntProperty(name="Takes", description="How many takes to shoot", default=1, min=1, max=100)]
    seed: Annotated[
        int,
        IntProperty(
            name="First Seed",
            description="Seed of the first take; each further take has the next one. The same seed and the same "
            "circumstances give the same take",
            min=0,
        ),
    ]
    manner: Annotated[str, EnumProperty(name="Manner", description="How it copes with what is asked", items=MANNERS)]
    stage: Annotated[
        str,
        StringProperty(
            name="Stage",
            description="How far it had learned: a saved stage, by its file's name. Empty for the best there is",
        ),
    ]

    # A push
    push: Annotated[
        bool,
        BoolProperty(name="Push", description="Push the character. An arrow in the viewport shows it", update=changed),
    ]
    push_at: Annotated[
        float,
        FloatProperty(
            name="At",
            description="When it is pushed, from the take's start on",
            default=0.5,
            min=0.0,
            max=600.0,
            soft_max=5.0,
            precision=2,
            unit="TIME_ABSOLUTE",
            update=changed,
        ),
    ]
    push_link: Annotated[
        str, EnumProperty(name="Where", description="The part that is pushed", items=PARTS, update=changed)
    ]
    push_strength: Annotated[
        float,
        FloatProperty(
            name="Strength (N s)",
            description="How hard it is pushed, in newton seconds: 30 is a shove, 100 a rugby tackle",
            default=30.0,
            min=0.0,
            max=1000.0,
            soft_max=200.0,
            precision=1,
            update=changed,
        ),
    ]
    push_heading: Annotated[
        float,
        FloatProperty(
            name="Heading",
            description="Which way it is pushed, seen from above: 0° the way it faces, 90° to its left",
            min=-2 * math.pi,
            max=2 * math.pi,
            subtype="ANGLE",
            update=changed,
        ),
    ]
    push_elevation: Annotated[
        float,
        FloatProperty(
            name="Upward",
            description="How far the push goes up, or down where it is below 0°",
            min=-math.pi / 2,
            max=math.pi / 2,
            subtype="ANGLE",
            update=changed,
        ),
    ]

    # The floor and the world
    own_floor: Annotated[
        bool,
        BoolProperty(name="Other Floor", description="Shoot on a floor of another friction than it was trained on"),
    ]
    friction: Annotated[
        float,
        FloatProperty(
            name="Friction",
            description="Friction of the floor: 0.1 is ice, 0.9 a gym's floor, 3 sticks",
            default=0.9,
            min=0.0,
            max=10.0,
            soft_max=3.0,
            precision=2,
        ),
    ]
    slope: Annotated[
        float,
        FloatProperty(name="Slope", description="How far the floor slopes", min=0.0, max=math.pi / 4, subtype="ANGLE"),
    ]
    slope_heading: Annotated[
        float,
        FloatProperty(
            name="Downhill",
            description="Which way is down, seen from above: 0° the way it faces, 90° to its left",
            min=-2 * math.pi,
            max=2 * math.pi,
            subtype="ANGLE",
        ),
    ]
    gravity: Annotated[
        float,
        FloatProperty(
            name="Gravity",
            description="Gravity: the Moon has 1.62, Mars 3.73, the Earth 9.81, Jupiter 24.8",
            default=9.81,
            min=0.5,
            max=30.0,
            precision=2,
            unit="ACCELERATION",
        ),
    ]

    # The performer
    mass: Annotated[
        float,
        FloatProperty(
            name="Weight",
            description="Factor of the whole body's weight",
            default=1.0,
            min=0.05,
            max=20.0,
            soft_max=3.0,
        ),
    ]
    loads: Annotated[Collection[BackflipLoad], CollectionProperty(type=BackflipLoad)]
    strength: Annotated[
        float,
        FloatProperty(
            name="Strength", description="Factor of its strength: 0.6 is weak", default=1.0, min=0.0, max=5.0
        ),
    ]
    fatigue: Annotated[
        float,
        FloatProperty(
            name="Fatigue",
            description="The share of its strength that it loses per second",
            min=0.0,
            max=2.0,
            soft_max=0.5,
        ),
    ]
    clumsiness: Annotated[
        float,
        FloatProperty(name="Clumsiness", description="How far its joints stray", min=0.0, max=1.0, subtype="ANGLE"),
    ]
    clumsiness_time: Annotated[
        float,
        FloatProperty(
            name="Over",
            description="How long a joint strays in one direction: short is a tremble, long a sway",
            default=0.3,
            min=0.02,
            max=5.0,
            precision=2,
            unit="TIME_ABSOLUTE",
        ),
    ]
    delay: Annotated[
        float,
        FloatProperty(
            name="Delay",
            description="How late it reacts",
            min=0.0,
            max=1.0,
            precision=3,
            unit="TIME_ABSOLUTE",
        ),
    ]
    drunk: Annotated[
        float,
        FloatProperty(
            name="Drunk", description="How far its sense of balance is off", min=0.0, max=1.0, subtype="FACTOR"
        ),
    ]
    start_noise: Annotated[
        float,
        FloatProperty(
            name="Unsteady Start", description="How far its start is off; 1 is a little", min=0.0, max=5.0, precision=2
        ),
    ]

    # How it falls
    tone: Annotated[
        float,
        FloatProperty(
            name="Tone",
            description="How it falls: 0 goes limp, 1 fights back to the stunt",
            default=0.3,
            min=0.0,
            max=1.0,
            subtype="FACTOR",
        ),
    ]
    reflex: Annotated[
        bool,
        BoolProperty(
            name="Reflex",
            description="Arms reach for the floor it falls towards, the head tucks, the knees give",
            default=True,
        ),
    ]
    gives_up: Annotated[
        bool,
        BoolProperty(
            name="Gives Up", description="It gives up at a moment of your choice instead of when the take is lost"
        ),
    ]
    falls_at: Annotated[
        float,
        FloatProperty(
            name="At",
            description="When it gives up, from the take's start on",
            default=0.5,
            min=0.0,
            max=600.0,
            soft_max=5.0,
            precision=2,
            unit="TIME_ABSOLUTE",
        ),
    ]

    # One value from take to take
    sweep: Annotated[
        bool,
        BoolProperty(
            name="Sweep",
            description="Change one value from take to take: a little stronger each time",
            update=_sweep_switched,
        ),
    ]
    sweep_what: Annotated[
        str,
        EnumProperty(
            name="Value", description="The value that changes from take to take", items=SWEEPS, update=_sweep_chosen
        ),
    ]
    sweep_from: Annotated[
        float, FloatProperty(name="From", description="The value in the first take", default=10.0, precision=2)
    ]
    sweep_to: Annotated[
        float, FloatProperty(name="To", description="The value in the last take", default=80.0, precision=2)
    ]


CLASSES = (BackflipLoad, BackflipDirection)
