# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user adds to a job's takes, and the bin for those that were deleted. Standard library alone.

One small file in the job's folder, beside the takes and not in the .blend. A change reads the file, changes what was
meant and writes it whole, under a lock. What is in it that is not known here is kept as it is and not believed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ..core.files import RefusedFile, is_link, is_own_folder
from .folder import JobFolder, by_number
from .json_files import JobError, load_object, write_json
from .json_values import known_values
from .lock import FileLock
from .requests import REFUSED, put_aside

NOTES_VERSION = 1
MOST_NOTES_BYTES = 8_000_000  # of the file: a note of 500 letters on each of 10,000 takes
LONGEST_NAME = 100  # letters of a take's name
LONGEST_NOTE = 2_000
LOCK_SECONDS = 1.0  # of waiting for another Blender, which needs some thousandths for a change
LATER_VERSION = "was written by a later version of Backflip; update the add-on to change what it says of takes"

_IN_BIN = "bin/"  # before the names of deleted takes, which no take has
Mark = tuple[int, int, int]  # what a file is told by: its inode, size and time


@dataclasses.dataclass(frozen=True)
class TakeNote:
    """What the user says of one take. deleted: when it was moved to the bin, s since 1970; 0 of a take that was not."""

    favourite: bool = False
    name: str = ""
    note: str = ""
    deleted: float = 0.0


NOTHING = TakeNote()


class TakeNotes:
    """A job's notes, as they were read last. version: counts up when they have changed. trouble: what is wrong."""

    def __init__(self, folder: JobFolder) -> None:
        self.folder = folder
        self.version = 0
        self.trouble = ""
        self._notes: dict[str, TakeNote] = {}
        self._mark: Mark | None = None
        self._lock = FileLock(folder.path / "take_notes.lock")

    @property
    def file(self) -> Path:
        return self.folder.path / "take_notes.json"

    def of(self, take: str) -> TakeNote:
        """What is known of a take, by its file's name."""
        return self._notes.get(take, NOTHING)

    def look(self) -> None:
        """Read the file again where it has changed. Raises nothing; trouble says what is wrong."""
        mark = _mark_of(self.file)
        if mark == self._mark:
            return
        try:
            self._keep(self._load(), mark)
            self.trouble = ""
        except JobError as error:
            self._mark, self.trouble = mark, str(error)

    def change(self, takes: Iterable[str], **fields: Any) -> None:
        """Change some fields of TakeNote, of some takes. Raises JobError; then nothing has changed."""
        names = [take for take in takes if Path(take).name == take]

        def edit(entries: dict[str, Any]) -> None:
            for name in names:
                entries[name] = {**_entry(entries.get(name)), **_tidy(fields)}

        self._rewrite(edit)

    def delete(self, takes: Iterable[str]) -> dict[str, str]:
        """Move takes to the job's bin; of those that were there, name -> name in the bin. Raises JobError."""
        moved = _move(self.folder.takes, self.folder.bin, [name for name in takes if Path(name).name == name])

        def edit(entries: dict[str, Any]) -> None:
            for old, new in moved.items():  # a later take may get the old one's name, and not what is said of it
                entries[_IN_BIN + new] = {**_entry(entries.pop(old, None)), "deleted": time.time()}

        if moved:
            self._rewrite(edit)
        return moved

    def restore(self, takes: Iterable[str]) -> dict[str, str]:
        """Move takes back out of the bin; name in the bin -> name, a new one where another take has theirs.

        Raises JobError.
        """
        moved = _move(self.folder.bin, self.folder.takes, [name for name in takes if Path(name).name == name])

        def edit(entries: dict[str, Any]) -> None:
            for old, new in moved.items():
                entries[new] = {**_entry(entries.pop(_IN_BIN + old, None)), "deleted": 0.0}

        if moved:
            self._rewrite(edit)
        return moved

    def binned(self) -> list[str]:
        """The takes in the bin, the last deleted one first. Raises JobError."""
        if not is_own_folder(self.folder.bin):
            return []
        self.look()
        try:
            with os.scandir(self.folder.bin) as entries:
                names = [e.name for e in entries if e.name.endswith(".npz") and e.is_file(follow_symlinks=False)]
        except OSError as error:
            raise JobError(f"{self.folder.bin} cannot be read: {error.strerror or error}.") from error
        return sorted(names, key=lambda name: (-self.of(_IN_BIN + name).deleted, by_number(name)))

    # The file

    def _rewrite(self, edit: Callable[[dict[str, Any]], None]) -> None:
        """Read the file, have its entries changed, and write it."""
        try:
            if not self._lock.acquire(LOCK_SECONDS):
                raise JobError("Another Blender is writing notes on these takes; try again in a moment.")
            try:
                data = self._load_or_put_aside()
                edit(data["takes"])
                write_json(self.file, data)
                self._keep(data, _mark_of(self.file))
                self.trouble = ""
            finally:
                self._lock.release()
        except (OSError, RefusedFile) as error:
            reason = getattr(error, "strerror", None) or error
            raise JobError(f"{self.file} cannot be written: {reason}.") from error

    def _load_or_put_aside(self) -> dict[str, Any]:
        """The file's content; a damaged one keeps what it holds, under another name, and is begun anew."""
        try:
            return self._load()
        except JobError:
            if is_link(self.file) or _is_later(self.file):
                raise
            put_aside(self.file, REFUSED)
            return {"version": NOTES_VERSION, "takes": {}}

    def _load(self) -> dict[str, Any]:
        """The file's content, its entries under "takes". Raises JobError."""
        try:
            data = load_object(self.file, MOST_NOTES_BYTES)
        except FileNotFoundError:
            return {"version": NOTES_VERSION, "takes": {}}
        except OSError as error:
            raise JobError(f"{self.file} cannot be read: {error.strerror or error}.") from error
        except ValueError as error:
            raise JobError(f"{self.file} cannot be read; it is damaged ({error}).") from error
        version = data.get("version")
        if isinstance(version, int) and version > NOTES_VERSION:
            raise JobError(f"{self.file} {LATER_VERSION}.")
        if version != NOTES_VERSION or not isinstance(data.get("takes"), dict):
            raise JobError(f"{self.file} cannot be read; it holds no notes on takes.")
        return data

    def _keep(self, data: dict[str, Any], mark: Mark | None) -> None:
        self._mark = mark
        notes = {name: _read(entry) for name, entry in data["takes"].items() if isinstance(entry, dict)}
        if notes != self._notes:
            self._notes = notes
            self.version += 1


def _is_later(file: Path) -> bool:
    with contextlib.suppress(OSError, ValueError):
        version = load_object(file, MOST_NOTES_BYTES).get("version")
        return isinstance(version, int) and version > NOTES_VERSION
    return False


def _entry(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _read(entry: dict[str, Any]) -> TakeNote:
    """An entry of the file, which may be a stranger's: values of other types and endless texts are not taken."""
    note = TakeNote(**known_values(TakeNote, entry))
    return dataclasses.replace(note, **_tidy({"name": note.name, "note": note.note, "deleted": note.deleted}))


def _tidy(fields: dict[str, Any]) -> dict[str, Any]:
    """Fields as they are kept: one line for a name, and nothing longer than it may be."""
    tidy = dict(fields)
    if "name" in tidy:
        tidy["name"] = _text(tidy["name"], LONGEST_NAME)
    if "note" in tidy:
        tidy["note"] = _text(tidy["note"], LONGEST_NOTE)
    if "deleted" in tidy and not (math.isfinite(tidy["deleted"]) and tidy["deleted"] >= 0.0):
        tidy["deleted"] = 0.0
    return tidy


def _text(text: str, most: int) -> str:
    """A text that Blender and JSON can hold: whole letters, none of control."""
    whole = text.encode("utf-8", "replace").decode("utf-8")
    return "".join(letter if letter.isprintable() else " " for letter in whole)[:most].strip()


def _mark_of(file: Path) -> Mark | None:
    try:
        facts = os.lstat(file)
    except (OSError, ValueError):
        return None
    return facts.st_ino, facts.st_size, facts.st_mtime_ns


def _move(source: Path, target: Path, names: list[str]) -> dict[str, str]:
    """Move files from one folder of the job to another; old name -> new name of those that were there.

    Nothing is ever replaced: a file whose name is taken gets a number behind it. Raises JobError.
    """
    moved: dict[str, str] = {}
    try:
        target.mkdir(exist_ok=True)
        for folder in (source, target):
            if not is_own_folder(folder):
                raise JobError(
                    f"{folder} is not this training's own folder; Backflip follows no links in a training's folder."
                )
        for name in names:
            if os.path.lexists(source / name):
                free = _free_name(target, name)
                os.rename(source / name, target / free)
                moved[name] = free
    except OSError as error:
        raise JobError(f"Takes cannot be moved to {target}: {error.strerror or error}.") from error
    return moved


def _free_name(folder: Path, name: str) -> str:
    """The name, or the first with a number behind it that is not taken."""
    free, number = name, 1
    while os.path.lexists(folder / free):
        number += 1
        free = f"{name.removesuffix('.npz')}-{number}.npz"
    return free
