# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of a clip that asks the floor or a joint for what it cannot give."""

from __future__ import annotations

import numpy as np

from backflip_addon.core.joint_limits import joint_words
from backflip_addon.core.motion import Motion
from backflip_addon.core.motions import footing
from backflip_addon.core.motions.feasible import feasible
from tests.core import performances
from tests.core.test_feasible_stance import leaning, sliding

BODY = performances.body()


def test_a_clip_that_hangs_from_the_floor_is_told_when_and_how_hard() -> None:
    (finding,) = footing.check(performances.hanging(BODY), BODY)
    assert finding.code == "impossible_stance" and finding.fix == {"physical_footing": True}
    assert "s the clip pulls on the floor, with 0." in finding.sentence
    assert finding.sentence.startswith(("From 0.9 to", "At 0.9 s"))


def test_a_clip_that_slips_or_leans_is_told() -> None:
    slips = [f.sentence for f in footing.check(sliding(), BODY) if f.code == "impossible_stance"]
    assert len(slips) == 1 and "harder than the floor can hold" in slips[0]
    (lean,) = footing.check(leaning(), BODY)
    assert "leans further than anyone could" in lean.sentence and "the hips move by up to 3 cm" in lean.sentence


def test_soles_that_are_put_down_with_it_are_told() -> None:
    """A sole that rests on its tip, heel up by 6 degrees, sinks into the floor: it comes up by as much, and level."""
    tilted = performances.tilted(BODY, performances.hanging(BODY), 6.0)
    (finding,) = footing.check(tilted, BODY)
    assert "pulls on the floor" in finding.sentence
    assert finding.sentence.endswith(("resting soles put down flat by up to 1 cm.", "flat by up to 2 cm."))
    assert "soles" not in footing.check(performances.hanging(BODY), BODY)[0].sentence


def test_what_is_mended_is_said_no_more() -> None:
    for clip in (performances.hanging(BODY), leaning()):
        assert footing.check(feasible(BODY, clip)[0], BODY) == []


def test_nothing_is_said_of_what_people_do() -> None:
    squat = performances.squatting(BODY, 0.3 * (1 - np.cos(np.pi * np.arange(121) / 60)))
    still = performances.standing(BODY)
    floating = Motion(still.rate, still.position + [0.0, 0.0, 1.0], still.rotations)
    for clip in (still, squat, performances.standing(BODY, 1 / 30), floating):
        assert footing.check(clip, BODY) == []


def test_flights_are_no_hanging() -> None:
    """A hop: the floor is not asked for anything in the air, nor for the jolts in which it begins and ends."""
    codes = [finding.code for finding in footing.check(performances.somersault(BODY, 0.0), BODY)]
    assert "impossible_stance" not in codes


def test_a_long_clip_is_told_without_how_far() -> None:
    clip = performances.hanging(BODY)
    still = np.repeat(np.arange(clip.frames), np.where(np.arange(clip.frames) == clip.frames - 1, 60 * 32, 1))
    long = Motion(clip.rate, clip.position[still], clip.rotations[still])
    (finding,) = footing.check(long, BODY)
    assert "pulls on the floor" in finding.sentence and "hips" not in finding.sentence


def test_a_joint_past_its_limit_is_named() -> None:
    bend = np.concatenate([np.linspace(0.0, 1.05, 61), np.linspace(1.05, 0.0, 60)])
    findings = footing.check(performances.squatting(BODY, bend), BODY)
    (finding,) = [finding for finding in findings if finding.code == "past_limits"]
    assert "ankle 20° further than it goes, and 1 more joint too far" in finding.sentence
    assert finding.sentence.startswith("At 1.0 s") and not finding.fix


def test_joints_have_a_users_names() -> None:
    words = [joint_words(name) for name in ("shin.L", "upper_arm.R", "head", "tail")]
    assert words == ["left knee", "right shoulder", "neck", "tail"]
