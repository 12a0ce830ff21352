# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo's own parts; the road it walks is tested step by step elsewhere."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("bpy")

from backflip_addon import headless
from backflip_addon.core.motion import Motion, Take
from backflip_addon.jobs.launch import JobStatus


@pytest.fixture
def clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pybullet_data of our own, which must not be imported."""
    package = tmp_path / "pybullet_data"
    folder = package / "data" / "motions"
    folder.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('was imported')")
    for name in ("humanoid3d_backflip", "humanoid3d_walk", "laikago_walk"):
        (folder / f"{name}.txt").write_text("{}")
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
    take = Take(Motion(120.0, np.zeros((frames, 3)), turns), contacts, torque, assist, {})
    shown = headless.as_shown(take, take.motion.resampled(30.0))
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
