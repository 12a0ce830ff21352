# SPDX-License-Identifier: GPL-3.0-or-later
"""The notes on a clip are on the reference as it is set, and their buttons do what they say, once."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from backflip_addon.core import findings, rotations  # noqa: E402
from backflip_addon.core.body import Body  # noqa: E402
from backflip_addon.core.findings import Finding  # noqa: E402
from backflip_addon.operators import reference, reference_notes  # noqa: E402
from backflip_addon.scene import stored_avatar, stored_reference  # noqa: E402
from backflip_addon.ui.reference_panel import fix_words  # noqa: E402
from tests.core import performances, test_clip_notes  # noqa: E402
from tests.operators.test_reference import set_reference, settings  # noqa: E402
from tests.scene import rigs  # noqa: E402
from tests.test_headless import standing_clip  # noqa: E402


@pytest.fixture
def body(ops: Any) -> Body:
    rigs.build(skin=True)
    ops.pick_avatar()
    ops.build_body()
    return stored_avatar.body_and_binding(bpy.context.scene)[0]


def codes() -> list[str]:
    return [note["code"] for note in reference_notes.kept(bpy.context.scene)]


def hasty(tmp_path: Path) -> str:
    """The file of a leap that falls at four times gravity."""
    times = np.arange(-15, 31) / 30
    heights = 0.9 + 4 * 4.905 * np.maximum(times * (0.5 - times), 0.0)
    return str(standing_clip(tmp_path / "leap.txt", list(heights)))


def test_what_is_left_out_is_told_in_seconds_of_the_whole_clip(ops: Any, body: Body) -> None:
    """Of a part, played slowly, that stands and moves off again, and of one that begins with an odd pose."""
    whole = test_clip_notes.moving_off(test_clip_notes.landing())
    odd = whole.rotations.copy()
    odd[30, body.index("upper_arm.L")] = [0.7, 0.0, 0.7, 0.0]
    set_reference(bpy.context.scene, dataclasses.replace(whole, rotations=rotations.normalise(odd)))
    settings().trim_start, settings().time_scale = 30 / whole.rate, 2.0
    fixes = {note["code"]: note["fix"] for note in reference_notes.kept(bpy.context.scene)}
    assert fixes["rest_pose_first"]["start"] == pytest.approx(31 / whole.rate)
    stands = fixes["moves_off"]["end"]
    assert stands == pytest.approx(whole.duration - 0.4, abs=0.05)
    assert fix_words(fixes["moves_off"]) == f"End at {stands:.2f} s"
    assert reference.mended(settings(), fixes["moves_off"]) == {"trim_end": stands}
    ops.apply_fix(code="rest_pose_first")
    ops.apply_fix(code="moves_off")
    assert not {"rest_pose_first", "moves_off"} & set(codes())
    left = stored_reference.reference(bpy.context.scene).duration
    assert left == pytest.approx(2.0 * (stands - 31 / whole.rate), abs=2.1 * 2 / whole.rate)


def test_a_clip_that_is_read_again_is_looked_at_as_it_is_set(ops: Any, body: Body, tmp_path: Path) -> None:
    ops.import_reference(filepath=hasty(tmp_path))
    ops.apply_fix(code="time_scale")
    for again in (ops.build_body, ops.read_clip_again):
        again()
        assert settings().time_scale == 2.0 and "time_scale" not in codes()
    settings().trim_start = 100.0  # nothing of it is left
    ops.read_clip_again()
    assert settings().reference_data and settings().notes_due == ""
    assert codes() == ["nothing_left"] and "Change From and To" in settings().reference_notes
    assert findings.odd(settings().reference_notes) == 1, "so that step 3 tells of it, and the folded step 2"


def test_what_is_set_by_hand_is_looked_at(ops: Any, body: Body, tmp_path: Path) -> None:
    ops.import_reference(filepath=hasty(tmp_path))
    settings().time_scale = 2.0
    with pytest.raises(RuntimeError, match="nothing to fix"):
        ops.apply_fix(code="time_scale")
    assert settings().time_scale == 2.0 and "time_scale" not in codes()
    settings().time_scale = 1.0
    assert "time_scale" in codes()
    settings().trim_end = 0.4  # before it leaps
    assert "time_scale" not in codes()
    for name in settings().bl_rna.properties.keys():  # noqa: SIM118
        if name in stored_reference.Asked._fields or name.startswith(("trim_", "physical_")) or name == "loops":
            settings().notes_due = ""
            setattr(settings(), name, getattr(settings(), name))
            assert settings().notes_due, name


def test_what_is_made_physical_does_not_hide_that_the_rate_is_wrong(ops: Any, body: Body, tmp_path: Path) -> None:
    ops.import_reference(filepath=hasty(tmp_path))
    settings().physical_footing = True
    assert "time_scale" in codes()


def test_what_is_on_already_is_not_offered(ops: Any, body: Body, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said of a clip that a fix did not mend stays."""
    names = ("grounded", "upright", "physical_footing", "physical_flights")
    odd = [Finding(name, "It is odd.", {name: True}) for name in names] + [Finding("slow", ".", {"time_scale": 2.0})]
    monkeypatch.setattr(reference_notes.inspection, "inspect", lambda *_: list(odd))
    set_reference(bpy.context.scene, performances.standing(body))
    settings().time_scale = 10.0
    for name in (*names[:3], "slow"):
        if name != "slow":
            ops.apply_fix(code=name)
            assert getattr(settings(), name)
        with pytest.raises(RuntimeError, match="nothing to fix"):
            ops.apply_fix(code=name)
    assert [note["fix"] for note in reference_notes.kept(bpy.context.scene)] == [{}] * 4 + [{"time_scale": 2.0}]
