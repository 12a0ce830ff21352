# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of takes as it is looked at: which are shown, in which order, and what the user says of each."""

from __future__ import annotations

import dataclasses
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, cast

import bpy
import numpy as np
from bpy.props import BoolProperty, EnumProperty, StringProperty

from .. import compat
from ..core.unlikeness import unlikeness
from ..core.verdict import verdict
from ..jobs.json_files import JobError
from ..jobs.messages import TakeRecorded
from ..jobs.take_notes import NOTHING, TakeNote, TakeNotes
from ..settings import BackflipTake, scene_settings
from ..settings import takes as take_settings
from ..wording import in_parts
from . import job_monitor, take_player, take_undo
from .base import INTERNAL, Step, current_scene, need_job

SHOWN = 1 << 30  # UIList.bitflag_filter_item (UILST_FLT_ITEM)
_MOMENT = re.compile(r" at \d+\.\d+ s")  # of a verdict
_OUTCOME = "outcome_"  # how the filter's words for a kind of verdict begin
UNLIKE_BY = ("score", "followed", "turned_deg", "highest_m", "impact_m_s", "outcome_at")  # of TakeRecorded


@dataclasses.dataclass(frozen=True)
class View:
    """How a list is shown. flags: Blender's, by item; order: each item's place; shown: items in that order."""

    flags: list[int]
    order: list[int]
    shown: list[int]


_views: dict[int, tuple[tuple[Any, ...], View]] = {}  # by the scene's session_uid: what it was made of, and the view
_searches: dict[int, str] = {}  # by the scene's session_uid: what the list is searched for


def view(scene: bpy.types.Scene, search: str | None = None) -> View:
    """How the scene's list is to be shown, worked out when something has changed.

    search: a text to look for, None for the last one. Cheap enough for drawing.
    """
    if search is not None:
        _searches[scene.session_uid] = search
    search = _searches.get(scene.session_uid, "")
    names, version = job_monitor.listed(scene)
    browser, notes = scene_settings(scene).browser, job_monitor.notes_of(scene)
    asked: tuple[Any, ...] = (scene_settings(scene).job_folder_absolute, len(names), version, search)
    asked += (notes.version if notes else -1, browser.show, browser.sort, browser.descending)
    kept = _views.get(scene.session_uid)
    if kept is None or kept[0] != asked:
        kept = (asked, _view(scene, names, search))
        _views[scene.session_uid] = kept
    return kept[1]


def _view(scene: bpy.types.Scene, names: Sequence[str], search: str) -> View:
    browser = scene_settings(scene).browser
    known, said = job_monitor.known_facts(scene), job_monitor.notes_of(scene)
    facts = [known.get(name) or TakeRecorded(file=name) for name in names]
    notes = [said.of(name) if said else NOTHING for name in names]
    wanted = _wanted(browser.show)
    shown = [i for i in range(len(names)) if wanted(facts[i], notes[i])]
    if search:
        sought = search.casefold()
        shown = [i for i in shown if sought in f"{title(facts[i], notes[i])} {names[i]} {notes[i].note}".casefold()]
    if browser.sort != "time":
        keys = _keys(browser.sort, facts)
        shown.sort(key=lambda i: keys[i])
    if browser.descending:
        shown.reverse()
    flags = [0] * len(names)
    for i in shown:
        flags[i] = SHOWN
    order = [0] * len(names)
    hidden = [i for i in range(len(names)) if not flags[i]]
    for place, i in enumerate([*shown, *hidden]):
        order[i] = place
    return View(flags, order, shown)


def _wanted(show: str) -> Callable[[TakeRecorded, TakeNote], bool]:
    """Whether a take is shown."""
    if show.startswith(_OUTCOME):
        return lambda facts, _note: outcome_of(facts) == show.removeprefix(_OUTCOME)
    by_name: dict[str, Callable[[TakeRecorded, TakeNote], bool]] = {
        "all": lambda _facts, _note: True,
        "favourite": lambda _facts, note: note.favourite,
        "success": lambda facts, _note: facts.landed or facts.success,
        "failure": lambda facts, _note: not (facts.landed or facts.success),
    }
    return by_name[show]


def _keys(sort: str, facts: Sequence[TakeRecorded]) -> list[float]:
    """What to sort by, the least first; what isn't known comes before all else."""
    if sort == "unlike":
        by = operator.attrgetter(*UNLIKE_BY)
        values = np.array([by(fact) for fact in facts], dtype=float).reshape(len(facts), -1)  # None is NaN
        return cast(list[float], unlikeness(values).tolist())
    name = {"score": "score", "followed": "followed", "impact": "impact_m_s"}[sort]
    keys = [_number(fact, name) for fact in facts]
    return [-math.inf if math.isnan(key) else key for key in keys]


def _number(facts: TakeRecorded, name: str) -> float:
    value = getattr(facts, name, None)
    return float(value) if isinstance(value, (int, float)) else math.nan


def outcome_of(facts: TakeRecorded) -> str:
    """The kind of core.outcome that became of a take; of one that tells none, whether it landed."""
    return facts.outcome or ("landed" if facts.landed else "")


# What the user says


def note_of(scene: bpy.types.Scene, name: str) -> TakeNote:
    """What the user says of a take of the scene's list. Cheap enough for drawing."""
    notes = job_monitor.notes_of(scene)
    return notes.of(name) if notes else NOTHING


def title(facts: TakeRecorded, note: TakeNote) -> str:
    """What a take is called: by the user, else by its number and what became of it."""
    return note.name or usual_title(facts)


def became(values: Mapping[str, object]) -> str:
    """What became of a take, and not when, by the names of its measures; "" where that is not known."""
    return _MOMENT.sub("", verdict(values))


def under(asked: str, words: str) -> str:
    """What became of a take after what it was asked to bear, which comes first: a list cuts off the end."""
    return f"{asked[:1].upper()}{asked[1:]}: {words[:1].lower()}{words[1:]}" if asked and words else words


def usual_title(facts: TakeRecorded) -> str:
    """The number of a take, what it was asked to bear, and what became of it, not when: "12 Slippery 0.1: landed"."""
    number, _, rest = facts.file.removesuffix(".npz").partition("_")
    words = under(in_parts(facts.asked), in_parts(became(vars(facts)))) or facts.name or rest or number
    return f"{int(number)} {words}" if number.isdecimal() and len(number) < 10 else words


class _Notes:
    """The fields of an item in the list that are kept in the job's folder (settings.takes.Notes)."""

    def get(self, take: BackflipTake, field: str) -> str:
        scene = cast(bpy.types.Scene, take.id_data)
        note = note_of(scene, take.name)
        if field == "note":
            return note.note
        return title(job_monitor.facts_of(scene, take.name) or TakeRecorded(file=take.name), note)

    def set(self, take: BackflipTake, field: str, text: str) -> None:
        scene = cast(bpy.types.Scene, take.id_data)
        notes = job_monitor.notes_of(scene)
        if notes is None or text == self.get(take, field):
            return
        try:
            take_undo.change(scene, notes, take.name, **{field: text})
        except JobError as error:
            notes.trouble = str(error)  # a field has no report: the panel says it
        compat.redraw(sidebar_alone=True)


def _notes(scene: bpy.types.Scene) -> TakeNotes:
    """The notes of the scene's job, read if need be. Raises JobError."""
    job_monitor.refresh(scene)
    notes = job_monitor.notes_of(scene)
    if notes is None:
        raise JobError("This scene has no training yet; start one, or open an earlier one.")
    return notes


def _named(scene: bpy.types.Scene, take: str) -> str:
    """The take that is meant, by name or, if empty, the chosen one. Raises JobError where there is none."""
    items = scene_settings(scene).takes
    if not take and scene_settings(scene).take_index < len(items):
        take = items[scene_settings(scene).take_index].name
    if not take or take not in items:
        raise JobError(f"There is no take called {take}; choose one from the list." if take else "Choose a take first.")
    return take


def _called(scene: bpy.types.Scene, take: str) -> str:
    """What the list calls a take."""
    item = scene_settings(scene).takes.get(take)
    return item.title if item is not None else take


def _need_takes(scene: bpy.types.Scene) -> str:
    return "" if len(scene_settings(scene).takes) else "There is no take yet: train first (step 3)."


def _need_shown(scene: bpy.types.Scene) -> str:
    return "" if view(scene).shown else "The list shows no takes: choose which takes to show."


def _need_binned(scene: bpy.types.Scene) -> str:
    return "" if job_monitor.binned(scene) else "The bin is empty."


class FavouriteTake(Step, bpy.types.Operator):
    """Mark or unmark this take as a favorite. The mark is kept with the takes"""

    bl_idname = "backflip.favourite_take"
    bl_label = "Favorite"
    bl_options = {"UNDO"}
    needs = (need_job, _need_takes)

    take: Annotated[str, StringProperty(name="Take", description="The chosen one when empty", options=INTERNAL)]

    def run(self, context: bpy.types.Context) -> None:
        scene = current_scene(context)
        name, notes = _named(scene, self.take), _notes(scene)
        take_undo.change(scene, notes, name, favourite=not notes.of(name).favourite)
        compat.redraw(sidebar_alone=True)


class DeleteTake(Step, bpy.types.Operator):
    """Move the chosen take to the bin. Undo and Restore Take bring it back"""

    bl_idname = "backflip.delete_take"
    bl_label = "Delete Take"
    bl_options = {"UNDO"}
    needs = (need_job, _need_takes)

    take: Annotated[str, StringProperty(name="Take", description="The chosen one when empty", options=INTERNAL)]

    def run(self, context: bpy.types.Context) -> None:
        scene = current_scene(context)
        name, notes = _named(scene, self.take), _notes(scene)
        if not self.take and scene_settings(scene).take_index not in view(scene).shown:
            raise JobError("The chosen take is not in the list as it is shown now; choose one that is.")
        chosen = scene_settings(scene).takes[scene_settings(scene).take_index].name
        after = _neighbour(scene, name) if name == chosen else chosen
        called = _called(scene, name)
        if not take_undo.delete(scene, notes, [name]):
            raise JobError(f"{name} is not in the training's folder any more.")
        take_player.forget(scene, name)
        job_monitor.refresh(scene, whole=True)
        choose(scene, after)
        self.report({"INFO"}, f"Moved {called} to the bin; Restore Take brings it back.")


class RestoreTake(Step, bpy.types.Operator):
    """Bring the last deleted take back from the bin"""

    bl_idname = "backflip.restore_take"
    bl_label = "Restore Take"
    bl_options = {"UNDO"}
    needs = (need_job, _need_binned)

    take: Annotated[str, StringProperty(name="Take", description="The last deleted when empty", options=INTERNAL)]
    all: Annotated[
        bool, BoolProperty(name="All", description="Bring back all that is in the bin", options={"SKIP_SAVE"})
    ]

    def run(self, context: bpy.types.Context) -> None:
        scene = current_scene(context)
        notes = _notes(scene)
        binned = notes.binned()
        wanted = binned if self.all else [name for name in binned if self.take in ("", name)][:1]
        if not wanted:
            raise JobError(f"There is no {self.take} in the bin." if self.take else "The bin is empty.")
        restored = take_undo.restore(scene, notes, wanted)
        job_monitor.refresh(scene, whole=True)
        choose(scene, restored[0])
        words = _called(scene, restored[0]) if len(restored) == 1 else f"{len(restored)} takes"
        self.report({"INFO"}, f"Brought back {words}.")


class ChooseTake(Step, bpy.types.Operator):
    """Choose another take from the list"""

    bl_idname = "backflip.choose_take"
    bl_label = "Choose Take"
    needs = (need_job, _need_takes, _need_shown)

    which: Annotated[
        str,
        EnumProperty(
            name="Which",
            items=(
                ("NEXT", "Next", "The next one down the list"),
                ("PREVIOUS", "Previous", "The next one up the list"),
                ("FIRST", "First", "The first of the list"),
                ("LAST", "Last", "The last of the list"),
            ),
            options={"SKIP_SAVE"},
        ),
    ]

    @classmethod
    def description(cls, _context: bpy.types.Context, properties: bpy.types.OperatorProperties) -> str:
        which = {"NEXT": "next", "PREVIOUS": "previous", "FIRST": "first", "LAST": "last"}[properties.which]
        return f"Choose the {which} take in the list"

    def run(self, context: bpy.types.Context) -> None:
        settings, shown = scene_settings(current_scene(context)), view(current_scene(context)).shown
        place = shown.index(settings.take_index) if settings.take_index in shown else -1
        last = len(shown) - 1
        places = {"FIRST": 0, "LAST": last, "NEXT": min(place + 1, last), "PREVIOUS": max(place - 1, 0)}
        settings.take_index = shown[places[self.which]]


def choose(scene: bpy.types.Scene, name: str) -> None:
    """Choose a take of the list by name, where it is there."""
    names, _version = job_monitor.listed(scene)
    if name in names and len(names) == len(scene_settings(scene).takes):
        scene_settings(scene).take_index = names.index(name)


def _neighbour(scene: bpy.types.Scene, name: str) -> str:
    """The take that is shown after another, or before it, "" for none."""
    names, _version = job_monitor.listed(scene)
    shown = [names[i] for i in view(scene).shown]
    if name not in shown or len(shown) < 2:
        return ""
    place = shown.index(name)
    return shown[place + 1] if place + 1 < len(shown) else shown[place - 1]


def register() -> None:
    take_settings.notes = _Notes()


def unregister() -> None:
    _views.clear()
    _searches.clear()


CLASSES = (FavouriteTake, DeleteTake, RestoreTake, ChooseTake)
