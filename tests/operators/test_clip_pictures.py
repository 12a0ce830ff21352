# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of the clips in the list: drawn in a thread, kept in the user's folder, and none without a window."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")
previews = pytest.importorskip("bpy.utils.previews")

from backflip_addon.operators import background_work, clip_choice, clip_library, clip_pictures  # noqa: E402
from tests.operators.test_road import crouch  # noqa: E402


def test_clips_have_pictures_which_are_drawn_once_a_file(
    ops: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound, damaged = crouch(tmp_path / "crouch.txt"), tmp_path / "damaged.bvh"
    damaged.write_text("HIERARCHY")
    own = {"crouch": sound, "damaged.bvh": damaged, "hero.fbx": tmp_path / "hero.fbx", "gone.bvh": tmp_path / "gone"}
    monkeypatch.setattr(clip_library, "library", lambda: ({}, own))
    monkeypatch.setattr(clip_pictures, "_folder", lambda: str(tmp_path / "pictures"))
    clip_pictures.draw_ahead()
    assert not clip_pictures.icon("crouch") and not (tmp_path / "pictures").exists(), "none without a window"

    monkeypatch.setattr(background_work, "waits", lambda: False)
    monkeypatch.setattr(clip_pictures, "_previews", previews.new())
    drawn_again(tmp_path)
    (file,) = (tmp_path / "pictures").iterdir()
    assert tuple(clip_pictures._previews["crouch"].image_size) == (clip_pictures.SIZE, clip_pictures.SIZE)
    assert list(clip_pictures._previews) == ["crouch"] and not clip_pictures.icon("hero.fbx")

    made = file.stat().st_ino
    clip_pictures._forget()
    clip_pictures._pictures.forget()
    drawn_again(tmp_path)
    assert file.stat().st_ino == made, "it is there already"
    os.utime(sound, (1e9, 1e9))
    clip_pictures._forget()
    clip_pictures._pictures.forget()
    drawn_again(tmp_path)
    assert file.stat().st_ino != made and file.stat().st_mtime == 1e9, "the clip is another one"
    clip_pictures.unregister()
    assert clip_pictures._previews is None and not clip_pictures.icon("crouch")


def drawn_again(folder: Path) -> None:
    """Have all of them drawn as a window would."""
    clip_pictures.draw_ahead()
    end = time.monotonic() + 20.0
    while background_work._tick() is not None:
        assert time.monotonic() < end, "it is never done"
        time.sleep(0.01)


def test_a_picture_that_is_pressed_uses_its_clip(ops: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ops.add_mannequin()
    ops.build_body()
    manager, settings = bpy.context.window_manager, bpy.context.scene.backflip
    names = [name for name, *_rest in clip_choice.choices()]
    assert names[: len(clip_library.STUNTS)] == list(clip_library.STUNTS)
    assert manager.backflip_clip == names[-1] == clip_choice._FILE, "no clip is chosen, and none is shown as chosen"
    waiting: list[Any] = []
    monkeypatch.setattr(bpy.app.timers, "register", lambda work, **_when: waiting.append(work))
    manager.backflip_clip = "Tuck Jump"
    assert not settings.reference_data, "not in the midst of a press"
    waiting[-1]()
    assert settings.reference_label == manager.backflip_clip == "Tuck Jump" and settings.reference_data


def test_all_pictures_fit_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip_choice, "choices", lambda: [("", "", "", 0, i) for i in range(19)])

    def shown(width: int, height: int, scale: float) -> tuple[float, bool]:
        system = SimpleNamespace(ui_scale=scale)
        window = SimpleNamespace(width=width, height=height)
        context: Any = SimpleNamespace(preferences=SimpleNamespace(system=system), window=window)
        size, named = clip_choice.picture_scale(context)
        button = 20.0 * scale
        assert size * clip_choice.COLUMNS * button < width and 3 * (size + named) * button < height / 2
        return size, named

    assert shown(1920, 1200, 1.0) == (6.0, True) and shown(1280, 720, 1.0)[1] and not shown(1280, 720, 2.0)[1]
