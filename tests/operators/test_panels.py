# SPDX-License-Identifier: GPL-3.0-or-later
"""What panels draw where: what is pressed stays under the mouse, and what is said is said whole."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

from backflip_addon.jobs.status import JobStatus  # noqa: E402
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
