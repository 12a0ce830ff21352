# SPDX-License-Identifier: GPL-3.0-or-later
"""A scene's list of takes, brought up to what its job has: a few items at a time, and those alone that differ."""

from __future__ import annotations

import dataclasses
from array import array

import bpy

from ..jobs.events import Budget
from ..jobs.status import plain
from ..jobs.takes import TakeList
from ..registration import Collection
from ..settings import BackflipSettings, BackflipTake, scene_settings
from ..settings.takes import choose_unasked

ITEMS_AT_A_TIME = 32  # added between two looks at the clock
LONG = 1000
FEW = 64  # items that are removed one by one
LONGEST_SOURCE = 64


@dataclasses.dataclass
class Shown:
    """What a scene's list holds: names as its items have them, of the job's takes as they were at version.

    verified: the items are known to be these takes; not so after a file was loaded or a step undone.
    kept: follows and chosen are as they were before a step was undone.
    """

    takes: TakeList | None = None
    version: int = -1
    names: list[str] = dataclasses.field(default_factory=list)
    verified: bool = False
    changing: bool = False  # the list is being brought up to a version, for more than one call
    follows: bool = True  # the last take stays chosen
    chosen: str = ""
    kept: bool = False


def keep_choice(scene: bpy.types.Scene, shown: Shown | None) -> Shown:
    """What is shown once a step has been undone, of which nothing is known but what is chosen: an undo step may hold
    another job's list, or a choice from before the best take was known, so that none takes a choice back."""
    if shown is not None and shown.kept:
        return shown  # another step was undone just now
    settings, kept = scene_settings(scene), Shown(kept=True)
    last = len(settings.takes) - 1
    if settings.take_index < last or (settings.take_index == last >= 0 and settings.takes[last].landed):
        kept.follows, kept.chosen = False, settings.takes[settings.take_index].name
    return kept


def show(scene: bpy.types.Scene, shown: Shown, takes: TakeList, budget: Budget, live: bool = False) -> bool:
    """Bring the list up to takes, as far as budget goes. Whether there is more to do.

    The last one stays chosen where it was; live: these are news, and one that landed is held on to.
    """
    settings, items = scene_settings(scene), scene_settings(scene).takes
    if takes is not shown.takes:
        if shown.takes is not None:  # another job: its takes may have the same names
            items.clear()
        shown.takes, shown.version = takes, -1
    if len(items) != len(shown.names):
        shown.names = [item.name for item in items]
        shown.version, shown.verified = -1, False
        if len(items) > LONG:
            return True  # that was enough for once
    if shown.version == takes.version:
        return False
    if not (shown.changing or shown.kept):
        _note_choice(settings, shown, live)
    if not shown.verified and not _hold(items, shown.names, takes):
        items.clear()
        shown.names.clear()
    shown.verified = shown.changing = True
    if not (_remove(items, shown.names, takes, budget) and _add(items, shown.names, takes, budget)):
        return True
    shown.changing, shown.kept, shown.version = False, False, takes.version
    _choose(settings, shown)
    return False


def _note_choice(settings: BackflipSettings, shown: Shown, live: bool) -> None:
    shown.follows = settings.take_index >= len(shown.names) - 1  # the latest was chosen, or nothing
    if live and settings.take_index == len(shown.names) - 1 and settings.takes[settings.take_index].landed:
        shown.follows = False
    shown.chosen = "" if shown.follows else shown.names[settings.take_index]


def _choose(settings: BackflipSettings, shown: Shown) -> None:
    """The take that was chosen is chosen still; it may have moved."""
    index = len(shown.names) - 1
    if not shown.follows and shown.chosen in shown.names:
        index = shown.names.index(shown.chosen)
    if settings.take_index != max(index, 0):
        choose_unasked(settings, max(index, 0))


def _hold(items: Collection[BackflipTake], names: list[str], takes: TakeList) -> bool:
    """Whether the items are the first of the takes, as they are known."""
    scores, landings = array("f", bytes(4 * len(items))), [False] * len(items)
    items.foreach_get("score", scores)
    items.foreach_get("landed", landings)
    first = slice(len(items))
    return names == takes.names[first] and scores == takes.scores[first] and landings == takes.landings[first]


def _remove(items: Collection[BackflipTake], names: list[str], takes: TakeList, budget: Budget) -> bool:
    """Remove the items whose takes are gone; whether all are."""
    if names == takes.names[: len(names)]:
        return True
    gone = [index for index, name in enumerate(names) if name not in takes.facts]
    if len(gone) > FEW:
        items.clear()
        names.clear()
        return True
    for index in reversed(gone):
        items.remove(index)
        del names[index]
        if budget.spent():
            return index == gone[0]
    return True


def _add(items: Collection[BackflipTake], names: list[str], takes: TakeList, budget: Budget) -> bool:
    """Add what is lacking, each in its place; whether all is there."""
    wanted, added = takes.names, 0
    first = len(names) if names == wanted[: len(names)] else 0
    for index in range(first, len(wanted)):
        name = wanted[index]
        if index < len(names) and names[index] == name:
            continue
        _fill(items.add(), takes, index)
        if index < len(names):
            items.move(len(names), index)
        names.insert(index, name)
        added += 1
        if not added % ITEMS_AT_A_TIME and budget.spent():
            return len(names) == len(wanted)
    return True


def _fill(item: BackflipTake, takes: TakeList, index: int) -> None:
    item.name = takes.names[index]
    item.landed = takes.landings[index]
    item.score = takes.scores[index]
    item.source = plain(takes.facts[item.name].source, LONGEST_SOURCE)
