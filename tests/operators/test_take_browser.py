# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of takes as one chooses from it: shown, sorted, named, marked, deleted and brought back."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

from backflip_addon.jobs.folder import JobFolder  # noqa: E402
from backflip_addon.jobs.messages import Job, TakeRecorded  # noqa: E402
from backflip_addon.jobs.take_notes import TakeNotes  # noqa: E402
from backflip_addon.operators import job_monitor, take_browser  # noqa: E402
from backflip_addon.settings.road import turn_to  # noqa: E402
from backflip_addon.settings.takes import OUTCOMES  # noqa: E402
from backflip_addon.ui import lists, takes_panel  # noqa: E402
from tests.job_events import tell  # noqa: E402
from tests.operators.test_job_monitor import drawn  # noqa: E402

TAKES: list[dict[str, Any]] = [
    {"score": 0.2, "followed": 0.5, "seconds": 10.0},
    {"score": 0.9, "followed": 1.0, "landed": True, "success": True, "seconds": 75.0},
    {"score": 0.4, "followed": 0.3},
    {"score": 0.6, "followed": 1.0, "success": True},
]


def scene() -> Any:
    return bpy.context.scene


def settings() -> Any:
    return scene().backflip


def shown() -> list[int]:
    """The numbers of the takes that the list shows, as Blender would put them."""
    view = take_browser.view(scene())
    places = sorted((place, i) for i, place in enumerate(view.order) if view.flags[i])
    assert [i for _place, i in places] == view.shown and sorted(view.order) == list(range(len(view.order)))
    return [int(settings().takes[i].name[:4]) for i in view.shown]


@pytest.fixture
def folder(ops: Any, tmp_path: Path) -> JobFolder:
    """A job with four takes, tied to the scene."""
    result = JobFolder(tmp_path / "job")
    result.create(Job(name="test", avatar="Hero", body={}, settings={}))
    for number, facts in enumerate(TAKES):
        (result.takes / f"{number:04d}_search.npz").touch()
        tell(result, "take", file=f"{number:04d}_search.npz", source="search", **facts)
    job_monitor.set_job(scene(), result.path)
    job_monitor.refresh(scene(), whole=True)
    return result


@pytest.mark.parametrize(
    ("show", "sort", "expected"),
    [
        ("all", "time", [0, 1, 2, 3]),
        ("all", "score", [0, 2, 3, 1]),
        ("all", "followed", [2, 0, 1, 3]),
        ("all", "impact", [0, 1, 2, 3]),
        ("success", "time", [1, 3]),
        ("failure", "score", [0, 2]),
        ("favourite", "time", []),
        ("outcome_landed", "time", [1]),
    ],
)
def test_takes_are_shown_and_sorted_as_asked(folder: JobFolder, show: str, sort: str, expected: list[int]) -> None:
    settings().browser.show, settings().browser.sort = show, sort
    assert shown() == expected
    settings().browser.descending = True
    assert shown() == expected[::-1]


def test_favourites_are_marked_unmarked_and_kept_in_the_job(folder: JobFolder, ops: Any) -> None:
    settings().browser.show = "favourite"
    for take in ("0002_search.npz", "0000_search.npz"):
        assert ops.favourite_take(take=take) == {"FINISHED"}
    assert shown() == [0, 2]
    ops.favourite_take(take="0000_search.npz")
    assert shown() == [2]
    bpy.ops.wm.read_factory_settings(use_empty=True)  # nothing of it is in the .blend
    job_monitor.set_job(scene(), folder.path)
    job_monitor.refresh(scene(), whole=True)
    settings().browser.show = "favourite"
    assert shown() == [2]


def test_names_and_notes_are_edited_in_the_list_and_looked_for(folder: JobFolder) -> None:
    item = settings().takes[2]
    assert item.title == "2 Followed 30 %"
    item.title, item.note = "The fall", "for shot 12"
    assert item.title == "The fall" and TakeNotesOf(folder).of("0002_search.npz").name == "The fall"
    assert take_browser.view(scene(), "FALL").shown == take_browser.view(scene(), "shot 12").shown == [2]
    assert take_browser.view(scene(), "").shown == [0, 1, 2, 3]
    item.title = ""
    assert item.title == "2 Followed 30 %" and item.note == "for shot 12"
    item.title = "2 Followed 30 %"  # a field that was entered and left
    assert not TakeNotesOf(folder).of("0002_search.npz").name


def TakeNotesOf(folder: JobFolder) -> TakeNotes:
    notes = TakeNotes(folder)
    notes.look()
    return notes


def test_what_another_blender_says_is_taken_in_by_the_timer(folder: JobFolder) -> None:
    TakeNotes(folder).change(["0001_search.npz"], favourite=True, name="Theirs")
    job_monitor._tick()
    assert settings().takes[1].title == "Theirs" and take_browser.note_of(scene(), "0001_search.npz").favourite


def test_a_name_that_cannot_be_kept_is_said_in_the_panel(folder: JobFolder) -> None:
    (folder.path / "take_notes.json").write_text('{"version": 99}')
    settings().takes[0].title = "Lost"
    assert settings().takes[0].title != "Lost"
    assert "later version" in job_monitor.notes_of(scene()).trouble


def test_a_deleted_take_leaves_the_list_and_is_brought_back(
    folder: JobFolder, ops: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    settings().take_index = 1
    called = settings().takes[1].title
    assert ops.delete_take() == {"FINISHED"}
    assert f"Moved {called} to the bin" in capfd.readouterr().out, "as the list calls it, not its file"
    assert shown() == [0, 2, 3] and settings().takes[settings().take_index].name == "0002_search.npz"
    ops.delete_take()
    ops.delete_take()
    assert shown() == [0] and settings().take_index == 0
    for count in (2, 3):
        ops.restore_take()
        assert len(shown()) == count
    ops.restore_take(take="0001_search.npz")
    assert f"Brought back {called}." in capfd.readouterr().out
    assert shown() == [0, 1, 2, 3] and settings().take_index == 1
    assert not ops.restore_take.poll()
    with pytest.raises(RuntimeError, match=r"The bin is empty\."):
        ops.restore_take()
    TakeNotesOf(folder).delete(["0003_search.npz"])  # by another Blender
    job_monitor.refresh(scene(), whole=True)
    assert ops.restore_take() == {"FINISHED"} and not ops.restore_take.poll()
    for _ in range(4):
        ops.delete_take()
    with pytest.raises(RuntimeError, match="no take yet"):
        ops.delete_take()
    ops.restore_take(all=True)
    assert shown() == [0, 1, 2, 3]


def test_takes_that_are_all_in_the_bin_can_be_brought_back(folder: JobFolder, ops: Any) -> None:
    for _ in range(4):
        ops.delete_take()
    said = drawn()
    assert not len(settings().takes) and "Restore" in said and any("Takes appear here" in text for text in said)


def test_deleting_another_take_than_the_chosen_one_keeps_that(folder: JobFolder, ops: Any) -> None:
    settings().take_index = 2
    ops.delete_take(take="0000_search.npz")
    assert settings().takes[settings().take_index].name == "0002_search.npz"
    with pytest.raises(RuntimeError, match="no take called"):
        ops.delete_take(take="0000_search.npz")


def test_what_is_not_shown_is_not_deleted_by_the_button(folder: JobFolder, ops: Any) -> None:
    settings().take_index, settings().browser.show = 0, "success"
    with pytest.raises(RuntimeError, match="not in the list as it is shown now"):
        ops.delete_take()
    ops.delete_take(take="0000_search.npz")  # named, it is meant
    settings().browser.show = "all"
    assert shown() == [1, 2, 3]


def test_a_take_is_called_by_what_it_was_asked_to_bear_and_what_became_of_it() -> None:
    known = TakeRecorded(file="0007_shot.npz", phase="shot: slippery 0.1", landed=True)
    assert take_browser.usual_title(known) == "7 Slippery 0.1: landed"
    assert take_browser.usual_title(dataclasses.replace(known, phase="shot")) == "7 Landed"
    strange = take_browser.usual_title(dataclasses.replace(known, phase="shot: a\0b\n" + "c" * 10**6))
    assert strange.startswith("7 A b c") and strange.isprintable() and len(strange) < 150


def test_the_arrows_walk_through_what_is_shown(folder: JobFolder, ops: Any) -> None:
    settings().browser.sort, settings().take_index = "score", 0
    walked = []
    for which in ("NEXT", "NEXT", "NEXT", "NEXT", "PREVIOUS", "FIRST", "PREVIOUS", "LAST"):
        ops.choose_take(which=which)
        walked.append(settings().take_index)
    assert walked == [2, 3, 1, 1, 3, 0, 0, 1]
    settings().browser.show = "favourite"
    with pytest.raises(RuntimeError, match="shows no take"):
        ops.choose_take(which="NEXT")


def test_a_take_says_where_it_came_from() -> None:
    known = TakeRecorded(phase="search, third try", seconds=187.0, seed=4)
    assert takes_panel._origin(known) == "Search, third try, after 3:07, seed 4"
    assert takes_panel._origin(TakeRecorded()) == ""


def test_every_kind_of_verdict_has_an_icon_that_blender_has() -> None:
    icons = bpy.types.UILayout.bl_rna.functions["prop"].parameters["icon"].enum_items.keys()
    assert set(lists.OUTCOME_ICONS.values()) <= set(icons)
    assert set(lists.OUTCOME_ICONS) == {kind for kind, _label, _meaning in OUTCOMES}
    assert len(set(lists.OUTCOME_ICONS.values())) == len(OUTCOMES)


def undo_step(ops: Any, name: str, **properties: Any) -> None:
    """As a button does it, with an undo step behind it."""
    assert getattr(ops, name)("EXEC_DEFAULT", True, **properties) == {"FINISHED"}


def said(folder: JobFolder, name: str) -> tuple[bool, str]:
    note = TakeNotesOf(folder).of(name)
    return note.favourite, note.name


def test_undo_takes_back_what_was_said_of_takes_and_redo_says_it_again(folder: JobFolder, ops: Any) -> None:
    bpy.ops.ed.undo_push(message="Before")
    take = "0001_search.npz"
    undo_step(ops, "favourite_take", take=take)
    settings().takes[1].title = "The one"  # typed into the field, which pushes a step
    bpy.ops.ed.undo_push(message="Name")
    undo_step(ops, "favourite_take", take=take)
    states = [(False, ""), (True, ""), (True, "The one"), (False, "The one")]
    for step, state in ((bpy.ops.ed.undo, 2), (bpy.ops.ed.undo, 1), (bpy.ops.ed.redo, 2), (bpy.ops.ed.undo, 1)):
        step()
        assert said(folder, take) == states[state]
    bpy.ops.ed.undo()
    assert said(folder, take) == states[0] and not job_monitor.notes_of(scene()).trouble
    undo_step(ops, "favourite_take", take="0002_search.npz")  # what was undone cannot be done again now
    assert said(folder, take) == states[0] and said(folder, "0002_search.npz") == (True, "")


def test_undo_brings_a_deleted_take_back_with_its_words(folder: JobFolder, ops: Any) -> None:
    settings().takes[3].title = "Last"
    turn_to(settings(), "bake")
    bpy.ops.ed.undo_push(message="Name")
    turn_to(settings(), "takes")  # a fold is no undo step
    undo_step(ops, "delete_take", take="0003_search.npz")
    (folder.takes / "0003_search.npz").write_text("a trainer counts on from the last take that it finds")
    bpy.ops.ed.undo()
    assert settings().road.takes and not settings().road.bake, "the list that is looked at stays open"
    assert (folder.takes / "0003_search-2.npz").read_text() == "" and said(folder, "0003_search-2.npz")[1] == "Last"
    bpy.ops.ed.redo()
    assert not (folder.takes / "0003_search-2.npz").exists() and (folder.takes / "0003_search.npz").exists()
    bpy.ops.ed.undo()
    job_monitor.refresh(scene(), whole=True)
    assert [item.name for item in settings().takes][3:] == ["0003_search-2.npz", "0003_search.npz"]
    (folder.takes / "0003_search-2.npz").unlink()  # by somebody else
    bpy.ops.ed.redo()
    assert "the file is gone" in job_monitor.notes_of(scene()).trouble
