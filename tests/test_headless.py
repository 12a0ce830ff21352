# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo's own parts; the road it walks is tested step by step elsewhere."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from backflip_addon import headless, unregister  # noqa: E402
from backflip_addon.core.motion import Motion, Take  # noqa: E402
from backflip_addon.jobs import trainer_process  # noqa: E402
from backflip_addon.jobs.status import JobStatus, read_status  # noqa: E402
from backflip_addon.operators import training  # noqa: E402
from backflip_addon.scene.film import render  # noqa: E402


@pytest.fixture
def clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pybullet_data of our own, which must not be imported."""
    package = tmp_path / "pybullet_data"
    folder = package / "data" / "motions"
    folder.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('was imported')")
    for name in ("humanoid3d_backflip", "humanoid3d_walk", "laikago_walk"):
        (folder / f"{name}.txt").write_text("{}")
    monkeypatch.delitem(sys.modules, "pybullet_data", raising=False)  # other tests may have imported the real one
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def test_clip_is_found_without_an_import(clips: Path, tmp_path: Path) -> None:
    assert headless.find_clip("backflip") == clips / "humanoid3d_backflip.txt"
    file = tmp_path / "mine.bvh"
    file.write_text("")
    assert headless.find_clip(str(file)) == file
    assert "pybullet_data" not in sys.modules


def test_unknown_clip_is_said(clips: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(headless.DemoError, match="one of: backflip, walk"):
        headless.find_clip("moonwalk")
    assert headless.main(["--clip", "moonwalk", "--out", str(tmp_path / "out")]) == 1
    assert "The demo ended: There is no clip moonwalk" in capsys.readouterr().err


@pytest.mark.parametrize(("seconds", "words"), [(0, "0:00"), (75, "1:15"), (3600, "1:00:00"), (-1, "0:00")])
def test_clock(seconds: float, words: str) -> None:
    assert headless.clock(seconds) == words


def test_progress_line_is_one_line() -> None:
    status = JobStatus("running", 0.25, 30.0, 90.0, "Searching.\nmore", takes=2, landed=True)
    line = headless.progress_line(status, 31.0)
    assert line == "  0:31 running   25%  2 takes, landed  1:30 left  Searching."


def test_ticker_speaks_when_something_is_new(capsys: pytest.CaptureFixture[str]) -> None:
    ticker = headless.Ticker()
    for takes in (0, 0, 0, 1, 1):
        ticker.show(JobStatus("running", takes=takes))
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_shown_take_keeps_every_contact_and_force() -> None:
    """A touch, a torque peak and a push of one simulated frame show in the frame of the rig after them."""
    frames = 121
    contacts = np.zeros((frames, 2), dtype=bool)
    torque, assist = np.zeros(frames), np.zeros(frames)
    contacts[5, 1], torque[6], assist[117] = True, 0.9, 3.0
    turns = np.tile([1.0, 0.0, 0.0, 0.0], (frames, 2, 1))
    load = np.zeros((frames, 2))
    load[5, 1] = 400.0
    take = Take(Motion(120.0, np.zeros((frames, 3)), turns), contacts, torque, assist, {}, load)
    shown = headless.as_shown(take, take.motion.resampled(30.0))
    assert shown.load is not None and shown.load[2, 1] == 100.0 and shown.load.sum() == 100.0
    assert shown.motion.frames == 31 == len(shown.contacts)
    assert np.flatnonzero(shown.contacts[:, 1]).tolist() == [2] and not shown.contacts[:, 0].any()
    assert np.flatnonzero(shown.torque).tolist() == [2] and np.flatnonzero(shown.assist).tolist() == [30]


def test_chatter_goes_nowhere(capfd: pytest.CaptureFixture[str]) -> None:
    with headless._chatter_away() as tell:
        os.write(1, b"Saved: frame 1\n")
        tell("10%")
    print("after")
    sys.stdout.flush()
    assert capfd.readouterr().out == "10%\nafter\n"


REPORT_KEYS = {
    "landed",
    "success",
    "g_mpjpe_mm",
    "mpjpe_mm",
    "landed_cleanly",
    "hops",
    "slide_cm",
    "self_penetration_cm",
    "penetration_cm",
    "shake",
    "bake_error_mm",
    "bake_error_deg",
    "verdict",
    "seconds",
    "control_steps",
}


def standing_clip(path: Path) -> Path:
    """A DeepMimic clip of somebody who stands: time, root place and turn, then the joints' angles."""
    turn = [1.0, 0.0, 0.0, 0.0]
    leg, arm = [*turn, 0.0, *turn], [*turn, 0.0]
    frame = [1 / 30, 0.0, 0.9, 0.0, *turn, *turn, *turn, *leg, *arm, *leg, *arm]
    path.write_text(json.dumps({"Loop": "none", "Frames": [frame] * 31}))
    return path


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A trainer without physics, and a film of the size of a stamp."""
    trainer = Path(__file__).parent / "operators" / "stand_in_trainer.py"
    monkeypatch.setattr(training, "python", lambda: sys.executable)
    monkeypatch.setattr(
        trainer_process, "command", lambda folder, python: [python.path, str(trainer), str(folder.path.resolve())]
    )
    monkeypatch.setattr(render, "SIZE", (64, 36))
    monkeypatch.setattr(headless, "FPS", 8)
    yield
    unregister()


def test_the_whole_road(stand_in: None, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "a demo"
    clip = standing_clip(tmp_path / "humanoid3d_stand.txt")
    assert headless.main(["--clip", str(clip), "--out", str(out), "--minutes", "0.05", "--seed", "4"]) == 0
    report = json.loads((out / "report.json").read_text())
    assert set(report) >= REPORT_KEYS
    assert report["bake_error_mm"] < 1.0 and report["bake_error_deg"] < 0.1
    assert report["take"] == "0001_search.npz" and report["control_steps"] == 5 and report["seed"] == 4
    assert report["landed"] in (True, False)
    assert (out / "backflip.png").read_bytes().startswith(b"\x89PNG")
    assert (out / "backflip.mp4").read_bytes()[4:8] == b"ftyp"
    assert (out / "backflip.fbx").read_bytes().startswith(b"Kaydara FBX Binary")
    said = capfd.readouterr().out
    assert "finished" in said and "Append frame" not in said
    assert f"\n{report['verdict']}. " in said and report["landed_cleanly"] is not True, "nobody tried how robust it is"
    assert "Longest slide" in said and "Past joint limits" in said

    bpy.ops.wm.open_mainfile(filepath=str(out / "backflip.blend"))
    scene = bpy.context.scene
    assert scene.camera is not None and scene.frame_end > scene.frame_start
    armature = scene.backflip.avatar
    poses = []
    for frame in (scene.frame_start, scene.frame_end // 2, scene.frame_end):
        scene.frame_set(frame)
        evaluated = armature.evaluated_get(bpy.context.evaluated_depsgraph_get())
        poses.append(np.array([bone.matrix for bone in evaluated.pose.bones]))
    assert max(np.abs(pose - poses[0]).max() for pose in poses) > 0.01, "the saved file plays the take"


def test_failing_trainer_is_said(
    stand_in: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    crash = "import sys; print('ModuleNotFoundError: No module named 'pybullet''); sys.exit(1)"
    monkeypatch.setattr(trainer_process, "command", lambda folder, python: [python.path, "-c", crash])
    clip = standing_clip(tmp_path / "stand.txt")
    assert headless.main(["--clip", str(clip), "--out", str(tmp_path / "out"), "--minutes", "0.05"]) == 1
    assert "The demo ended: The trainer's Python lacks pybullet" in capsys.readouterr().err


def test_interrupt_goes_on_with_the_best_take(stand_in: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while it learns ends the learning, not the demo."""
    waits = []
    really_wait = headless.wait_for_end

    def wait(folder: object, timeout: float, on_status: object = None) -> JobStatus:
        waits.append(timeout)
        if len(waits) == 1:
            while not read_status(folder).takes:
                pass
            raise KeyboardInterrupt
        return really_wait(folder, timeout)

    monkeypatch.setattr(headless, "wait_for_end", wait)
    monkeypatch.setattr(headless, "_shoot", lambda scene, out: None)
    clip = standing_clip(tmp_path / "stand.txt")
    assert headless.main(["--clip", str(clip), "--out", str(tmp_path), "--minutes", "10"]) == 0
    assert json.loads((tmp_path / "report.json").read_text())["take"] == "0001_search.npz"
    assert len(waits) == 2
