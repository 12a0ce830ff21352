# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user says of takes, and their bin: kept by whoever writes, whatever lies there already."""

from __future__ import annotations

import json
import multiprocessing
import os
from pathlib import Path
from typing import Any

import pytest

from backflip_addon.jobs.folder import JobFolder
from backflip_addon.jobs.json_files import JobError
from backflip_addon.jobs.take_notes import LONGEST_NAME, NOTHING, TakeNote, TakeNotes
from tests.jobs.folders import JOB, sentence


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    result = JobFolder(tmp_path / "job")
    result.create(JOB)
    for number in range(3):
        (result.takes / f"{number:04d}_search.npz").write_text(f"take {number}")
    return result


def read(folder: JobFolder) -> TakeNotes:
    """As another Blender has them."""
    notes = TakeNotes(folder)
    notes.look()
    return notes


def test_what_is_said_of_a_take_is_there_for_the_next_blender(folder: JobFolder) -> None:
    notes = TakeNotes(folder)
    notes.change(["0001_search.npz"], favourite=True, name="The good one", note="Für die Szene mit dem Hund 🐕")
    notes.change(["0001_search.npz", "0002_search.npz"], favourite=False)
    assert read(folder).of("0001_search.npz") == TakeNote(False, "The good one", "Für die Szene mit dem Hund 🐕")
    assert notes.of("0001_search.npz") == read(folder).of("0001_search.npz") and notes.of("0000_search.npz") == NOTHING


def test_two_that_write_keep_each_others_words(folder: JobFolder) -> None:
    mine, theirs = TakeNotes(folder), TakeNotes(folder)
    mine.change(["0000_search.npz"], name="Mine")
    theirs.change(["0000_search.npz"], note="Theirs")
    theirs.change(["0001_search.npz"], favourite=True)
    mine.change(["0002_search.npz"], favourite=True)
    assert mine.of("0000_search.npz") == TakeNote(False, "Mine", "Theirs") and mine.of("0001_search.npz").favourite
    before = theirs.version
    theirs.look()
    assert theirs.version > before and theirs.of("0002_search.npz").favourite


def _write(path: str, writer: int) -> None:
    notes = TakeNotes(JobFolder(path))
    for number in range(20):
        notes.change([f"{writer}_{number}.npz"], favourite=True)


def test_nothing_is_lost_when_processes_write_at_once(folder: JobFolder) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write, args=(str(folder.path), writer)) for writer in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    notes = read(folder)
    assert all(notes.of(f"{writer}_{number}.npz").favourite for writer in range(3) for number in range(20))


def test_what_another_version_has_written_beside_is_kept(folder: JobFolder) -> None:
    file = TakeNotes(folder).file
    entry = {"favourite": True, "colour": [1, 2, 3]}
    file.write_text(json.dumps({"version": 1, "takes": {"0000_search.npz": entry}, "reel": "A"}))
    notes = read(folder)
    notes.change(["0000_search.npz"], name="Named")
    data = json.loads(file.read_text())
    assert data["reel"] == "A" and data["takes"]["0000_search.npz"] == {**entry, "name": "Named"}


def test_notes_of_a_later_version_are_left_alone(folder: JobFolder) -> None:
    file = TakeNotes(folder).file
    file.write_text('{"version": 2, "takes": []}')
    notes = read(folder)
    assert "later version" in notes.trouble
    with pytest.raises(JobError, match="later version") as error:
        notes.change(["0000_search.npz"], favourite=True)
    assert sentence(error) and file.read_text() == '{"version": 2, "takes": []}'


STRANGE: list[dict[str, Any]] = [
    {"favourite": "yes", "name": 5, "note": None, "deleted": "now"},
    {"name": "n" * 10**5, "note": "\ud800", "deleted": -5},
    {"name": "two\nlines\0", "deleted": 1e308},
]


@pytest.mark.parametrize("entry", STRANGE)
def test_a_strangers_values_are_data(folder: JobFolder, entry: dict[str, Any]) -> None:
    TakeNotes(folder).file.write_text(json.dumps({"version": 1, "takes": {"0000_search.npz": entry, "x": 3}}))
    notes = read(folder)
    note = notes.of("0000_search.npz")
    assert not notes.trouble and note.favourite is False and len(note.name) <= LONGEST_NAME
    assert f"{note.name}{note.note}".isprintable()
    f"{note.name}{note.note}".encode()


@pytest.mark.parametrize("content", ["{", "[]", '{"version": 1, "takes": 3}', "{" * 10**5, '{"version": "\\ud800"}'])
def test_a_damaged_file_is_said_to_be_and_put_aside(folder: JobFolder, content: str) -> None:
    notes = TakeNotes(folder)
    notes.file.write_text(content)
    notes.look()
    assert notes.trouble.endswith(".") and "\n" not in notes.trouble
    notes.change(["0000_search.npz"], favourite=True)
    aside = [file for file in folder.path.iterdir() if file.name.endswith(".refused")]
    assert [file.read_text() for file in aside] == [content]
    assert not notes.trouble and read(folder).of("0000_search.npz").favourite


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_nothing_is_written_through_a_link(folder: JobFolder, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text("{}")
    notes = TakeNotes(folder)
    notes.file.symlink_to(other)
    with pytest.raises(JobError, match="link"):
        notes.change(["0000_search.npz"], favourite=True)
    (folder.path / "bin").symlink_to(tmp_path)
    with pytest.raises(JobError, match="link"):
        notes.delete(["0000_search.npz"])
    assert other.read_text() == "{}" and (folder.takes / "0000_search.npz").exists()


def test_a_deleted_take_is_in_the_bin_and_comes_back_with_its_words(folder: JobFolder) -> None:
    notes = TakeNotes(folder)
    notes.change(["0001_search.npz"], name="Keep")
    assert notes.delete(["0001_search.npz", "gone.npz", "../job.json"]) == {"0001_search.npz": "0001_search.npz"}
    notes.delete(["0000_search.npz"])
    assert [file.name for file in folder.list_takes()] == ["0002_search.npz"]
    assert read(folder).binned() == ["0000_search.npz", "0001_search.npz"], "the last deleted first"
    assert read(folder).restore(["0001_search.npz"]) == {"0001_search.npz": "0001_search.npz"}
    assert (folder.takes / "0001_search.npz").read_text() == "take 1"
    assert read(folder).of("0001_search.npz") == TakeNote(name="Keep") and read(folder).binned() == ["0000_search.npz"]


def test_a_take_whose_name_was_given_anew_comes_back_beside_it(folder: JobFolder) -> None:
    """A trainer counts on from the last take that it finds."""
    notes = TakeNotes(folder)
    notes.change(["0002_search.npz"], name="The old one", favourite=True)
    notes.delete(["0002_search.npz"])
    (folder.takes / "0002_search.npz").write_text("another take")
    assert notes.of("0002_search.npz") == NOTHING, "what is said of the old one isn't said of the new"
    notes.delete(["0002_search.npz"])
    assert notes.binned() == ["0002_search-2.npz", "0002_search.npz"]
    (folder.takes / "0002_search.npz").write_text("a third")
    assert list(notes.restore(notes.binned()).values()) == ["0002_search-2.npz", "0002_search-3.npz"]
    assert (folder.takes / "0002_search.npz").read_text() == "a third"
    assert (folder.takes / "0002_search-3.npz").read_text() == "take 2"
    assert notes.of("0002_search-3.npz").name == "The old one" and notes.of("0002_search.npz") == NOTHING
