# SPDX-License-Identifier: GPL-3.0-or-later
"""What is drawn over the viewport: which lines there are, what the legend calls them, and colours that can be read."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from backflip_addon.operators import background_work, reference_notes, road, viewport_lines  # noqa: E402
from backflip_addon.scene import stored_avatar, stored_reference  # noqa: E402
from backflip_addon.ui import colours, corner, strips  # noqa: E402
from tests.core import performances  # noqa: E402
from tests.operators.test_road import crouch  # noqa: E402


def scene() -> Any:
    return bpy.context.scene


def legend() -> list[str]:
    return [name for name, _role in corner.line_entries(scene())]


@pytest.fixture
def reference(ops: Any, tmp_path: Path) -> Any:
    ops.add_mannequin()
    ops.build_body()
    ops.import_reference(filepath=str(crouch(tmp_path / "crouch.txt")))
    return scene().backflip


def test_the_reference_is_drawn_with_its_path_and_as_it_was(reference: Any) -> None:
    assert legend() == ["Reference", "Center of Mass"], "it never flies, and the body is built"
    assert viewport_lines.contacts(scene()) is None, "its step is not open"
    reference.road.reference = reference.grounded = True
    assert legend() == ["Before Fixes", "Reference", "Center of Mass"]
    path = viewport_lines.lines(scene())[1]["path"]
    motion = stored_reference.reference(scene())
    assert len(path) == motion.frames - 1 + 3, "and a cross where it is now"
    reference.road.path = reference.road.before = False
    assert legend() == ["Reference"]
    reference.road.avatar = True
    assert legend() == ["Body", "Reference"]
    reference.road.overlays = False
    assert not legend() and viewport_lines.contacts(scene()) is None


def test_a_window_does_not_wait_for_a_reference_nor_for_its_notes(
    ops: Any, reference: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is shown and said at last is what is said without a window; undo brings back what was being looked at."""
    body = stored_avatar.body_and_binding(scene())[0]
    clip = performances.hanging(body)
    stored_reference.keep_reference(scene(), stored_reference.encode_motion(clip), clip.duration, [])
    reference_notes.look(scene())
    reference.road.reference = True
    notes, lines = reference.reference_notes, viewport_lines.lines(scene())[1]
    reference.physical_footing = True
    mended = viewport_lines.lines(scene())[1]
    assert "before" in mended and "before" not in lines and "impossible_stance" in notes
    viewport_lines._looks.forget()
    reference_notes._notes.forget()
    monkeypatch.setattr(background_work, "waits", lambda: False)
    viewport_lines._changed()
    assert viewport_lines.lines(scene())[1].keys() == mended.keys(), "the latest stays while it is worked out"
    assert viewport_lines._looks in background_work._asked
    told_until_done()
    shown = viewport_lines.lines(scene())[1]
    assert all(np.array_equal(shown[kind], mended[kind]) for kind in mended)
    reference.physical_footing = False
    assert reference.notes_due
    with pytest.raises(RuntimeError, match="nothing to fix"):
        ops.apply_fix(code="nonsense")
    assert reference.reference_notes == notes and not reference.notes_due, "a script waits for the notes"
    reference_notes._notes.forget()
    reference.grounded = reference.physical_footing = False
    assert not road.amiss(scene(), "train") and reference.notes_due, "a setting was changed by hand"
    told_until_done()
    assert reference.reference_notes == notes and not reference.notes_due
    reference.notes_due = "REFERENCE"  # as in an undo step from before they were there
    reference_notes._go_on()
    assert reference.reference_notes == notes and not reference.notes_due


def told_until_done() -> None:
    """What the timer does in a window."""
    end = time.monotonic() + 20.0
    while background_work._tick() is not None:
        assert time.monotonic() < end, "it is never done"
        time.sleep(0.01)


def test_a_strip_tells_what_touches_the_floor(reference: Any) -> None:
    reference.road.reference = True
    scene().frame_set(reference.start_frame)
    strip = strips.contacts(scene(), colours.palette(None))
    assert strip is not None
    assert strip.rows == ("Left Foot", "Right Foot") and strip.now == 0.0
    assert len(strip.corners) == len(strip.colours) == 12, "a bar for each: both stand all the time"
    np.testing.assert_allclose([strip.corners.min(axis=0), strip.corners.max(axis=0)], [[0.0, 0.0], [1.0, 1.8]])


@pytest.mark.parametrize("ground", [(0.05,) * 3, (0.239,) * 3, (0.392,) * 3, (0.46,) * 3, (0.8,) * 3, (1.0,) * 3])
def test_all_colours_stand_out_from_their_ground(ground: colours.Colour) -> None:
    for own in (colours._USUAL, [ground] * 8, []):
        made = colours.made_of(ground, own)
        assert min(colours.contrast(colour, ground) for colour in made.roles.values()) >= colours.CONTRAST
        assert colours.contrast(made.text, ground) >= colours.TEXT_CONTRAST
    on_dark = colours.made_of((0.239, 0.239, 0.239), colours._USUAL)
    assert on_dark.roles["reference"] == pytest.approx(colours._USUAL[4]), "what stands out already stays as it is"
    assert len(set(on_dark.roles[role] for role in colours.TAKES)) == 5


def test_strips_and_curve_are_drawn_smaller_where_the_sidebar_leaves_them_no_room() -> None:
    assert corner.fitting(1.0, 340.0, 200.0) == 1.0, "never smaller than at a resolution scale of 1"
    assert corner.fitting(2.0, 340.0, 510.0) == 1.5
    assert corner.fitting(2.0, 340.0, 900.0) == 2.0
