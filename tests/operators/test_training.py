# SPDX-License-Identifier: GPL-3.0-or-later
"""The road with a stand-in for the trainer."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from backflip_addon.jobs import trainer_process  # noqa: E402
from backflip_addon.jobs.folder import JobFolder  # noqa: E402
from backflip_addon.jobs.json_files import JobError  # noqa: E402
from backflip_addon.jobs.messages import Job, TakeRecorded  # noqa: E402
from backflip_addon.operators import baking, clip_library, job_link, job_monitor, takes, training  # noqa: E402
from backflip_addon.runtime import find  # noqa: E402
from backflip_addon.runtime.status import STATUS  # noqa: E402
from backflip_addon.scene import stored_avatar, stored_reference  # noqa: E402
from backflip_addon.scene.baking import bake, bake_error, nla  # noqa: E402
from tests.scene import rigs  # noqa: E402
from tests.scene.takes import tumble  # noqa: E402

STAND_IN = Path(__file__).with_name("stand_in_trainer.py")


def settings() -> Any:
    return bpy.context.scene.backflip


@pytest.fixture
def trainer(ops: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An empty file, and the stand-in for a trainer."""
    for module in (training, clip_library):
        monkeypatch.setattr(module, "python", lambda *_: sys.executable)
    monkeypatch.setattr(
        trainer_process, "command", lambda folder, python: [python.path, str(STAND_IN), str(folder.path.resolve())]
    )
    yield ops
    if settings().job_folder:
        trainer_process.kill(job_link.job_of(bpy.context.scene))


@pytest.fixture
def road(trainer: Any, tmp_path: Path) -> Any:
    """An avatar with a reference, in a saved file, and the stand-in for a trainer."""
    ops, armature = trainer, rigs.build(skin=True)
    ops.pick_avatar()
    ops.build_body()
    body, binding = stored_avatar.body_and_binding(bpy.context.scene)
    result = bake.bake_take(armature, binding, tumble(body), name="Stunt", start_frame=1, scene=bpy.context.scene)
    nla.show_own_animation(armature)
    ops.reference_from_action(action=result.action)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    return ops


def test_try_it_needs_no_clip_but_our_own(trainer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(STATUS, "clips", {})
    monkeypatch.setattr(STATUS, "ready", True)
    assert trainer.try_it() == {"FINISHED"}
    scene = bpy.context.scene
    assert settings().reference_label == clip_library.FIRST_CLIP and settings().reference_notes == "[]"
    assert job_link.job_of(scene).read_job().reference["kind"] == "FILE"
    _until(lambda: job_monitor.refresh(scene).landed > 0)
    trainer.bake_take()
    assert len(nla.baked_tracks(settings().avatar)) == 1


def test_from_start_to_export(road: Any, tmp_path: Path) -> None:
    scene = bpy.context.scene
    assert road.start_training(blocking=True, minutes=0.01, seed=3) == {"FINISHED"}
    job = job_link.job_of(scene).read_job()
    assert job.settings == {
        "minutes": pytest.approx(0.01),
        "seed": 3,
        "workers": 0,
        "mode": "search",
        "stop_when_landed": False,
        "friction": pytest.approx(0.9),
        "engine": "auto",
        "follow": "both",
    }
    assert job.avatar == "Rig" and job.reference["kind"] == "ACTION"
    assert settings().job_folder.startswith("//")
    assert [(item.name, item.landed) for item in settings().takes] == [
        ("0000_search.npz", False),
        ("0001_search.npz", True),
        ("0002_search.npz", False),
    ]
    road.bake_take(start_frame=5)
    armature = settings().avatar
    shot = takes.read_shot(scene, takes.find_take(scene))
    assert shot.file.name == "0001_search.npz"
    millimetres, degrees = bake_error.bake_error(armature, shot.body, shot.binding, shot.take.motion, 5, scene)
    assert millimetres < 1.0 and degrees < 0.1
    road.bake_take(take="0002_search.npz", name="Failure")
    assert [track.name for track in nla.baked_tracks(armature)][-1] == "Backflip: Failure"
    road.show_take(own=True)
    assert not any(track.is_solo for track in armature.animation_data.nla_tracks)
    road.show_take()
    for kind, suffix in (("FBX", "fbx"), ("USD", "usdc"), ("GLTF", "glb"), ("BVH", "bvh"), ("ALEMBIC", "abc")):
        road.export_shot(filepath=str(tmp_path / f"shot.{suffix}"), format=kind)
        assert (tmp_path / f"shot.{suffix}").stat().st_size > 1000


def test_shots_are_asked_for_recorded_and_listed(road: Any) -> None:
    road.start_training(blocking=True, minutes=0.01)
    (job_link.job_of(bpy.context.scene).stages / "plan.npz").write_bytes(b"a plan")
    job_monitor.refresh(bpy.context.scene, whole=True)
    settings().direction.count = 3
    assert road.shoot(preset="Ice rink", blocking=True) == {"FINISHED"}
    shots = [item for item in settings().takes if item.name.endswith("_shot.npz")]
    names = [job_monitor.facts_of(bpy.context.scene, item.name).name for item in shots]
    assert names == [f"Shot {number}: slippery 0.1" for number in range(3)]
    assert job_monitor.queue(bpy.context.scene) == []


def test_what_nobody_asked_for_is_not_said_to_be_asked_for(road: Any) -> None:
    road.start_training(blocking=True, minutes=0.01)
    (job_link.job_of(bpy.context.scene).stages / "plan.npz").write_bytes(b"a plan")
    job_monitor.refresh(bpy.context.scene, whole=True)
    road.shoot_more(disturbed=False, blocking=True)
    shot = next(item.name for item in settings().takes if item.name.endswith("_shot.npz"))
    name = job_monitor.facts_of(bpy.context.scene, shot).name
    assert name.startswith("Shot 0") and "slippery" not in name


def test_pause_resume_checkpoint_stop(road: Any) -> None:
    scene = bpy.context.scene
    road.start_training(minutes=1.0)
    _until(lambda: job_monitor.refresh(scene).state == "running")
    with pytest.raises(RuntimeError, match="stop it first"):
        road.start_training()
    road.pause_training()
    _until(lambda: job_monitor.refresh(scene).state == "paused")
    road.resume_training()
    _until(lambda: job_monitor.refresh(scene).state == "running")
    road.checkpoint()
    assert road.wait_job(timeout=0.1) == {"CANCELLED"}
    assert road.stop_training(blocking=True) == {"FINISHED"}
    assert job_monitor.refresh(scene).state == "stopped"
    with pytest.raises(RuntimeError, match="No trainer is running"):
        road.pause_training()


def test_a_killed_trainer_is_reported_and_goes_on(road: Any) -> None:
    scene = bpy.context.scene
    road.start_training(minutes=1.0)
    _until(lambda: len(settings().takes) == 3 or job_monitor.refresh(scene).takes == 3)
    trainer_process.kill(job_link.job_of(scene))
    with pytest.raises(RuntimeError, match="resume the training"):
        road.wait_job(timeout=600.0)
    road.resume_training()
    _until(lambda: job_monitor.refresh(scene).state == "running")


def test_the_next_blender_finds_its_job(road: Any, tmp_path: Path) -> None:
    road.start_training(blocking=True, minutes=0.01)
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))
    assert job_monitor.refresh(bpy.context.scene).state == "finished"
    assert len(settings().takes) == 3
    road.bake_take()
    assert settings().avatar.animation_data.nla_tracks


def test_a_file_that_moved_alone_still_finds_its_job(road: Any, tmp_path: Path) -> None:
    road.start_training(blocking=True, minutes=0.01)
    (tmp_path / "elsewhere").mkdir()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "elsewhere" / "shot.blend"))
    road.bake_take()


def test_an_earlier_job_is_found_by_its_folder(road: Any) -> None:
    road.start_training(blocking=True, minutes=0.01)
    folder = job_link.job_of(bpy.context.scene).path
    settings().job_folder = settings().job_folder_absolute = ""
    settings().takes.clear()
    road.find_job(directory=str(folder))
    assert len(settings().takes) == 3


def test_the_timer_shows_what_a_job_does(road: Any) -> None:
    road.start_training(minutes=1.0)
    _until(lambda: job_monitor._tick() == job_monitor.BUSY_SECONDS and len(settings().takes) == 3)
    assert job_monitor.status_of(bpy.context.scene).active
    road.stop_training(blocking=True)
    assert job_monitor._tick() == job_monitor.IDLE_SECONDS


def test_damaged_jobs_and_takes_get_a_sentence(road: Any, tmp_path: Path) -> None:
    road.start_training(blocking=True, minutes=0.01)
    folder = job_link.job_of(bpy.context.scene)
    (folder.takes / "0002_search.npz").write_bytes(b"half a take")
    with pytest.raises(RuntimeError, match="damaged"):
        road.bake_take(take="0002_search")
    with pytest.raises(RuntimeError, match="no take called"):
        road.bake_take(take="nothing")
    folder.job_file.write_text('{"version": 1, "name"')
    with pytest.raises(RuntimeError, match="half written"):
        road.bake_take(take="0001_search")
    with pytest.raises(RuntimeError, match="not the folder of a Backflip training"):
        road.find_job(directory=str(tmp_path))
    assert not nla.baked_tracks(settings().avatar)[1:]


def test_a_folder_that_holds_a_job_is_not_overwritten(road: Any, tmp_path: Path) -> None:
    JobFolder(tmp_path / "job").create(Job(name="old", body={}, settings={}))
    with pytest.raises(RuntimeError, match="already holds a training"):
        road.start_training(folder=str(tmp_path / "job"))
    assert json.loads((tmp_path / "job" / "job.json").read_text())["name"] == "old"


def _until(condition: Any, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


@pytest.mark.parametrize(
    "file", ["CesiumMan.glb", "cryptovoxels.vrm", "keijiro_NeoLowMan.fbx", "makehuman_game_engine.glb"]
)
def test_a_take_on_a_rig_of_somebody_else(ops: Any, samples: Path, tmp_path: Path, file: str) -> None:
    """A clip's own motion as the take: every rig shows it exactly."""
    from backflip_addon.core.motion import Take, save_take

    scene = bpy.context.scene
    ops.import_avatar(filepath=str(samples / "rigs" / file))
    ops.build_body()
    ops.import_reference(filepath=str(samples / "motions" / "deepmimic_sideflip.txt"))
    motion = stored_reference.reference(scene).resampled(120.0)
    body, binding = stored_avatar.body_and_binding(scene)
    nothing = np.zeros(motion.frames)
    take = Take(motion, np.zeros((motion.frames, len(body.links)), dtype=bool), nothing, nothing, {"name": "Clip"})
    save_take(tmp_path / "clip.npz", take)
    baking.bake_shot(scene, takes.read_shot(scene, tmp_path / "clip.npz"), 1)
    millimetres, degrees = bake_error.bake_error(settings().avatar, body, binding, motion, 1, scene)
    assert millimetres < 1.0 and degrees < 0.1


def test_an_engine_that_is_not_there_is_said_before_the_start(ops: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def look(pybullet: bool) -> None:
        monkeypatch.setattr(STATUS, "ready", True)
        monkeypatch.setattr(STATUS, "pybullet", pybullet)
        runtime = find.Runtime(sys.executable, (), "Ready.", "variable", pybullet=pybullet)
        monkeypatch.setattr(training, "find_runtime", lambda *_: runtime)

    look(pybullet=False)
    for engine in ("auto", "compiled"):
        settings().engine = engine
        assert training.python(engine).path == sys.executable and not training.lacks_engine(bpy.context.scene)
    settings().engine = "pybullet"
    assert training.lacks_engine(bpy.context.scene) == training.NO_PYBULLET
    for start in (lambda: training.python("pybullet"), ops.try_it):
        with pytest.raises((JobError, RuntimeError), match="has no PyBullet: choose Automatic"):
            start()
    look(pybullet=True)
    assert training.python("pybullet").path == sys.executable and not training.lacks_engine(bpy.context.scene)


def test_a_landing_that_goes_elsewhere_is_told(ops: Any, tmp_path: Path) -> None:
    """By how far it is off on average, apart from its pose; one that lies on the clip is not, nor one that fell."""
    offs = []
    for number, facts in enumerate(
        ({"landed": True, "g_mpjpe_mm": 500.0}, {"landed": True, "g_mpjpe_mm": 120.0}, {"g_mpjpe_mm": 500.0})
    ):
        folder = JobFolder(tmp_path / f"job{number}")
        folder.create(Job(name="test", avatar="Hero", body={}, settings={}))
        (folder.takes / "0001_search.npz").touch()
        folder.append_event(TakeRecorded(file="0001_search.npz", score=0.5, source="search", mpjpe_mm=100.0, **facts))
        job_monitor.set_job(bpy.context.scene, folder.path)
        while job_monitor._tick() == job_monitor.READING_SECONDS:
            pass
        offs.append(training.astray(bpy.context.scene))
    assert offs == [pytest.approx(0.49, abs=0.01), 0.0, 0.0]
