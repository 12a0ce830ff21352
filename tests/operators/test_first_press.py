# SPDX-License-Identifier: GPL-3.0-or-later
"""From the first press on: which button is next, which step is open, clips by name, and the landing that is shown."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

from backflip_addon import wrapping  # noqa: E402
from backflip_addon.core import findings  # noqa: E402
from backflip_addon.core.isolation import Interpreter  # noqa: E402
from backflip_addon.jobs import job_summaries  # noqa: E402
from backflip_addon.jobs.events import Budget  # noqa: E402
from backflip_addon.jobs.messages import TakeRecorded  # noqa: E402
from backflip_addon.operators import follow, job_list, job_monitor, road, take_list  # noqa: E402
from backflip_addon.operators.follow import Moment  # noqa: E402
from backflip_addon.runtime import clips  # noqa: E402
from backflip_addon.runtime.status import STATUS  # noqa: E402
from backflip_addon.settings.road import STEPS, turn_to  # noqa: E402
from backflip_addon.ui import avatar_panel, panel_base, reference_panel, training_panel  # noqa: E402
from tests.job_events import tell  # noqa: E402
from tests.operators.test_buttons import job  # noqa: E402
from tests.operators.test_job_monitor import Recorder, drawn  # noqa: E402
from tests.operators.test_road import crouch  # noqa: E402
from tests.scene import rigs  # noqa: E402


def scene() -> Any:
    return bpy.context.scene


def opened() -> list[str]:
    return [step for step in STEPS if getattr(scene().backflip.road, step)]


def test_one_button_is_next_and_one_step_is_open(ops: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(STATUS, "ready", False)
    assert road.next_press(scene()) == "backflip.install_runtime"
    monkeypatch.setattr(STATUS, "ready", True)
    monkeypatch.setattr(STATUS, "clips", {"Crouch": crouch(tmp_path / "humanoid3d_crouch.txt")})
    assert road.next_press(scene()) == "backflip.try_it" and opened() == ["avatar"]
    ops.add_mannequin()
    assert road.next_press(scene()) == "backflip.build_body"
    ops.build_body()
    assert road.next_press(scene()) == "backflip.use_clip" and opened() == ["reference"]
    assert road.held(scene(), "avatar") == "Mannequin, 1.75 m, 67 kg"
    ops.use_clip(name="Crouch")
    assert road.next_press(scene()) == "backflip.start_training" and opened() == ["train"]
    assert road.held(scene(), "reference").startswith("Crouch, ")
    job(tmp_path / "job", {"landed": True})
    assert road.next_press(scene()) == "backflip.bake_take"
    ops.bake_take()
    assert road.next_press(scene()) == "screen.animation_play" and opened() == ["bake"]
    settings = scene().backflip
    assert (scene().frame_start, scene().frame_end) == (settings.baked_first, settings.baked_last)
    assert not settings.show_take


def test_an_avatar_that_was_deleted_is_none_to_any_step(
    ops: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(STATUS, "ready", True)
    ops.add_mannequin()
    ops.build_body()
    job(tmp_path / "job", {"landed": True})
    settings, character = scene().backflip, scene().backflip.avatar
    for child in character.children_recursive:
        bpy.data.objects.remove(child)
    scene().collection.objects.unlink(character)
    assert settings.avatar == character, "so Blender's Delete leaves it, which we hold"
    assert road.held(scene(), "avatar") == "" and road.next_press(scene()) == "backflip.try_it"
    texts: list[str] = []
    stand_in = type("Panel", (), dict(avatar_panel.BACKFLIP_PT_avatar.__dict__) | {"layout": Recorder(texts)})
    stand_in().draw(bpy.context)
    assert "Try It: Learn a Backflip" in texts and "An avatar has been chosen already." not in texts
    said: list[str] = []
    monkeypatch.setattr(follow, "say", said.append)
    take = settings.takes[0].name
    follow.react(scene(), Moment(True, 0, 0, True), Moment(True, 1, 1, True), take)
    assert said == [f"{follow.LANDED}."] and not ops.bake_take.poll(), "nothing offers what cannot be pressed"
    with pytest.raises(RuntimeError, match="Choose an avatar first"):
        ops.show_take()


class Signs(Recorder):
    """A layout that keeps the texts, each after its icon."""

    def label(self, text: str = "", icon: str = "NONE") -> None:
        self.texts.append(f"{icon} {text}")


@pytest.mark.parametrize(
    ("odd", "words"), [(0, ""), (1, "1 thing seems odd about the clip"), (3, "3 things seem odd about the clip")]
)
def test_what_is_odd_about_a_clip_is_told_where_its_step_is_folded(ops: Any, odd: int, words: str) -> None:
    ops.add_mannequin()
    settings = scene().backflip
    notes = [findings.Finding("time_scale", f"Odd thing {number}.") for number in range(odd)]
    notes.append(findings.Finding("loops", "It could go around.", {"loops": True}, findings.INFO))
    settings.reference_label = "Walk"
    settings.reference_notes = json.dumps([dataclasses.asdict(note) for note in notes])
    texts: list[str] = []
    context = SimpleNamespace(scene=scene(), preferences=None, region=None, window_manager=None)
    for panel in (reference_panel.BACKFLIP_PT_reference, training_panel.BACKFLIP_PT_train):
        stand_in = type("Panel", (), dict(panel.__dict__) | {"layout": Signs(texts)})
        panel_base.open_step(stand_in(), context, panel.__name__.rpartition("_")[2], panel.bl_label)
    assert list(filter(None, texts)) == [f"{'ERROR' if odd else 'NONE'} 2 Reference: Walk", "NONE 3 Train"]
    training_panel.BACKFLIP_PT_train._draw_idle(None, context, Signs(texts), None)
    told = [text for text in texts if "odd about the clip" in text]
    assert told == ([f"{words}: see step 2."] if odd else [])
    assert not told or texts.index(told[0]) < texts.index("Start Training")


def test_takes_of_another_clip_are_said_to_be(ops: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(STATUS, "ready", True)
    monkeypatch.setattr(STATUS, "clips", {"Crouch": crouch(tmp_path / "humanoid3d_crouch.txt")})
    rigs.build(skin=True, name="Hero")
    ops.pick_avatar()
    ops.build_body()
    file = job(tmp_path / "job", {"landed": True}).job_file
    known = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(known | {"reference": {"label": "Standing Backflip"}}), encoding="utf-8")
    job_monitor.refresh(scene(), whole=True)
    scene().backflip.reference_label = "Standing Backflip"
    assert not road.of_another(scene())
    scene().backflip.reference_label = "Cartwheel"
    words = "These takes imitate Standing Backflip: choose it again (step 2), or start a new training (step 3)."
    assert road.of_another(scene()) == words and words in drawn()
    scene().backflip.reference_label = ""
    assert not road.of_another(scene()), "nothing has been chosen that they could be taken for"
    ops.use_clip(name="Crouch")
    assert road.of_another(scene()) and road.next_press(scene()) == "backflip.start_training", "not to bake those"
    with monkeypatch.context() as at_work:
        at_work.setattr(type(job_monitor.status_of(scene())), "active", True)
        scene().backflip.baked_last = 50
        assert road.next_press(scene()) == "screen.animation_play", "no second training beside one that runs"
    scene().backflip.baked_last = 0
    scene().backflip.reference_label = "Standing Backflip"
    assert road.next_press(scene()) == "backflip.bake_take"


def test_the_goal_is_what_the_settings_come_to(ops: Any) -> None:
    settings = scene().backflip
    assert settings.goal == "LANDING" and settings.longest == pytest.approx(300.0)
    settings.goal = "RELIABLE"
    assert (settings.mode, settings.stop_when_landed) == ("auto", False)
    settings.mode = "scratch"
    assert settings.goal == "FAILURES"


def test_the_latest_take_is_chosen_until_an_earlier_one_is_and_the_landing_always(ops: Any, tmp_path: Path) -> None:
    rigs.build(skin=True, name="Hero")
    ops.pick_avatar()
    ops.build_body()
    job(tmp_path / "job", {}, {}, {"landed": True})
    settings = scene().backflip
    before, now = Moment(True, 1, 0, True), Moment(True, 2, 0, True)
    follow.react(scene(), before, now, "")
    assert settings.take_index == 1
    settings.take_index = 0
    follow.react(scene(), now, Moment(True, 3, 0, True), "")
    assert settings.take_index == 0, "who looks at an earlier take keeps it"
    follow.react(scene(), Moment(False, 0, 0, False), Moment(False, 3, 1, True), "0002_search.npz")
    assert settings.take_index == 0, "an old job is no news"
    follow.react(scene(), now, Moment(True, 3, 1, True), "0002_search.npz")
    assert settings.take_index == 2 and opened() == ["bake"]


def test_of_an_opened_training_the_best_take_is_chosen(ops: Any, tmp_path: Path) -> None:
    rigs.build(skin=True, name="Hero")
    ops.pick_avatar()
    ops.build_body()
    folder = job(tmp_path / "job", {}, {"landed": True, "score": 0.5}, {}).path
    settings = scene().backflip
    for _time in range(2):  # another time it is the one that the scene shows already
        ops.find_job(directory=str(folder), ask=False)
        assert settings.take_index == 0
        for _look in range(3):
            job_monitor._tick()
        assert settings.takes[settings.take_index].landed
    settings.take_index = 0
    job_monitor._tick()
    assert settings.take_index == 0, "whoever chooses another one keeps it"


def test_no_undo_takes_the_choice_from_an_opened_training(ops: Any, tmp_path: Path) -> None:
    rigs.build(skin=True, name="Hero")
    ops.pick_avatar()
    ops.build_body()
    folder = job(tmp_path / "job", {}, {"landed": True, "score": 0.5}, {}, {}).path
    job(tmp_path / "another", {}, {}, {"landed": True}, {})
    settings = scene().backflip
    settings.take_index = 2
    bpy.ops.ed.undo_push(message="Before")
    ops.find_job("EXEC_DEFAULT", True, directory=str(folder), ask=False)
    for _look in range(3):
        job_monitor._tick()
    scene().frame_end = 99
    bpy.ops.ed.undo_push(message="End Frame")
    for step in (bpy.ops.ed.undo, bpy.ops.ed.undo, bpy.ops.ed.redo):
        step()
        seen = scene().backflip.take_index  # which is drawn until the timer comes
        for _look in range(2):
            job_monitor._tick()
        assert scene().backflip.job_folder_absolute == str(folder.resolve())
        assert [take.landed for take in scene().backflip.takes] == [False, True, False, False]
        assert seen == scene().backflip.take_index == 1, "the landing stays chosen, which a bake would bake"


def test_a_better_landing_is_announced_and_chosen_where_the_one_before_is_chosen_still(
    ops: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rigs.build(skin=True, name="Hero")
    ops.pick_avatar()
    ops.build_body()
    job(tmp_path / "job", {"landed": True}, {}, {"landed": True, "landed_cleanly": True})
    said: list[str] = []
    monkeypatch.setattr(follow, "say", said.append)
    settings = scene().backflip
    first, second = (item.name for item in (settings.takes[0], settings.takes[2]))
    worse, better = (TakeRecorded(landed=True, landed_cleanly=clean).rank for clean in (None, True))
    before, now = Moment(True, 2, 1, True, 0, first, worse), Moment(False, 3, 2, True, 1, second, better)
    settings.take_index = 1
    follow.react(scene(), before, now, second)
    told = f"{follow.CLEANLY}: bake it when you like."
    assert settings.take_index == 1 and said == [told], "who looks at another take keeps it, and is told"
    settings.take_index = 0
    follow.react(scene(), before, now, second)
    assert settings.take_index == 2
    settings.take_index, settings.baked_last = 0, 60
    follow.react(scene(), before, dataclasses.replace(now, clean=0), second)
    assert settings.take_index == 0 and said[-1] == follow.BETTER, "what is baked is not taken back"
    follow.react(scene(), now, dataclasses.replace(now, takes=4), second)
    follow.react(scene(), before, dataclasses.replace(now, worth=worse), second)
    assert len(said) == 3, "an attempt that is no better is no news"


def test_what_was_shot_is_chosen_when_it_comes_unless_another_take_is_until_then(
    ops: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rigs.build(skin=True, name="Hero")
    ops.pick_avatar()
    ops.build_body()
    job(tmp_path / "job", {"landed": True}, {}, {"request": "a"}, {"request": "b"})
    said: list[str] = []
    monkeypatch.setattr(follow, "say", said.append)
    settings, names = scene().backflip, [item.name for item in scene().backflip.takes]
    assert job_monitor._shot(scene(), 1) == names[2] and not job_monitor._shot(scene(), 4)
    before, now = Moment(False, 1, 1, True), Moment(False, 4, 1, True)
    settings.take_index = 0
    follow.react(scene(), before, now, names[0], names[2])
    assert settings.take_index == 0 and not said, "nobody has asked for it here"
    follow.asked(scene())
    follow.react(scene(), before, now, names[0])
    assert settings.take_index == 0, "what goes on learning is not what was shot"
    follow.react(scene(), before, now, names[0], names[2])
    assert settings.take_index == 2 and said == [f"{follow.SHOT}: bake it when you like."]
    follow.react(scene(), before, now, names[0], names[3])
    assert settings.take_index == 2, "the first of several is chosen, the others stay in the list"
    follow.asked(scene())
    settings.take_index = 1
    follow.react(scene(), before, now, names[0], names[3])
    assert settings.take_index == 1 and len(said) == 2, "who looks at another take keeps it, and is told"


def test_a_landing_stays_chosen_when_later_takes_fall(ops: Any, tmp_path: Path) -> None:
    rigs.build(skin=True, name="Hero")
    ops.pick_avatar()
    ops.build_body()
    folder = job(tmp_path / "job", {}, {"landed": True})
    settings, shown = scene().backflip, job_monitor._shown[scene().session_uid]
    known = job_monitor._jobs[str(folder.path)]
    assert settings.take_index == 1
    for number, live, chosen in ((2, True, 1), (3, False, 1)):
        tell(folder, "take", file=f"{number:04d}_search.npz")
        (folder.takes / f"{number:04d}_search.npz").write_bytes((folder.takes / "0000_search.npz").read_bytes())
        known.look(Budget())
        assert not take_list.show(scene(), shown, known.takes, Budget(), live)
        assert (len(settings.takes), settings.take_index) == (number + 1, chosen)
    settings.take_index = 3
    tell(folder, "take", file="0004_search.npz", landed=True)
    (folder.takes / "0004_search.npz").write_bytes((folder.takes / "0000_search.npz").read_bytes())
    job_monitor.refresh(scene(), whole=True)
    assert settings.take_index == 4, "who looks at the latest goes on to the next"


def test_a_bake_can_be_done_over_though_the_undo_step_before_it_knew_no_take(
    ops: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rigs.build(skin=True, name="Hero")
    ops.pick_avatar()
    ops.build_body()
    job(tmp_path / "job", {"landed": True})
    monkeypatch.setattr(job_monitor, "any_take", lambda _scene: False)  # which is for Blenders without a window
    scene().backflip.takes.clear()
    assert ops.bake_take.poll()


def test_clips_are_known_by_name(tmp_path: Path) -> None:
    folder = tmp_path / clips.FOLDER
    folder.mkdir(parents=True)
    for name in ("humanoid3d_walk.txt", "humanoid3d_backflip.txt", "humanoid3d_yawn.txt", "laikago_walk.txt"):
        (folder / name).touch()
    assert list(clips.trainer_clips(Interpreter("", str(tmp_path)))) == ["Backflip", "Walk", "Yawn"]
    (tmp_path / "own" / "kicks").mkdir(parents=True)
    for name in ("a.bvh", "kicks/b.FBX", "notes.doc"):
        (tmp_path / "own" / name).touch()
    assert list(clips.user_clips(tmp_path / "own", (".bvh", ".fbx"))) == ["a.bvh", "kicks/b.FBX"]
    assert not clips.user_clips(tmp_path / "nowhere", (".bvh",))


def test_undo_leaves_open_what_is_looked_at_until_another_button_is_next(
    ops: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(STATUS, "ready", True)
    bpy.ops.ed.undo_push(message="Before")
    ops.add_mannequin("EXEC_DEFAULT", True)
    ops.build_body("EXEC_DEFAULT", True)
    ops.use_clip("EXEC_DEFAULT", True, name="Tuck Jump")
    turn_to(scene().backflip, "avatar", "takes")  # by a press on their headers, which is no undo step
    scene().frame_end = 99
    bpy.ops.ed.undo_push(message="End Frame")
    bpy.ops.ed.undo()
    assert opened() == ["avatar", "takes"]
    bpy.ops.ed.undo()
    assert road.next_press(scene()) == "backflip.use_clip" and opened() == ["reference"]
    turn_to(scene().backflip)
    bpy.ops.ed.undo()
    assert road.next_press(scene()) == "backflip.build_body" and opened() == ["avatar"]
    bpy.ops.ed.redo()
    assert opened() == ["reference"]


def test_the_mannequin_stands_beside_what_is_there(ops: Any) -> None:
    bpy.ops.mesh.primitive_plane_add(size=10.0)
    ops.add_mannequin()
    assert scene().backflip.avatar.location.x == 0.0, "a floor is stood on"
    bpy.ops.mesh.primitive_cube_add(size=2.0)
    ops.add_mannequin()
    assert scene().backflip.avatar.location.x == pytest.approx(2.0)
    ops.add_mannequin()
    assert scene().backflip.avatar.location.x > 3.0, "nor in one another"


def test_earlier_trainings_are_listed_and_deleted_and_no_other_folder_is(
    ops: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rigs.build(skin=True, name="Hero")
    ops.pick_avatar()
    ops.build_body()
    first, second = job(tmp_path / "first", {"landed": True}), job(tmp_path / "second")
    (tmp_path / "no job").mkdir()
    os.utime(first.path, (1e9, 1e9))
    found = job_summaries.summaries([tmp_path, tmp_path / "nowhere"])
    assert [(told.path, told.avatar, told.landed) for told in found] == [
        (str(second.path), "Hero", False),
        (str(first.path), "Hero", True),
    ]
    monkeypatch.setattr(job_list._Found, "jobs", tuple(found))
    with pytest.raises(RuntimeError, match="from the list"):
        ops.delete_job(directory=str(tmp_path))
    with pytest.raises(RuntimeError, match="shows the takes"):
        ops.delete_job(directory=str(second.path))
    ops.delete_job(directory=str(first.path))
    end = time.monotonic() + 10.0
    while first.path.exists() and time.monotonic() < end:
        time.sleep(0.01)
    assert not first.path.exists() and second.path.exists() and len(job_list.jobs()) == 1


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_a_sentence_is_shown_whole_in_lines_that_fit(scale: float) -> None:
    shown = SimpleNamespace(
        preferences=SimpleNamespace(system=SimpleNamespace(ui_scale=scale)), region=SimpleNamespace(width=960)
    )
    words = "Python 3.11.7 with numpy 1.26.4, torch 2.13.0+cpu, numba 0.68.1 and pybullet 3.2.7 is ready."
    lines = wrapping.in_lines(shown, words, 120.0)  # type: ignore[arg-type]
    assert " ".join(lines) == words and len(lines) == scale
    assert max(map(len, lines)) * 6.6 * scale <= 960 - 120 * scale


@pytest.mark.parametrize("width", range(300, 420, 10))
def test_no_number_is_parted_from_its_unit(width: int) -> None:
    shown = SimpleNamespace(
        preferences=SimpleNamespace(system=SimpleNamespace(ui_scale=1.0)), region=SimpleNamespace(width=width)
    )
    words = "Latest take: on its head at 1.11 s, under-rotated by 97°; it rose 2 m, slid 12 cm and weighs 61 kg in all."
    lines = wrapping.in_lines(shown, words, 120.0)  # type: ignore[arg-type]
    assert " ".join(lines) == words and len(lines) > 2
    assert not any(line[-1].isdigit() for line in lines[:-1])
