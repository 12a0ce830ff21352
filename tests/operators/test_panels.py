# SPDX-License-Identifier: GPL-3.0-or-later
"""What panels draw where: what is pressed stays under the mouse, and what is said is said whole."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

from backflip_addon.jobs.status import JobStatus  # noqa: E402
from backflip_addon.operators import base, job_monitor  # noqa: E402
from backflip_addon.runtime.status import STATUS  # noqa: E402
from backflip_addon.ui import bake_panel, training_panel  # noqa: E402
from tests.operators.test_buttons import job  # noqa: E402
from tests.operators.test_job_monitor import Recorder  # noqa: E402
from tests.scene import rigs  # noqa: E402


class Presses(Recorder):
    """A layout that keeps the texts, and the names of what is pressed."""

    def operator(self, name: str, **_options: Any) -> Any:
        self.texts.append(name)
        return self

    def row(self, **_options: Any) -> Presses:
        return self

    column = row


def context(width: int) -> Any:
    """What is drawn in: a region so many pixels wide."""
    system = SimpleNamespace(ui_scale=1.0)
    preferences, region = SimpleNamespace(system=system), SimpleNamespace(width=width)
    return SimpleNamespace(scene=bpy.context.scene, preferences=preferences, region=region, screen=None)


@pytest.fixture
def hero(ops: Any) -> Any:
    rigs.build(skin=True, name="Hero")
    ops.pick_avatar()
    ops.build_body()
    return ops


def test_no_sentence_moves_what_a_training_is_paused_and_stopped_with(hero: Any, tmp_path: Path) -> None:
    job(tmp_path / "job", {"outcome": "fell_forward", "outcome_at": 1.5})
    places = []
    for message in ("Short.", "A sentence that takes some lines of a sidebar as narrow as this one is."):
        texts: list[str] = []
        status = JobStatus("running", message=message)
        training_panel.BACKFLIP_PT_train._draw_running(None, context(280), Presses(texts), status)
        places.append(texts.index("backflip.stop_training"))
    assert places[0] == places[1]


def test_the_title_of_the_take_to_bake_is_shown_whole(hero: Any, tmp_path: Path) -> None:
    job(tmp_path / "job", {"landed": True})
    take = bpy.context.scene.backflip.takes[0]
    take.title = words = "7 Fell forward, on its knees and its hands and the back of its head"
    texts: list[str] = []
    panel = bake_panel.BACKFLIP_PT_bake
    type("Panel", (), dict(panel.__dict__) | {"layout": Presses(texts)})().draw(context(280))
    lines = [text for text in texts if text and text in f"Take {words}"]
    assert len(lines) > 1 and " ".join(lines) == f"Take {words}"


def test_nothing_starts_a_second_training_in_the_place_of_one_that_runs(
    hero: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The avatar is gone, as after Ctrl+Z of the press that began: the training is not."""
    monkeypatch.setattr(STATUS, "ready", True)
    job(tmp_path / "job", {"landed": False})
    bpy.context.scene.backflip.avatar = None
    assert hero.try_it.poll()
    monkeypatch.setattr(job_monitor, "status_of", lambda _scene: JobStatus("running"))
    with pytest.raises(RuntimeError, match=r"stop it first \(step 3\)"):
        hero.try_it()


def test_a_scene_of_another_file_is_refused_in_words(hero: Any, tmp_path: Path) -> None:
    file = str(tmp_path / "shot.blend")
    bpy.context.scene.name = "Shot"
    bpy.ops.wm.save_as_mainfile(filepath=file)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    with bpy.data.libraries.load(file, link=True) as (_there, here):
        here.scenes = ["Shot"]
    bpy.context.window.scene = bpy.data.scenes["Shot"]
    assert bpy.context.scene.library is not None
    for press in (hero.build_body, hero.add_mannequin, hero.clear_reference):
        with pytest.raises(RuntimeError, match="linked from another file"):
            press()
    assert base.what_is_missing(bpy.context.scene) == "", "who needs nothing goes on"
