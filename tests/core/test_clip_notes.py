# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of clips that are odd in one way, of those that are not, and what mends them."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from backflip_addon.core import findings, metrics, proportions, rotations
from backflip_addon.core.body import HINGE_AXIS
from backflip_addon.core.clips import ground, inspection, posture
from backflip_addon.core.findings import Finding
from backflip_addon.core.motion import Motion
from backflip_addon.core.motions import retarget

from . import performances

BODY = performances.body()
LEG = proportions.hip_to_sole(BODY)
UP = np.array([0.0, 0.0, 1.0])
AHEAD = np.array([0.0, -1.0, 0.0])


def notes(motion: Motion) -> dict[str, Finding]:
    return {finding.code: finding for finding in inspection.inspect(motion, BODY)}


def walk(seconds: float = 4.0, rate: float = 60.0, often: float = 1.8, step: float = 0.6) -> Motion:
    """A walk of bent legs that take turns: the standing foot stays where it is, to a few millimetres.

    often: steps a second. step: leg lengths.
    """
    frames = round(seconds * rate) + 1
    phase = np.arange(frames) / rate * often  # in steps
    own, which = phase % 1.0, (phase.astype(int) % 2).astype(bool)
    swing = np.where(own < 0.9, own / 0.9, 1.0)
    turns, x, hinge = performances.neutral(BODY, frames), np.array([1.0, 0.0, 0.0]), np.array(HINGE_AXIS)
    reach = np.arcsin(step / 2)
    for side, stands in (("L", ~which), ("R", which)):
        hip = np.where(stands, reach * (1 - 2 * own), reach * (2 * swing - 1))  # forward positive
        knee = np.where(stands, 0.0, 0.9 * np.sin(np.pi * swing))
        turns[:, BODY.index(f"thigh.{side}")] = rotations.from_axis_angle(-x, hip + 0.5 * knee)
        turns[:, BODY.index(f"shin.{side}")] = rotations.from_axis_angle(hinge, -knee if hinge @ x < 0 else knee)
        turns[:, BODY.index(f"foot.{side}")] = rotations.from_axis_angle(-x, -hip - 0.5 * knee + knee)
    still = Motion(rate, np.tile(performances.hips_height(BODY) * UP, (frames, 1)), turns)
    positions, _ = BODY.forward(still.position, still.rotations)
    feet = positions[:, [BODY.index("foot.L"), BODY.index("foot.R")]]
    standing = feet[np.arange(frames), which.astype(int)]
    back = np.zeros((frames, 3))
    change = np.diff(standing, axis=0)
    change[np.diff(which.astype(int)) != 0] = 0.0
    back[1:] = np.cumsum(change, axis=0)
    return retarget.put_on_floor(dataclasses.replace(still, position=still.position - back), BODY)


def leap(height: float, rate: float = 60.0) -> Motion:
    """Standing, a leap of the neutral pose under gravity, standing again."""
    air = 2 * np.sqrt(2 * height / 9.81)
    times = np.arange(round((1.0 + air) * rate)) / rate - 0.5
    up = np.where((times > 0) & (times < air), 9.81 / 2 * times * (air - times), 0.0)
    return lifted(performances.standing(BODY, (len(times) - 1) / rate, rate), up)


def landing() -> Motion:
    """A leap, and a second of standing."""
    stands = leap(0.5)
    still = performances.standing(BODY, 1.0, stands.rate)
    return dataclasses.replace(
        stands,
        position=np.concatenate([stands.position, still.position]),
        rotations=np.concatenate([stands.rotations, still.rotations]),
    )


def moving_off(motion: Motion, seconds: float = 0.4, speed: float = 0.8) -> Motion:
    """Its last seconds, in which it stands, moved ahead."""
    after = np.maximum(np.arange(motion.frames) / motion.rate - (motion.duration - seconds), 0.0)
    return dataclasses.replace(motion, position=motion.position + np.multiply.outer(after * speed, AHEAD))


def lifted(motion: Motion, height: np.ndarray | float) -> Motion:
    return dataclasses.replace(motion, position=motion.position + np.multiply.outer(height, UP))


def turned(motion: Motion, axis: list[float], degrees: float) -> Motion:
    turn = rotations.from_axis_angle(axis, np.radians(degrees))
    own = motion.rotations.copy()
    own[:, 0] = rotations.multiply(turn, own[:, 0])
    return retarget.put_on_floor(Motion(motion.rate, rotations.rotate(turn, motion.position), own), BODY)


def on_the_spot(motion: Motion) -> Motion:
    return dataclasses.replace(motion, position=motion.position * UP)


def test_a_clip_in_which_nothing_moves_or_whose_angles_are_radians_is_told() -> None:
    walked = walk()
    vectors = rotations.to_rotation_vector(walked.rotations)
    radians = dataclasses.replace(walked, rotations=rotations.from_rotation_vector(np.radians(vectors)))
    for motion, most in ((performances.standing(BODY, 2.0), "0.0"), (leap(0.5), "0.0"), (radians, "0.9")):
        note = notes(motion)["still"]
        assert note.level == findings.INFO and f"no part turns by more than {most}°" in note.sentence
    assert "still" not in notes(walked)


@pytest.mark.parametrize("motion", [performances.standing(BODY, 2.0), leap(0.5), walk()], ids=["stand", "leap", "walk"])
def test_what_is_in_order_is_not_warned_of(motion: Motion) -> None:
    assert not [note for note in notes(motion).values() if note.level == findings.WARNING]


@pytest.mark.parametrize(
    ("axis", "degrees"), [([1.0, 0, 0], 90), ([1.0, 0, 0], -90), ([0, 1.0, 0], 90), ([1.0, 0, 0], 180)]
)
def test_a_clip_that_lies_all_through_is_said_and_stood_up(axis: list[float], degrees: float) -> None:
    motion = turned(walk(), axis, degrees)
    assert notes(motion)["lying"].fix == {"upright": True}
    stood = retarget.put_on_floor(posture.upright(motion, BODY), BODY)
    assert "lying" not in notes(stood)
    positions, _ = BODY.forward(stood.position, stood.rotations)
    assert (positions[:, BODY.index("head"), 2] > 0.8 * BODY.height).all()


def test_hands_and_knees_are_no_lying() -> None:
    motion = performances.standing(BODY, 2.0)
    turns = motion.rotations.copy()
    turns[:, 0] = rotations.from_axis_angle([1.0, 0, 0], np.radians(85))
    for side in "LR":
        turns[:, BODY.index(f"thigh.{side}")] = rotations.from_axis_angle([-1.0, 0, 0], np.radians(85))
    assert "lying" not in notes(retarget.put_on_floor(dataclasses.replace(motion, rotations=turns), BODY))


def test_a_clip_that_floats_at_both_ends_is_said_and_put_down() -> None:
    motion = performances.standing(BODY, 6.0)
    height = 0.15 * (np.abs(np.linspace(-1, 1, motion.frames)) > 0.5)
    note = notes(lifted(motion, height))["hovering"]
    assert "15 cm" in note.sentence and note.fix == {"grounded": True}
    down = ground.grounded(lifted(motion, height), BODY)
    assert "hovering" not in notes(down)
    lowest = BODY.lowest_points(*BODY.forward(down.position, down.rotations)).min(axis=1)
    assert np.median(np.abs(lowest)) < 0.005


def test_a_clip_that_moves_off_again_after_its_landing_is_ended_before() -> None:
    landed = landing()
    whole = moving_off(landed)
    note = notes(whole)["moves_off"]
    assert note.fix["end"] == pytest.approx(whole.duration - 0.4, abs=0.05)
    assert "moves_off" not in notes(whole.trimmed(0.0, note.fix["end"]))
    assert "moves_off" not in notes(moving_off(landed, 1.2)), "what goes on for long is part of it"
    assert "moves_off" not in notes(moving_off(landed, speed=0.1)), "who sways does not go"


def test_putting_on_the_floor_leaves_a_flight_a_flight() -> None:
    motion = leap(0.5)
    down = ground.grounded(lifted(motion, 0.2), BODY)
    assert np.abs(down.position - motion.position).max() < 0.03


def test_of_a_clip_whose_floor_is_known_only_what_is_near_it_comes_down() -> None:
    """Half a second 6 cm over the floor, then a slow rise to 0.4 m, where nothing falls for half a second."""
    motion = performances.standing(BODY, 3.0)
    times = np.arange(motion.frames) / motion.rate
    height = np.interp(times, [0.0, 0.5, 0.8, 1.2, 1.5, 2.0, 2.3, 3.0], [0.06, 0.06, 0.0, 0.0, 0.4, 0.4, 0.0, 0.0])
    plateau = (times > 1.55) & (times < 1.95)
    down = ground.grounded(lifted(motion, height), BODY, ground.OWN_SOLES)
    lowest = BODY.lowest_points(*BODY.forward(down.position, down.rotations)).min(axis=1)
    assert np.abs(lowest[times < 0.9]).max() < 0.02
    assert np.abs(lowest[plateau] - 0.4).max() < 0.02
    everything = ground.grounded(lifted(motion, height), BODY)
    lowest = BODY.lowest_points(*BODY.forward(everything.position, everything.rotations)).min(axis=1)
    assert np.abs(lowest[plateau]).max() < 0.1, "who may stand on something is put down with it"


def test_a_clip_that_sinks_from_a_hover_is_noticed() -> None:
    motion = performances.standing(BODY, 2.0)
    times = np.arange(motion.frames) / motion.rate
    height = np.interp(times, [0.0, 0.14, 0.3], [0.16, 0.16, 0.0])
    assert notes(lifted(motion, height))["hovering"].fix == {"grounded": True}
    assert "hovering" not in notes(leap(0.5))


def test_a_moment_in_which_a_flight_seems_still_is_no_hover() -> None:
    """Around the top of a leap the hips go on as they are for so long, as noise and drawn up legs have it."""
    for seconds, hovers in ((0.09, False), (0.2, True)):
        motion = leap(0.6, 120.0)
        height = motion.position[:, 2].copy()
        top = np.flatnonzero(height > height.max() - 1e-9)[0]
        held = round(seconds * motion.rate)
        path = np.concatenate([height[:top], np.full(held, height[top]), height[top:]])
        flown = Motion(
            motion.rate,
            np.stack([0 * path, 0 * path, path], axis=1),
            np.repeat(motion.rotations[:1], len(path), axis=0),
        )
        assert ("hovering" in notes(flown)) == hovers
        lowest = BODY.lowest_points(*BODY.forward(flown.position, flown.rotations)).min(axis=1)
        down = ground.grounded(flown, BODY).position[:, 2]
        assert (np.abs(down - path).max() < 0.03) != hovers and lowest.max() > 0.5


@pytest.mark.parametrize(
    ("stamped", "words", "scale"), [(24.0, "speed it up 5 times", 0.2), (600.0, "slow it down 5 times", 5.0)]
)
def test_a_walk_of_another_rate_is_asked_about(stamped: float, words: str, scale: float) -> None:
    note = notes(dataclasses.replace(walk(rate=120.0), rate=stamped))["time_scale"]
    assert words in note.sentence and note.fix["time_scale"] == pytest.approx(scale)


def test_a_flight_in_slow_motion_is_said_by_its_rate() -> None:
    note = notes(dataclasses.replace(leap(0.5, rate=120.0), rate=24.0))["time_scale"]
    assert "120 frames a second, not 24" in note.sentence and note.fix == {"time_scale": 0.2}


def test_who_walks_on_the_spot_slides_and_a_backflip_on_the_spot_does_not() -> None:
    assert "in_place" in notes(on_the_spot(walk()))
    assert "in_place" in notes(on_the_spot(walk(seconds=1.0))), "one cycle is enough"
    assert not {"in_place", "loops"} & notes(on_the_spot(performances.somersault(BODY))).keys()


def test_a_loop_is_an_offer_and_no_warning() -> None:
    motion = walk(seconds=2 / 1.8)
    assert notes(motion)["loops"].level == findings.INFO


@pytest.mark.parametrize("axis", [(1, 0, 0), (0, 1, 0), (0.6, 0.8, 0)], ids=["back", "side", "askew"])
def test_who_turns_over_whichever_way_performs_no_cycle(axis: tuple[float, ...]) -> None:
    flip = performances.somersault(BODY, axis=axis)
    in_the_air = flip.trimmed(0.5, flip.duration - 0.5)
    assert "loops" not in notes(in_the_air), "though it ends as it begins, in motion"


def test_a_standing_foot_that_slides_is_said_with_its_speed() -> None:
    motion = performances.standing(BODY, 2.0, rate=60.0)
    turns = motion.rotations.copy()
    turns[:, BODY.index("thigh.R")] = rotations.from_axis_angle([-1.0, 0, 0], np.radians(80))
    way = 1.15 * np.clip(np.arange(motion.frames) / 60.0 - 0.5, 0.0, 0.4)
    motion = Motion(60.0, motion.position + np.multiply.outer(way, AHEAD), turns)
    assert "left foot slides at 115 cm/s" in notes(motion)["sliding_foot"].sentence


def test_a_flight_higher_than_people_jump_is_said() -> None:
    assert "1.58 m" in notes(leap(1.58))["high_flight"].sentence
    assert "high_flight" not in notes(leap(0.6))


@pytest.mark.parametrize("size", [0.5, 1.0, 1.6])
def test_the_same_walk_ends_the_same_on_small_and_large_bodies(size: float) -> None:
    """Of the same clip a body twice as large walks twice as fast."""
    from backflip_addon.core.rigs import fit, roles

    from . import skeletons

    rig = skeletons.figure(skin=True)
    rig = dataclasses.replace(
        rig,
        rest=np.concatenate(
            [np.concatenate([rig.rest[:, :3, :3], size * rig.rest[:, :3, 3:]], axis=2), rig.rest[:, 3:]], axis=1
        ),
        tails=size * rig.tails,
        skin=dataclasses.replace(rig.skin, vertices=size * rig.skin.vertices),
    )
    body, _ = fit.fit_body(rig, roles.guess(rig))
    for motion, stands in ((walk(step=0.5), False), (performances.standing(BODY), True)):
        there = retarget.adapt(motion, LEG, body)
        assert metrics.ends_standing(body, there) is stands


def test_no_sentence_asks_for_what_makes_no_sense() -> None:
    odd = [
        turned(walk(), [1.0, 0, 0], 90),
        lifted(performances.standing(BODY, 4.0), 0.2),
        on_the_spot(walk()),
        leap(1.4),
        *(
            dataclasses.replace(performances.somersault(BODY), rate=rate)
            for rate in (6.0, 20.0, 35.0, 90.0, 200.0, 400.0)
        ),
    ]
    for motion in odd:
        for note in inspection.inspect(motion, BODY):
            assert not re.search(r"\b(0(\.\d+)?|1) times", note.sentence), note.sentence
            assert note.sentence.endswith(".") and "nan" not in note.sentence and "  " not in note.sentence
