# SPDX-License-Identifier: GPL-3.0-or-later
"""A scene's list of takes, brought up to what its job has: a few items at a time, and those alone that differ."""

from __future__ import annotations

import dataclasses
from typing import Any

import bpy

from ..jobs.events import Budget
from ..jobs.status import decimal, plain
from ..jobs.takes import TakeList

ITEMS_AT_A_TIME = 64  # added between two looks at the clock
FEW = 64  # items that are removed one by one
LONGEST_SOURCE = 64
GREATEST_SCORE = 1e30  # Blender keeps single precision


@dataclasses.dataclass
class Shown:
    """What a scene's list holds: names as its items have them, of the job's takes as they were at version.

    verified: the items are known to be these takes; not so after a file was loaded or a step undone.
    """

    takes: TakeList | None = None
    version: int = -1
    names: list[str] = dataclasses.field(default_factory=list)
    verified: bool = False
    changing: bool = False  # the list is being brought up to a version, for more than one call
    follows: bool = True  # the last take stays chosen
    chosen: str = ""


def show(scene: bpy.types.Scene, shown: Shown, takes: TakeList, budget: Budget) -> bool:
    """Bring the list up to takes, as far as budget goes. Whether there is more to do."""
    settings, items = scene.backflip, scene.backflip.takes
    if takes is not shown.takes:
        if shown.takes is not None:  # another job: its takes may have the same names
            items.clear()
        shown.takes, shown.version = takes, -1
    if len(items) != len(shown.names):
        shown.names = [item.name for item in items]
        shown.version, shown.verified = -1, False
    if shown.version == takes.version:
        return False
    if not shown.changing:
        _note_choice(settings, shown)
    if not shown.verified and not _hold(items, shown.names, takes):
        items.clear()
        shown.names.clear()
    shown.verified = shown.changing = True
    if not (_remove(items, shown.names, takes, budget) and _add(items, shown.names, takes, budget)):
        return True
    shown.changing, shown.version = False, takes.version
    _choose(settings, shown)
    return False


def _note_choice(settings: Any, shown: Shown) -> None:
    shown.follows = settings.take_index >= len(shown.names) - 1  # the latest was chosen, or nothing
    shown.chosen = "" if shown.follows else shown.names[settings.take_index]


def _choose(settings: Any, shown: Shown) -> None:
    """The take that was chosen is chosen still; it may have moved."""
    index = len(shown.names) - 1
    if not shown.follows and shown.chosen in shown.names:
        index = shown.names.index(shown.chosen)
    if settings.take_index != max(index, 0):
        settings.take_index = max(index, 0)


def _hold(items: Any, names: list[str], takes: TakeList) -> bool:
    """Whether the items stand in order and say of those takes that are there what is known of them."""
    scores, landed = [0.0] * len(items), [False] * len(items)
    items.foreach_get("score", scores)
    items.foreach_get("landed", landed)
    said = zip(names, scores, landed, strict=True)
    for name, score, lands in said:
        facts = takes.facts.get(name)
        if facts is not None and (bool(facts.get("landed")) != lands or abs(score_of(facts) - score) > 1e-4):
            return False
    return all(first < second for first, second in zip(names, names[1:], strict=False))


def _remove(items: Any, names: list[str], takes: TakeList, budget: Budget) -> bool:
    """Remove the items whose takes are gone; whether all are."""
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


def _add(items: Any, names: list[str], takes: TakeList, budget: Budget) -> bool:
    """Add what is lacking, each in its place; whether all is there."""
    wanted, added = takes.names, 0
    first = len(names) if names == wanted[: len(names)] else 0
    for index in range(first, len(wanted)):
        name = wanted[index]
        if index < len(names) and names[index] == name:
            continue
        _fill(items.add(), name, takes.facts[name])
        if index < len(names):
            items.move(len(names), index)
        names.insert(index, name)
        added += 1
        if not added % ITEMS_AT_A_TIME and budget.spent():
            return len(names) == len(wanted)
    return True


def _fill(item: Any, name: str, facts: dict[str, Any]) -> None:
    item.name = name
    item.landed = bool(facts.get("landed"))
    item.score = score_of(facts)
    item.source = plain(facts.get("source") or "", LONGEST_SOURCE)


def score_of(facts: dict[str, Any]) -> float:
    """A take's score as Blender can keep it, 0 where it is none."""
    score = decimal(facts.get("score"), 0.0)
    return score if abs(score) < GREATEST_SCORE else 0.0
