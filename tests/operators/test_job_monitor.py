# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panels know of a job: bounded, alive whatever happens, and tied to its scene whatever is undone."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

from backflip_addon.core.files import RefusedFile  # noqa: E402
from backflip_addon.jobs import status as job_status  # noqa: E402
from backflip_addon.jobs import trainer_process  # noqa: E402
from backflip_addon.jobs.folder import JobFolder  # noqa: E402
from backflip_addon.jobs.messages import Job  # noqa: E402
from backflip_addon.operators import job_link, job_monitor, take_list, takes, training  # noqa: E402
from backflip_addon.scene.baking import nla  # noqa: E402
from backflip_addon.ui import lists, takes_panel, training_panel  # noqa: E402
from tests.job_events import tell  # noqa: E402
from tests.scene import rigs  # noqa: E402


def scene() -> Any:
    return bpy.context.scene


def names() -> list[str]:
    return [item.name for item in scene().backflip.takes]


@pytest.fixture
def folder(ops: Any, tmp_path: Path) -> JobFolder:
    """A job with two takes, tied to the scene."""
    result = JobFolder(tmp_path / "job")
    result.create(Job(name="test", avatar="Hero", body={}, settings={}))
    for number in range(2):
        add_take(result, f"{number:04d}_search.npz", landed=number == 1)
    job_monitor.set_job(scene(), result.path)
    return result


def add_take(folder: JobFolder, file: str, **facts: Any) -> None:
    (folder.takes / file).touch()
    tell(folder, "take", file=file, **{"landed": False, "score": 0.5, "source": "search"} | facts)


def tick_to_the_end() -> int:
    """Tick as the timer would; returns how often it took."""
    for count in range(1, 10_000):
        if job_monitor._tick() != job_monitor.READING_SECONDS:
            return count
    pytest.fail("it never ends")


def fail(*_args: Any, **_options: Any) -> None:
    raise ZeroDivisionError("nobody foresaw this")


# The list of takes


def test_a_long_list_is_filled_in_steps_and_kept_up(folder: JobFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_monitor, "STEP_SECONDS", -1.0)
    lines = []
    for number in range(2, 300):
        (folder.takes / f"{number:04d}_search.npz").touch()
        lines.append(json.dumps({"time": 1.0, "kind": "take", "file": f"{number:04d}_search.npz", "landed": True}))
    with open(folder.events_file, "a") as file:
        file.write("\n".join(lines) + "\n")
    job_monitor._tick()
    before = len(names())
    assert tick_to_the_end() >= 300 // take_list.ITEMS_AT_A_TIME and before < 300
    assert names() == [f"{number:04d}_search.npz" for number in range(300)]
    assert job_monitor.counts(scene()) == (300, 299, 0)
    assert scene().backflip.take_index == 299, "the latest take stays chosen"


def test_deleted_takes_leave_the_list_and_the_chosen_one_stays_chosen(folder: JobFolder) -> None:
    add_take(folder, "0002_search.npz")
    tick_to_the_end()
    scene().backflip.take_index = 1
    (folder.takes / "0000_search.npz").unlink()
    tick_to_the_end()
    assert names() == ["0001_search.npz", "0002_search.npz"] and scene().backflip.take_index == 0
    add_take(folder, "0000_again.npz")
    tick_to_the_end()
    assert names() == ["0000_again.npz", "0001_search.npz", "0002_search.npz"] and scene().backflip.take_index == 1
    for file in folder.takes.iterdir():
        file.unlink()
    tick_to_the_end()
    assert names() == []


def test_nothing_is_listed_or_parsed_when_nothing_is_new(folder: JobFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    os.utime(folder.takes, (1.7e9, 1.7e9))
    tick_to_the_end()
    monkeypatch.setattr(os, "scandir", fail)
    monkeypatch.setattr(json, "loads", fail)
    before = job_monitor.status_of(scene())
    for _ in range(5):
        assert job_monitor._tick() == job_monitor.IDLE_SECONDS
    assert job_monitor.status_of(scene()) == before and before.state != "unreadable"


def test_another_job_with_takes_of_the_same_names_shows_its_own(folder: JobFolder, tmp_path: Path) -> None:
    other = JobFolder(tmp_path / "other")
    other.create(Job(name="other", avatar="Hero", body={}, settings={}))
    for number in range(2):
        add_take(other, f"{number:04d}_search.npz", score=0.75, landed=True)
    job_monitor.set_job(scene(), other.path)
    tick_to_the_end()
    assert [item.score for item in scene().backflip.takes] == [0.75, 0.75] and job_monitor.counts(scene()) == (2, 2, 0)


def test_the_list_says_what_became_of_each_take(folder: JobFolder, ops: Any) -> None:
    add_take(folder, "0002_search.npz", landed=True, landed_cleanly=True, robust_of_20=17)
    add_take(folder, "0003_search.npz", landed=True, landed_cleanly=False, hops=1, slide_cm=3.4)
    add_take(folder, "0004_search.npz", followed=0.634)
    tick_to_the_end()
    said = drawn()
    assert job_monitor.counts(scene()) == (5, 3, 1) and "1 landed cleanly" in said
    titles = ["1 Landed", "2 Landed cleanly", "3 Landed, with a hop", "4 Followed 63 %"]
    assert [item.title for item in scene().backflip.takes][1:] == titles and "Followed 63 %" in said
    scene().backflip.take_index, scene().backflip.road.takes = 3, True
    assert takes_panel.BACKFLIP_PT_measures.poll(SimpleNamespace(scene=scene()))
    said = drawn()
    assert said[said.index("Longest slide") + 1] == "3.4 cm" and said[said.index("Hops") + 1] == "1"
    scene().backflip.take_index = 0
    assert not takes_panel.BACKFLIP_PT_measures.poll(SimpleNamespace(scene=scene())), "nothing is known of an old take"
    properties = SimpleNamespace(measure="slide_cm")
    assert "planted foot" in takes.ExplainMeasure.description(None, properties)
    assert ops.explain_measure(measure="slide_cm") == {"FINISHED"}


def test_takes_of_another_character_are_said_to_be(folder: JobFolder) -> None:
    hero, other = (bpy.data.objects.new(name, bpy.data.armatures.new(name)) for name in ("Hero", "Other"))
    for ob in (hero, other):
        scene().collection.objects.link(ob)
    scene().backflip.avatar = hero
    assert job_monitor.job_avatar(scene()) == "Hero" and not job_monitor.other_avatar(scene())
    scene().backflip.avatar = other
    assert job_monitor.other_avatar(scene()) == "Hero"
    assert any("These takes belong to Hero" in text for text in drawn())
    bpy.data.objects.remove(hero)
    assert not job_monitor.other_avatar(scene()), "a character that was renamed is the same one"


class Recorder:
    """Stands in for a layout, and keeps the texts."""

    def __init__(self, texts: list[str]) -> None:
        self.__dict__["texts"] = texts

    def __getattr__(self, name: str) -> Any:
        def call(*_values: Any, **options: Any) -> Any:
            options.get("text", "").encode("utf-8")
            self.texts.append(options.get("text", ""))
            return (self, self) if name in ("panel", "panel_prop") else Recorder(self.texts)  # all is unfolded

        return call

    def __setattr__(self, _name: str, _value: Any) -> None:
        pass


def drawn() -> list[str]:
    """What the panels of training and takes say, a sentence each."""
    texts: list[str] = []
    context = SimpleNamespace(
        scene=scene(),
        preferences=SimpleNamespace(system=SimpleNamespace(ui_scale=1.0)),
        region=SimpleNamespace(width=100_000),
    )
    for panel in (training_panel.BACKFLIP_PT_train, takes_panel.BACKFLIP_PT_takes, takes_panel.BACKFLIP_PT_measures):
        stand_in = type(panel.__name__, (), dict(panel.__dict__) | {"layout": Recorder(texts)})
        stand_in().draw(context)
    for item in scene().backflip.takes:
        lists.BACKFLIP_UL_takes.draw_item(None, context, Recorder(texts), None, item, 0, None, "")
    return texts


def test_drawing_touches_no_disk(folder: JobFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as without_disk:  # pytest needs one to tell of a failure
        for name in ("stat", "lstat", "open", "scandir"):
            without_disk.setattr(os, name, fail)
        assert any("2, 1 landed" in text for text in drawn())


@pytest.mark.parametrize(("engine", "words"), [("pybullet", "PyBullet"), ("compiled", "Backflip's physics"), ("", "")])
def test_a_take_says_what_simulated_it(folder: JobFolder, engine: str, words: str) -> None:
    add_take(folder, "0002_search.npz", hops=1, landed=True, engine=engine)
    tick_to_the_end()
    said = drawn()
    assert (f"Physics\n{words}\n" in "\n".join([*said, ""])) == (f"({words})" in str(said)) == bool(words)


# The timer

HOSTILE = [
    {"kind": "take", "file": "0000_search.npz", "score": 10**400},
    {"kind": "take", "file": "0000_search.npz", "score": "good", "source": ["\ud800"], "landed": {}},
    {"kind": "take", "file": "0000_search.npz", "source": "\0" * 10_000},
    {"kind": "take", "file": "n" * 5000},
    {"kind": "progress", "message": "\ud800\0" * 5000, "fraction": 10**400, "seconds_left": 1e300},
    {"kind": "error", "message": {"\ud800": 1}, "best_take": "\ud800"},
]


@pytest.mark.parametrize("event", HOSTILE, ids=range(len(HOSTILE)))
def test_no_event_ends_the_timer_or_the_drawing(folder: JobFolder, event: dict[str, Any]) -> None:
    with open(folder.events_file, "a") as file:
        file.write(json.dumps({"time": 1.0, **event}) + "\n")
    job_monitor._shown.clear()
    scene().backflip.takes.clear()
    tick_to_the_end()
    assert names() == ["0000_search.npz", "0001_search.npz"] and not job_monitor._troubles
    assert drawn()


@pytest.mark.parametrize(
    "error", [OSError(13, "Permission denied"), OSError(116, "Stale file handle"), RefusedFile("x is a link")]
)
def test_a_share_that_goes_away_is_said_and_looked_for_again(
    folder: JobFolder, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    with monkeypatch.context() as away:
        away.setattr(job_status.EventLog, "read", lambda *_args: (_ for _ in ()).throw(error))
        assert job_monitor._tick() == job_monitor.AWAY_SECONDS
        assert job_monitor.status_of(scene()).state == "unreadable"
        assert any("cannot be read" in text for text in drawn())
        assert len(names()) == 2, "what is known of the takes stays"
    assert job_monitor._tick() == job_monitor.IDLE_SECONDS
    assert not any("cannot be read" in text for text in drawn())


def test_an_unforeseen_error_is_told_once_and_the_timer_lives(
    folder: JobFolder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(job_monitor, "show", fail)
        for _ in range(3):
            assert job_monitor._tick() == job_monitor.AWAY_SECONDS
        assert any("Backflip could not read the training: nobody foresaw this." in text for text in drawn())
    assert len(caplog.records) == 1 and caplog.records[0].exc_info
    tick_to_the_end()
    assert not any("could not read" in text for text in drawn())


def test_the_trouble_of_one_scene_is_not_another_ones(
    folder: JobFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = JobFolder(tmp_path / "other")
    other.create(Job(name="other", avatar="Hero", body={}, settings={}))
    second = bpy.data.scenes.new("A second")
    job_monitor.set_job(second, other.path)
    show = job_monitor.show
    monkeypatch.setattr(job_monitor, "show", lambda one, *rest: fail() if one == scene() else show(one, *rest))
    add_take(other, "0000_search.npz")
    job_monitor._tick()
    job_monitor._tick()
    assert job_monitor.status_of(scene()).state == "unreadable" and job_monitor.status_of(second).state != "unreadable"
    assert [item.name for item in second.backflip.takes] == ["0000_search.npz"]


def test_a_disk_that_is_away_keeps_the_list(folder: JobFolder) -> None:
    away = folder.path.rename(folder.path.with_name("away"))
    tick_to_the_end()
    assert any("is missing" in text for text in drawn()) and len(names()) == 2
    away.rename(folder.path)
    tick_to_the_end()
    assert not any("is missing" in text for text in drawn()) and len(names()) == 2


# The tie


@pytest.fixture
def road(ops: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A saved file, an avatar, and a trainer that does nothing."""
    monkeypatch.setattr(training, "python", lambda *_: sys.executable)
    line = [sys.executable, "-c", "import time; time.sleep(60)", "backflip_addon"]
    monkeypatch.setattr(trainer_process, "command", lambda folder, python: line)
    armature = rigs.build(skin=True)
    ops.pick_avatar()
    ops.build_body()
    ops.reference_from_action(action=rigs_action(armature))
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    bpy.ops.ed.undo_push(message="Before")
    yield ops
    if scene().backflip.job_folder:
        trainer_process.kill(job_link.job_of(scene()))


def rigs_action(armature: Any) -> str:
    from backflip_addon.scene import stored_avatar
    from backflip_addon.scene.baking import bake
    from tests.scene.takes import tumble

    body, binding = stored_avatar.body_and_binding(scene())
    result = bake.bake_take(armature, binding, tumble(body), name="Stunt", start_frame=1, scene=scene())
    nla.show_own_animation(armature)
    return result.action


def start(road: Any) -> str:
    assert road.start_training("EXEC_DEFAULT", True, minutes=1.0) == {"FINISHED"}
    return scene().backflip.job_folder_absolute


def test_a_training_is_an_undo_step_that_keeps_its_job_when_undone(road: Any) -> None:
    job = start(road)
    relative = scene().backflip.job_folder
    scene().backflip.minutes = 7.0
    bpy.ops.ed.undo_push(message="Minutes")
    for step in (bpy.ops.ed.undo, bpy.ops.ed.undo, bpy.ops.ed.redo, bpy.ops.ed.redo, bpy.ops.ed.undo):
        assert step() == {"FINISHED"}
        assert (scene().backflip.job_folder, scene().backflip.job_folder_absolute) == (relative, job)
        assert job_monitor._tick() == job_monitor.BUSY_SECONDS and job_monitor.status_of(scene()).active
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
    assert job_monitor._tick() == job_monitor.BUSY_SECONDS and scene().backflip.job_folder_absolute == job


def test_undo_does_not_bring_an_earlier_job_back(road: Any) -> None:
    first = start(road)
    trainer_process.kill(job_link.job_of(scene()))
    job_status.wait_for_end(job_link.job_of(scene()), 10.0)
    tick_to_the_end()
    second = start(road)
    assert first != second
    bpy.ops.ed.undo()
    assert scene().backflip.job_folder_absolute == second


def test_the_list_of_takes_is_whole_again_after_undo(folder: JobFolder) -> None:
    bpy.ops.ed.undo_push(message="Before")
    add_take(folder, "0002_search.npz", score=0.25)
    tick_to_the_end()
    bpy.ops.ed.undo_push(message="After")
    bpy.ops.ed.undo()
    assert len(names()) == 2
    tick_to_the_end()
    assert names()[2:] == ["0002_search.npz"] and scene().backflip.takes[2].score == 0.25


def test_start_training_is_not_done_over_by_the_redo_panel(ops: Any) -> None:
    for step in (training.StartTraining, training.FindJob):
        assert "UNDO" in step.bl_options and "REGISTER" not in step.bl_options
    for step in (ops.start_training, ops.resume_training, ops.stop_training):
        assert step.get_rna_type().properties["blocking"].is_hidden, "waiting is for scripts"


def test_a_file_saved_elsewhere_finds_its_job_and_so_does_its_copy(folder: JobFolder, tmp_path: Path) -> None:
    positions = [tmp_path / name for name in ("here", "there")]
    for place in positions:
        place.mkdir()
    bpy.ops.wm.save_as_mainfile(filepath=str(positions[0] / "a.blend"))
    assert scene().backflip.job_folder == "//../job"
    bpy.ops.wm.save_as_mainfile(filepath=str(positions[1] / "b.blend"), copy=True)
    assert scene().backflip.job_folder == "//../job"
    (tmp_path / "deep" / "er").mkdir(parents=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "deep" / "er" / "c.blend"))
    assert scene().backflip.job_folder == "//../../job"
    scene().backflip.job_folder_absolute = "/nowhere"
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "deep" / "er" / "c.blend"))
    tick_to_the_end()
    assert job_monitor.counts(scene()) == (2, 1, 0)


def test_a_training_that_the_file_was_not_saved_with_is_offered(road: Any) -> None:
    job = start(road)
    bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
    assert not scene().backflip.job_folder
    assert any("is running beside this file" in text for text in drawn())
    road.find_job(directory=job_monitor.job_beside(scene())[0])
    assert scene().backflip.job_folder_absolute == job and job_monitor.status_of(scene()).active
    assert job_monitor.job_beside(scene()) == ("", "")


# Buttons


def test_buttons_that_would_do_nothing_say_why(folder: JobFolder, ops: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RuntimeError, match="No trainer is running"):
        ops.checkpoint()
    monkeypatch.setattr(trainer_process, "start", lambda *_args: None)
    monkeypatch.setattr(training, "python", lambda *_: sys.executable)
    monkeypatch.setattr(JobFolder, "running", lambda _folder: True)
    folder.trainer_file.write_text(json.dumps({"pid": os.getpid(), "started": time.time() + 100.0}))
    job_monitor._tick()
    assert job_monitor.status_of(scene()).state == "starting"
    with pytest.raises(RuntimeError, match="is starting"):
        ops.resume_training()
    tell(folder, "started", pid=os.getpid())
    job_monitor._tick()
    with pytest.raises(RuntimeError, match="running already"):
        ops.resume_training()
    ops.pause_training()
    with pytest.raises(RuntimeError, match="paused already"):
        ops.pause_training()
    assert "Pausing…" in drawn()
    ops.resume_training()
    ops.pause_training()
    tell(folder, "paused")
    job_monitor._tick()
    ops.resume_training()
    ops.stop_training()
    for button in (ops.pause_training, ops.resume_training, ops.checkpoint):
        with pytest.raises(RuntimeError, match="is stopping"):
            button()
    assert "Stopping…" in drawn()
    ops.stop_training()


@pytest.mark.parametrize(
    ("mode", "landed", "reason", "offered"),
    [
        ("search", True, "landed", False),
        ("search", True, "landed shot", False),
        ("search", True, "stopped shot shot", True),  # it had landed, and was learning to keep its balance
        ("search", False, "time", True),
        ("auto", True, "landed", False),  # it was to stop when it had landed
        ("auto", True, "time", True),
        ("scratch", True, "landed", True),
    ],
)
def test_going_on_is_offered_where_there_is_something_to_do(
    folder: JobFolder, mode: str, landed: bool, reason: str, offered: bool
) -> None:
    (plan := folder.stages / "plan.npz").write_bytes(b"a plan")
    folder.events_file.unlink()
    tell(folder, "take", file="0001_search.npz", landed=landed)
    tell(folder, "stage", file="plan.npz")
    for end in reason.split():
        tell(folder, "started", pid=1, mode=mode)
        tell(folder, "finished", reason=end, landed=landed)
    job_monitor.refresh(scene(), whole=True)
    assert ("Resume Training" in drawn()) == offered
    plan.unlink()  # what was planned is gone: there is something to do again
    job_monitor._jobs.clear()
    job_monitor.refresh(scene(), whole=True)
    assert "Resume Training" in drawn()
