# SPDX-License-Identifier: GPL-3.0-or-later
"""Estimates before training: whose strength a clip asks for."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from backflip_addon.core import findings, rotations
from backflip_addon.core.body import HINGE_AXIS, Body
from backflip_addon.core.motion import Motion
from backflip_addon.core.motions import strength
from backflip_addon.core.rigs import fit, roles
from backflip_addon.core.rigs.strength_presets import PRESETS, preset_at, with_strength

from . import skeletons


def body() -> Body:
    rig = skeletons.figure()
    return fit.fit_body(rig, roles.guess(rig))[0]


def squats(figure: Body, hertz: float, uneven: float = 0.0, seconds: float = 3.0, rate: float = 60.0) -> Motion:
    """Knee bends with the feet on the floor, hertz a second; uneven: they sink faster than they rise."""
    t = np.arange(int(seconds * rate) + 1) / rate
    phase = 2 * np.pi * hertz * t
    bend = 0.35 * (1 - np.cos(phase - uneven * np.cos(phase)))
    turns = np.broadcast_to(rotations.IDENTITY, (len(t), len(figure.links), 4)).copy()
    for side in "LR":
        for part, factor in (("thigh", 1.0), ("shin", -2.0), ("foot", 1.0)):
            axis = np.broadcast_to(HINGE_AXIS, (len(t), 3))
            turns[:, figure.index(f"{part}.{side}")] = rotations.from_axis_angle(axis, factor * bend)
    place = np.zeros((len(t), 3))
    positions, world = figure.forward(place, turns)
    place[:, 2] = -figure.lowest_points(positions, world).min(axis=1)
    return Motion(rate, place, turns)


def arm_swings(figure: Body, hertz: float, seconds: float = 2.0, rate: float = 120.0) -> Motion:
    """Straight arms swung forward and back by 1.2 rad, hertz a second, the feet on the floor."""
    t = np.arange(int(seconds * rate) + 1) / rate
    turns = np.broadcast_to(rotations.IDENTITY, (len(t), len(figure.links), 4)).copy()
    for side in "LR":
        axis = np.broadcast_to([1.0, 0.0, 0.0], (len(t), 3))
        swing = rotations.from_axis_angle(axis, 1.2 * np.sin(2 * np.pi * hertz * t))
        turns[:, figure.index(f"upper_arm.{side}")] = swing
    place = np.zeros((len(t), 3))
    positions, world = figure.forward(place, turns)
    place[:, 2] = -figure.lowest_points(positions, world).min(axis=1)
    return Motion(rate, place, turns)


def changed(figure: Body, part: str, **factors: float) -> Body:
    """The figure with numbers of one part's joint multiplied."""
    links = [
        dataclasses.replace(p, **{key: getattr(p, key) * factor for key, factor in factors.items()})
        if p.name.startswith(part)
        else p
        for p in figure.links
    ]
    return dataclasses.replace(figure, links=tuple(links))


@pytest.mark.parametrize("preset", PRESETS)
def test_an_easy_clip_has_no_finding(preset: str) -> None:
    figure = with_strength(body(), preset)
    assert strength.check(squats(figure, 0.5), figure) == []


def test_a_clip_that_needs_an_athlete_says_so_before_the_training() -> None:
    figure = body()
    (finding,) = strength.check(squats(figure, 2.8), figure)
    assert (finding.code, finding.level, finding.fix) == ("needs_strength", findings.INFO, {})
    assert "an athlete's strength" in finding.sentence
    times = re.search(r"\(knees ([\d.]+) times a person's\)", finding.sentence)
    assert times is not None and 1.3 < float(times[1]) < 3.0


@pytest.mark.parametrize(("factor", "needed"), [(1.0, "athlete"), (0.4, "superhero")])
def test_a_weaker_body_is_offered_the_strength_that_is_needed(factor: float, needed: str) -> None:
    """factor: the user's for the knees."""
    person = with_strength(changed(body(), "shin", kp=factor), "person")
    clip = squats(person, 2.8)
    (finding,) = strength.check(clip, person)
    assert (finding.code, finding.level) == ("too_strong", findings.WARNING)
    assert PRESETS[needed].whose in finding.sentence and "the body has less" in finding.sentence
    assert preset_at(finding.fix["strength"]) == needed
    assert [f.code for f in strength.check(clip, with_strength(person, needed))] == ["needs_strength"]


def test_a_clip_that_is_too_hasty_is_said_to_be_possible_when_slower() -> None:
    person = with_strength(body(), "person")
    clip = squats(person, 2.8)
    (finding,) = strength.check(clip, person)
    scale = re.search(r"or slow the clip down ([\d.]+) times", finding.sentence)
    assert scale is not None and strength.check(clip.scaled_in_time(float(scale[1])), person) == []


def heavy(figure: Body, factor: float) -> Body:
    """The figure with that many times its mass and inertia, and no more strength."""
    links = [
        dataclasses.replace(p, mass=p.mass * factor, inertia=tuple(x * factor for x in p.inertia)) for p in figure.links
    ]
    return dataclasses.replace(figure, links=tuple(links))


def test_what_nobody_can_do_is_offered_slower() -> None:
    figure = heavy(body(), 5.0)
    hasty = squats(figure, 2.4)
    (finding,) = strength.check(hasty, figure)
    assert "No body has the strength" in finding.sentence and "knees" in finding.sentence
    slower = hasty.scaled_in_time(finding.fix["time_scale"])
    assert slower.duration > hasty.duration
    assert not any("No body" in f.sentence for f in strength.check(slower, figure))


def test_a_part_that_the_user_made_weak_is_named() -> None:
    weak = with_strength(changed(body(), "shin", kp=0.1), "superhero")
    (finding,) = strength.check(squats(weak, 2.4), weak)
    assert "raise the strength of its knees" in finding.sentence and not finding.fix


def test_speed_counts_as_well_as_torque() -> None:
    """Swings whose torque the shoulders have many times over, but not while they turn so fast."""
    figure = body()
    slow = changed(figure, "upper_arm", top_speed=0.5)
    clip = arm_swings(figure, 2.0)
    assert [f.code for f in strength.check(clip, figure)] == ["needs_strength"]
    (finding,) = strength.check(clip, slow)
    assert finding.code == "too_strong" and "shoulders" in finding.sentence


def test_who_brakes_at_speed_needs_less_than_who_drives() -> None:
    """Knees that sink fast and rise slowly, and the same played backwards: as fast, and with the same torques."""
    slow = changed(with_strength(body(), "person"), "shin", top_speed=0.3)
    sinks = squats(slow, 0.8, uneven=0.6)
    rises = dataclasses.replace(sinks, position=sinks.position[::-1], rotations=sinks.rotations[::-1])
    assert strength.check(sinks, slow) == []
    assert [finding.code for finding in strength.check(rises, slow)] == ["too_strong"]


def test_a_body_that_lies_is_not_judged_by_how_the_floor_bears_it() -> None:
    """On its back, arms and legs stretched: the floor may bear each part by itself."""
    figure = with_strength(body(), "person")
    frames = 61
    turns = np.broadcast_to(rotations.IDENTITY, (frames, len(figure.links), 4)).copy()
    turns[:, 0] = rotations.from_axis_angle(np.array([1.0, 0.0, 0.0]), -np.pi / 2)
    place = np.zeros((frames, 3))
    positions, world = figure.forward(place, turns)
    place[:, 2] = -figure.lowest_points(positions, world).min(axis=1)
    assert strength.check(Motion(60.0, place, turns), figure) == []
