# SPDX-License-Identifier: GPL-3.0-or-later
"""While a video is looked at, its scene may be renamed, its file closed, its choice undone."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

from backflip_addon.operators import video  # noqa: E402
from backflip_addon.scene.footage import Footage  # noqa: E402
from tests.scene import rigs  # noqa: E402


@pytest.mark.parametrize("gone", ["", "another file", "undone"])
def test_what_comes_of_a_video_is_its_own_scenes(
    ops: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    """Another file's scene has the same name, and after Ctrl+Z there is no video."""
    cancelled: list[bool] = []
    work = SimpleNamespace(state="running", poll=lambda: "running", cancel=lambda: cancelled.append(True))
    found: Any = Footage(SimpleNamespace(), frames=30, rate=24.0, width=64, height=48)  # type: ignore[arg-type]
    monkeypatch.setattr(video.VideoReconstruction, "begin", lambda *_values: work)
    monkeypatch.setattr(video.footage, "open_video", lambda _path: found)
    monkeypatch.setattr(video.video_models, "are_installed", lambda _folder: True)
    monkeypatch.setattr(video, "python", lambda: None)
    monkeypatch.setattr(video._work, "reconstruction", None)
    rigs.build(skin=True)
    ops.pick_avatar()
    ops.build_body()
    scene = bpy.context.scene
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "first.blend"))
    scene.backflip.video.path = "//jump.mp4"
    video.begin(scene)
    scene.name = "Renamed"
    if gone == "another file":
        bpy.ops.wm.read_factory_settings(use_empty=True)
        bpy.context.scene.name = "Renamed"
        bpy.context.scene.backflip.video.path = "//jump.mp4"
    elif gone:
        scene.backflip.video.path = ""
    else:
        (tmp_path / "elsewhere").mkdir()
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "elsewhere" / "shot.blend"))
    video._tick()
    assert bool(cancelled) == bool(gone)
