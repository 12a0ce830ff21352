# SPDX-License-Identifier: GPL-3.0-or-later
"""A person's, an athlete's and a superhero's strength against what was measured of people."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from backflip_addon.core import body as bodies
from backflip_addon.core.rigs import fit, roles
from backflip_addon.core.rigs.strength_presets import DEFAULT, PRESETS, preset_at, with_strength
from backflip_addon.core.torque_curve import torque_share

from .skeletons import figure

SPEEDS = np.linspace(0.0, 30.0, 61)

# Anderson, Madigan and Nussbaum 2007, table 3, ages 18 to 25, mean of men and women: c1, c4, c5 of each way
ANDERSON = {
    "thigh": ((0.171, 1.5725, 3.177), (0.120, 2.1155, 4.308)),
    "shin": ((0.161, 1.455, 3.7875), (0.0835, 1.853, 4.8225)),
    "foot": ((0.0995, 0.9245, 3.3335), (0.030, 0.7815, 2.1695)),
}
MEASURED_TO = 5.2  # rad/s, 300 degrees a second
# Jackson 2010 and Kentel et al. 2011: N m of a gymnast of 69.6 kg and 1.732 m
GYMNAST = {"thigh": 175.7, "shin": 285.6, "foot": 127.6, "upper_arm": 128.5, "forearm": 101.4}


def bound(preset: str, part: str, speed: np.ndarray) -> np.ndarray:
    """Greatest torque, N m/(kg m), at a speed along it."""
    joint = PRESETS[preset].joints[part]
    return joint.torque * torque_share(speed, joint.top_speed)


@pytest.mark.parametrize("part", PRESETS[DEFAULT].joints)
def test_each_preset_is_stronger_than_the_one_before_at_any_speed(part: str) -> None:
    names = list(PRESETS)
    for weaker, stronger in zip(names, names[1:], strict=False):
        assert np.all(bound(stronger, part, SPEEDS) >= 1.2 * bound(weaker, part, SPEEDS))


@pytest.mark.parametrize("part", ANDERSON)
def test_a_person_is_as_strong_as_the_people_that_were_measured(part: str) -> None:
    """No weaker at any speed that the dynamometer turns with, either way; resting, as strong within a rounding.

    The foot is stronger, since people run on it.
    """
    speeds = np.linspace(0.0, MEASURED_TO, 30)
    for c1, c4, c5 in ANDERSON[part]:
        curve = (2 * c4 * c5 + speeds * (c5 - 3 * c4)) / (2 * c4 * c5 + speeds * (2 * c5 - 4 * c4))
        assert np.all(bound("person", part, speeds) >= 0.97 * 9.81 * c1 * curve)
    resting = 9.81 * max(c1 for c1, _, _ in ANDERSON[part])
    assert part == "foot" or bound("person", part, np.zeros(1))[0] == pytest.approx(resting, rel=0.02)


@pytest.mark.parametrize("part", GYMNAST)
def test_an_athlete_is_no_weaker_than_a_gymnast(part: str) -> None:
    assert PRESETS["athlete"].joints[part].torque >= 0.99 * GYMNAST[part] / (69.6 * 1.732)


def test_a_superhero_has_more_than_deepmimics_figure_and_no_curve() -> None:
    deepmimic = {"chest": 200, "head": 50, "thigh": 200, "shin": 150, "foot": 90, "upper_arm": 100, "forearm": 60}
    for part, torque in deepmimic.items():
        joint = PRESETS["superhero"].joints[part]
        assert joint.torque * 45.0 * 1.62 >= torque and joint.top_speed == 0.0


@pytest.mark.parametrize("preset", PRESETS)
def test_another_strength_is_what_building_the_body_with_it_gives(preset: str) -> None:
    """With the user's factors, whatever strength it had before; all else is as it was."""
    rig = figure()
    factors = {"thigh": fit.Adjustment(strength=1.5, mass=2.0), "forearm.L": fit.Adjustment(strength=0.3)}
    built = fit.fit_body(rig, roles.guess(rig), 80.0, factors, preset)[0]
    for before in PRESETS:
        body = fit.fit_body(rig, roles.guess(rig), 80.0, factors, before)[0]
        for link, expected in zip(with_strength(body, preset).links, built.links, strict=True):
            assert (link.torque, link.top_speed) == pytest.approx((expected.torque, expected.top_speed))
            assert dataclasses.replace(link, torque=0.0) == dataclasses.replace(expected, torque=0.0)


def test_a_body_kept_before_there_were_presets_can_be_given_one() -> None:
    rig = figure()
    built = fit.fit_body(rig, roles.guess(rig), 45.0)[0]
    data = bodies.to_json(built)
    for link in data["links"]:
        del link["top_speed"]
        link["torque"] *= 1.3
    old = bodies.from_json(json.loads(json.dumps(data)))
    assert not any(link.top_speed for link in old.links)
    given = with_strength(old, DEFAULT)
    assert [link.torque for link in given.links] == pytest.approx([link.torque for link in built.links])
    assert [link.top_speed for link in given.links] == [link.top_speed for link in built.links]


def test_presets_are_told_by_their_place() -> None:
    assert [preset_at(place) for place in (0, 1.0, 2)] == list(PRESETS)
    assert [preset_at(place) for place in (-1, 3, 0.5, float("nan"))] == [""] * 4
