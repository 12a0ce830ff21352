# SPDX-License-Identifier: GPL-3.0-or-later
"""Ctrl+Z of what the user says of takes.

Blender's undo takes back what is in the .blend; favourites, names, notes and the bin are in the job's folder. So each
change counts the scene's `browser.edits` up, which every undo step holds as it was, and is noted here with what it
changed. When a step was undone or done again, the count tells how many of these changes to take back or to make anew.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import bpy

from ..jobs.json_files import JobError
from ..jobs.take_notes import TakeNotes
from ..registration import add_handlers, persistent, remove_handlers
from ..settings import scene_settings
from . import job_monitor, take_player


@dataclasses.dataclass
class _Words:
    """Some fields of TakeNote of one take, as they were and as they are now."""

    take: str
    before: dict[str, Any]
    after: dict[str, Any]

    def make(self, notes: TakeNotes, again: bool) -> dict[str, str]:
        notes.change([self.take], **(self.after if again else self.before))
        return {}

    def follow(self, names: dict[str, str]) -> None:
        self.take = names.get(self.take, self.take)


@dataclasses.dataclass
class _Move:
    """Takes that were moved to the bin (deleted) or out of it. names: where they are, as they are called now."""

    names: list[str]
    deleted: bool

    def make(self, notes: TakeNotes, again: bool) -> dict[str, str]:
        """Returns old name -> new name of the takes that came back under another one."""
        move = notes.delete if self.deleted == again else notes.restore
        moved = move(self.names)
        if not moved:
            raise JobError(f"{', '.join(self.names)[:200]} cannot be moved back: the file is gone.")
        before, self.names = self.names, list(moved.values())
        return {} if self.deleted == again else {old: moved[old] for old in before if old in moved}

    def follow(self, names: dict[str, str]) -> None:
        pass  # it knows itself what they are called


@dataclasses.dataclass
class _Journal:
    """The changes of one scene's takes in this session. base: the scene's count before the first, done: now."""

    base: int
    done: int
    changes: list[tuple[Path, _Words | _Move]] = dataclasses.field(default_factory=list)


_journals: dict[int, _Journal] = {}  # by the scene's session_uid


def change(scene: bpy.types.Scene, notes: TakeNotes, take: str, **fields: Any) -> None:
    """Change some fields of what is said of a take. Raises JobError; then nothing has changed."""
    before = {name: getattr(notes.of(take), name) for name in fields}
    notes.change([take], **fields)
    _note(scene, notes, _Words(take, before, fields))


def delete(scene: bpy.types.Scene, notes: TakeNotes, takes: list[str]) -> list[str]:
    """Move takes to the bin; returns those that were there. Raises JobError."""
    moved = notes.delete(takes)
    if moved:
        _note(scene, notes, _Move(list(moved.values()), deleted=True))
    return list(moved)


def restore(scene: bpy.types.Scene, notes: TakeNotes, takes: list[str]) -> list[str]:
    """Move takes out of the bin; returns their names. Raises JobError."""
    moved = list(notes.restore(takes).values())
    if moved:
        _note(scene, notes, _Move(moved, deleted=False))
    return moved


def _note(scene: bpy.types.Scene, notes: TakeNotes, made: _Words | _Move) -> None:
    """Note a change; what had been undone before it can't be done again."""
    browser = scene_settings(scene).browser
    journal = _journals.setdefault(scene.session_uid, _Journal(browser.edits, browser.edits))
    del journal.changes[journal.done - journal.base :]
    journal.changes.append((notes.folder.path, made))
    journal.done += 1
    browser.edits = journal.done


@persistent
def _after_undo(*_args: Any) -> None:
    for scene in bpy.data.scenes:
        journal, settings = _journals.get(scene.session_uid), scene_settings(scene)
        if journal is not None and settings.browser.edits != journal.done:
            _bring_to(scene, journal, settings.browser.edits)


def _bring_to(scene: bpy.types.Scene, journal: _Journal, count: int) -> None:
    """Take back changes, the last first, or make them anew, until they are what an undo step holds."""
    count = min(max(count, journal.base), journal.base + len(journal.changes))
    while journal.done != count:
        again = count > journal.done
        folder, made = journal.changes[journal.done - journal.base - (0 if again else 1)]
        journal.done += 1 if again else -1
        notes = job_monitor.notes_in(folder)
        try:
            renamed = made.make(notes, again)
        except JobError as error:
            notes.trouble = str(error)  # undo has no report: the panel says it
            continue
        for _folder, other in journal.changes:
            other.follow(renamed)
        for name in getattr(made, "names", ()):
            take_player.forget(scene, name)


@persistent
def _on_load(*_args: Any) -> None:
    _journals.clear()


_HANDLERS = {"load_post": _on_load, "undo_post": _after_undo, "redo_post": _after_undo}


def register() -> None:
    add_handlers(_HANDLERS)


def unregister() -> None:
    remove_handlers(_HANDLERS)
    _journals.clear()
