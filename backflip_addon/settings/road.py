# SPDX-License-Identifier: GPL-3.0-or-later
"""Which steps of the sidebar are open, and what is drawn in the viewport, if anything at all."""

from __future__ import annotations

from typing import Annotated, Any

import bpy
from bpy.props import BoolProperty

from ..registration import CONTEXT

STEPS = ("avatar", "reference", "train", "takes", "bake")


class BackflipRoad(bpy.types.PropertyGroup):
    """The steps' panels, folded or open: a step that is done folds, and the next one opens."""

    avatar: Annotated[bool, BoolProperty(name="Character", description="Show this step", default=True)]
    reference: Annotated[bool, BoolProperty(name="Motion", description="Show this step")]
    train: Annotated[bool, BoolProperty(name="Train", description="Show this step")]
    takes: Annotated[bool, BoolProperty(name="Takes", description="Show this step")]
    bake: Annotated[bool, BoolProperty(name="Bake and Export", description="Show this step")]
    overlays: Annotated[
        bool,
        BoolProperty(
            name="Backflip",
            description="Show the body, the ghost, the takes and their legend in the viewport",
            default=True,
        ),
    ]
    path: Annotated[
        bool,
        BoolProperty(
            name="Center of Mass",
            description="Draw the path of the reference's center of mass and, dashed, where free fall would take it",
            default=True,
            translation_context=CONTEXT,
        ),
    ]
    before: Annotated[
        bool,
        BoolProperty(
            name="Before Fixes",
            description="Draw the reference as it was before it was fixed, beside the ghost",
            default=True,
        ),
    ]
    contacts: Annotated[
        bool,
        BoolProperty(
            name="Contacts",
            description="Draw a strip of what touches the floor in the reference, along its time",
            default=True,
        ),
    ]


def turn_to(settings: Any, *steps: str) -> None:
    """Open these steps and fold the others."""
    for step in STEPS:
        setattr(settings.road, step, step in steps)


CLASSES = (BackflipRoad,)
