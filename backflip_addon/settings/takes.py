# SPDX-License-Identifier: GPL-3.0-or-later
"""What the list of takes is made of, and how it is looked at.

What the user says of a take (its name, a note) is kept in the job's folder and not here: whoever reads that folder
puts itself into `notes`, so that a take's fields can be edited where it is shown.
"""

from __future__ import annotations

from typing import Annotated, Any, Protocol

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty, StringProperty

# core.outcome's kinds, in the order in which they are offered
OUTCOMES = (
    ("landed", "Landed", "Takes that landed and stand"),
    ("stumbled", "Stumbled", "Landed, with steps or hops after touchdown"),
    ("followed", "Followed", "Takes that followed a clip which does not end standing"),
    ("came_through", "Came Through", "Begun in the midst of the clip, they came to its end. That is no landing"),
    ("under_rotated", "Under-Rotated", "Came down before the turn was complete"),
    ("over_rotated", "Over-Rotated", "Turned too far"),
    ("never_left", "Never Left the Floor", "Did not get into the air"),
    ("fell_forward", "Fell Forward", "Fell onto its face"),
    ("fell_backward", "Fell Backward", "Fell onto its back"),
    ("fell_sideways", "Fell Sideways", "Fell to one side"),
    ("on_head", "On Its Head", "Came down on its head"),
    ("on_back", "On Its Back", "Came down on its back"),
    ("on_knees", "On Its Knees", "Came down on its knees"),
    ("on_hands", "On Its Hands", "Came down on its hands"),
    ("slumped", "Slumped", "Sank down without a fall"),
    ("strayed", "Strayed", "Left the clip far behind"),
    ("broken_off", "Broken Off", "Ended before anything was decided"),
    ("helped", "Helped Along", "Not simulated, or helped along: it counts for nothing"),
    ("exploded", "Exploded", "The simulation broke down: no physical performance"),
)
FILTERS = (
    ("all", "All Takes", "Show every take"),
    ("favourite", "Favorites", "Show your favorites only"),
    ("success", "Landed or Followed", "Show the takes that did what was asked"),
    ("failure", "Failed", "Show the takes that did not"),
    *((f"outcome_{kind}", label, f"{meaning}") for kind, label, meaning in OUTCOMES),
)
SORTS = (
    ("time", "Time", "In the order in which they were recorded"),
    ("score", "Closeness to Clip", "By how closely they follow the clip"),
    ("followed", "How Far It Got", "By how much of the clip they followed"),
    ("impact", "Hardest Impact", "By the speed at which they hit the floor"),
    ("unlike", "Most Unlike the Others", "By how much they differ from the other takes: the odd ones"),
)
LAYOUTS = (
    ("over", "Over Each Other", "Show all takes in one place"),
    ("beside", "Side by Side", "Show the takes in a row"),
)


class Notes(Protocol):
    """Where the user's words on takes are kept."""

    def get(self, take: BackflipTake, field: str) -> str: ...
    def set(self, take: BackflipTake, field: str, text: str) -> None: ...


class Playback(Protocol):
    """What plays takes in the viewport."""

    def get_position(self, browser: BackflipBrowser) -> float: ...
    def set_position(self, browser: BackflipBrowser, position: float) -> None: ...
    def changed(self, owner: Any) -> None: ...


class _Nothing:
    """Stands in for both until they are there."""

    def get(self, take: BackflipTake, _field: str) -> str:
        return take.name

    def set(self, take: BackflipTake, field: str, text: str) -> None:
        pass

    def get_position(self, _browser: BackflipBrowser) -> float:
        return 0.0

    def set_position(self, browser: BackflipBrowser, position: float) -> None:
        pass

    def changed(self, owner: Any) -> None:
        pass


notes: Notes = _Nothing()
playback: Playback = _Nothing()


def _get(field: str) -> Any:
    return lambda take: notes.get(take, field)


def _set(field: str) -> Any:
    return lambda take, text: notes.set(take, field, text)


def _get_position(browser: BackflipBrowser) -> float:
    return playback.get_position(browser)


def _set_position(browser: BackflipBrowser, position: float) -> None:
    playback.set_position(browser, position)


def changed(owner: Any, _context: bpy.types.Context) -> None:
    """Another take was chosen, or how it is shown."""
    playback.changed(owner)


def looked_for(owner: Any, context: bpy.types.Context) -> None:
    """Something was chosen that is to be seen: it is shown, though a bake may have hidden it."""
    settings = owner.id_data.backflip
    if settings.show_take:
        changed(owner, context)
    else:
        settings.show_take = True  # which has its own update


def choose_unasked(settings: Any, index: int) -> None:
    """Choose a take that nobody asked to see: where none is shown none will be."""
    shown = settings.show_take
    settings.take_index = index
    settings.show_take = shown


class BackflipTake(bpy.types.PropertyGroup):
    """One recorded take; name is its file's name."""

    landed: Annotated[bool, BoolProperty(name="Landed")]
    score: Annotated[float, FloatProperty(name="Score")]
    source: Annotated[str, StringProperty(name="Source")]
    title: Annotated[
        str,
        StringProperty(
            name="Name",
            description="Your name for this take. Clear it to have what became of the take",
            get=_get("name"),
            set=_set("name"),
        ),
    ]
    note: Annotated[
        str,
        StringProperty(
            name="Note",
            description="Your note on this take",
            get=_get("note"),
            set=_set("note"),
        ),
    ]


class BackflipBrowser(bpy.types.PropertyGroup):
    """How the takes are listed and played."""

    show: Annotated[str, EnumProperty(name="Show", description="Which takes to list", items=FILTERS)]
    sort: Annotated[str, EnumProperty(name="Sort By", description="The order in which takes are listed", items=SORTS)]
    descending: Annotated[
        bool, BoolProperty(name="Greatest First", description="Reverse the order: the latest or greatest first")
    ]
    position: Annotated[
        float,
        FloatProperty(
            name="Time",
            description="The moment of the take that the viewport shows; drag to scrub through it",
            min=0.0,
            max=100.0,
            subtype="PERCENTAGE",
            precision=0,
            options={"SKIP_SAVE"},
            get=_get_position,
            set=_set_position,
        ),
    ]
    # How many changes of what the user says of takes there were: an undo step holds it (operators.take_undo)
    edits: Annotated[int, IntProperty(options={"HIDDEN"})]
    timeline: Annotated[
        bool,
        BoolProperty(
            name="With the Timeline",
            description="Show the take in the character's place, at the scene's current frame",
            update=looked_for,
        ),
    ]
    solid: Annotated[
        bool,
        BoolProperty(
            name="Body Shapes",
            description="Show the shapes of the physical body instead of the character's mesh",
            update=looked_for,
        ),
    ]
    compare_reference: Annotated[
        bool, BoolProperty(name="Reference", description="Show the clip that is imitated as well", update=looked_for)
    ]
    curve: Annotated[
        bool,
        BoolProperty(
            name="Learning Curve",
            description="Draw how good the takes are in the corner of the viewport while the character learns",
            default=True,
            update=changed,
        ),
    ]
    layout: Annotated[
        str,
        EnumProperty(
            name="Layout", description="Where takes that are compared are shown", items=LAYOUTS, update=looked_for
        ),
    ]


CLASSES = (BackflipTake, BackflipBrowser)
