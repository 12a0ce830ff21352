# SPDX-License-Identifier: GPL-3.0-or-later
"""The lists that a user chooses from."""

from __future__ import annotations

from typing import Any

import bpy

GOALS = (
    ("LANDING", "Get One Landing", "Land, then learn to keep its balance. The quickest way to a shot"),
    ("RELIABLE", "Make It Reliable", "Land, then practise until it lands pushed and on other floors too"),
    ("FAILURES", "Show Me Failures", "Learn from nothing, and record every fall on the way"),
)
# mode, stop_when_landed and minutes for each of them
GOAL_SETTINGS = (("search", False, 5.0), ("auto", False, 20.0), ("scratch", False, 10.0))
MODES = (
    ("auto", "Search, then Policy", "Find a landing by search first, then learn a policy from it"),
    ("search", "Search, then Balance", "Find one performance by sampling, then feedback that keeps its balance"),
    ("scratch", "Policy From Scratch", "Learn by imitation alone, as DeepMimic does: the way with the most failures"),
)
ENGINES = (  # jobs.messages.Engine
    ("auto", "Automatic", "PyBullet where the trainer's Python has it, else Backflip's own physics"),
    ("pybullet", "PyBullet", "PyBullet, which the trainer's Python must have"),
    ("compiled", "Backflip's Own", "Backflip's own physics, which every computer has"),
)
FOLLOWS = (  # jobs.messages.Follow
    ("both", "Both", "Where the clip goes and how it moves, as usual"),
    ("place", "Place", "Be where the clip is, three times as strictly; poses may suffer"),
    ("style", "Style", "Move as the clip does; where it goes hardly counts, and the take may travel elsewhere"),
)
STRENGTHS = (  # core.rigs.strength_presets
    ("person", "Person", "An average adult's: enough to walk, jump and turn cartwheels"),
    ("athlete", "Athlete", "A trained gymnast's: enough for flips and kicks"),
    (
        "superhero",
        "Superhero",
        "Twice an athlete's, and as great at any speed: for stunts that nobody can do",
    ),
)
FORMATS = (
    ("FBX", "FBX", "Autodesk FBX, with the animation baked"),
    ("USD", "USD", "Universal Scene Description"),
    ("ALEMBIC", "Alembic", "Alembic point cache of the meshes"),
    ("GLTF", "glTF", "glTF binary, GLB"),
    ("BVH", "BVH", "Motion capture skeleton without meshes"),
)
SOME_MASS = 70.0  # kg, to begin with where there is no body yet


def is_armature(_settings: Any, ob: bpy.types.Object) -> bool:
    return ob.type == "ARMATURE"


def get_own_mass(settings: Any) -> bool:
    """Whether the body has a mass of the user's own: the mass alone is kept, and 0 means the usual one."""
    return bool(settings.mass > 0.0)


def set_own_mass(settings: Any, own: bool) -> None:
    """Begin with the mass that the body has, or go back to the usual one."""
    if own != get_own_mass(settings):
        settings.mass = (settings.body_mass or SOME_MASS) if own else 0.0


def get_goal(settings: Any) -> int:
    """The goal that the settings under Advanced come to: they alone are kept."""
    if settings.mode == "scratch":
        return 2
    return 0 if settings.mode == "search" or settings.stop_when_landed else 1


def set_goal(settings: Any, index: int) -> None:
    """Set what is under Advanced to a goal's usual values."""
    settings.mode, settings.stop_when_landed, settings.minutes = GOAL_SETTINGS[index]


def get_longest(settings: Any) -> float:
    return float(settings.minutes) * 60.0


def set_longest(settings: Any, seconds: float) -> None:
    settings.minutes = seconds / 60.0
