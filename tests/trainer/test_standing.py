# SPDX-License-Identifier: GPL-3.0-or-later
"""Who stands on, and from when on that is sure."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest

pytest.importorskip("numba")

from backflip_addon.core.body import FEET, Body
from backflip_addon.core.measures import balance
from backflip_addon.core.shapes import extent
from backflip_addon.trainer.imitation import standing
from backflip_addon.trainer.imitation.reference_track import Track
from backflip_addon.trainer.imitation.target_trajectory import TargetTrajectory
from backflip_addon.trainer.physics.engines import new_simulator
from backflip_addon.trainer.physics.state import Scene, States, stacked
from tests.core import performances

ASTRIDE = performances.body()
NARROW = performances.over_its_feet(ASTRIDE)  # with its feet side by side it rocks, and falls after two seconds


@functools.cache
def track_of(body: Body) -> Track:
    stance = performances.standing if body is NARROW else performances.astride
    return Track(body, stance(body, 1.0))


def at_rest(body: Body) -> States:
    return track_of(body).states[-1]


def thrown(body: Body, speed: float) -> States:
    """At rest but for the whole body's speed forward, m/s."""
    state = at_rest(body)
    return dataclasses.replace(state, velocity=state.velocity + [0.0, -speed, 0.0])


def played(engine: str, body: Body, states: list[States], scenes: list[Scene] | None) -> tuple[list[bool], list[int]]:
    """Who stands, and how many control steps each was played."""
    bodies = new_simulator(body, len(states), engine)
    for index, scene in enumerate(scenes or []):
        bodies.set_scene(index, scene)
    bodies.reset(np.arange(len(states)), stacked(states))
    targets = np.repeat(TargetTrajectory.of_track(track_of(body)).targets[-1:], len(states), axis=0)
    bodies.set_targets(targets, np.zeros((len(states), len(body.links), 3)))
    counted, step = np.zeros(len(states), dtype=int), bodies.step

    def counting(active: np.ndarray) -> np.ndarray:
        counted[:] += active
        return step(active)

    bodies.step = counting  # type: ignore[method-assign, assignment]
    stand = standing.who_stands(bodies, np.ones(len(states), dtype=bool), scenes)
    bodies.close()
    return stand.tolist(), counted.tolist()


@pytest.mark.parametrize("body", [ASTRIDE, NARROW], ids=["astride", "narrow"])
def test_who_rests_surely_is_played_no_further_and_the_verdict_is_that_of_three_seconds(
    engine: str, body: Body
) -> None:
    states = [thrown(body, speed) for speed in (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 2.5)]
    to_the_end, whole = played(engine, body, states, None)
    told, steps = played(engine, body, states, [Scene()] * len(states))
    assert told == to_the_end and to_the_end[0] and not to_the_end[-1]
    for stood, long, short in zip(told, whole, steps, strict=True):
        assert (long == 90 and 15 <= short < 90) if stood else short == long


def test_whose_feet_are_on_a_higher_floor_rests_there_too(engine: str) -> None:
    low = at_rest(ASTRIDE)
    high = dataclasses.replace(low, position=low.position + [0.0, 0.0, 0.5])
    told, steps = played(engine, ASTRIDE, [high, low], [Scene(floor=0.5), Scene()])
    assert told == [True, True] and max(steps) < 45


@pytest.mark.parametrize(
    ("change", "surely"),
    [
        ({}, True),
        ({"velocity": [0.0, 0.0, -0.03]}, False),
        ({"velocity": [0.0, -0.16, 0.0]}, False),
        ({"angular_velocity": [0.0, 0.0, 0.6]}, False),
        ({"knee": 0.3}, False),
    ],
)
def test_who_sinks_sways_turns_or_gives_way_does_not_rest_surely(change: dict[str, object], surely: bool) -> None:
    state = at_rest(ASTRIDE).copy()
    for name, value in change.items():
        if name == "knee":
            state.joint_velocity[ASTRIDE.index("shin.L"), 0] = value
        else:
            getattr(state, name)[:] = value
    assert standing.rests_surely(ASTRIDE, stacked([state]), [Scene()]).tolist() == [surely]


def test_on_a_slope_what_counts_is_what_lies_under_the_body_along_gravity() -> None:
    """By how much one may lean back against gravity: from heel and toe by hand."""
    state = at_rest(ASTRIDE)
    positions, world = ASTRIDE.forward(state.position[None], state.rotations[None])
    centre = ASTRIDE.centre_of_mass(positions, world)[0]
    feet = [ASTRIDE.index(name) for name in FEET]
    low, high = extent(ASTRIDE.links[feet[0]].shapes)
    toe, heel = positions[0, feet, 1].mean() + low[1], positions[0, feet, 1].mean() + high[1]
    for edge, sign in ((toe, 1), (heel, -1)):
        for beyond, inside in ((-0.01, True), (0.01, False)):
            lean = edge + sign * balance.MARGIN - sign * beyond - centre[1]
            gravity = (0.0, 9.81 * lean / centre[2], -9.81)
            told = standing.stands_on_soles(ASTRIDE, stacked([state]), [Scene(gravity=gravity)])
            assert told.tolist() == [inside], (edge, beyond)
