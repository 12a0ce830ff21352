# SPDX-License-Identifier: GPL-3.0-or-later
"""What is left of a reference, begun anew where a body has landed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

pytest.importorskip("pybullet_data")

from backflip_addon.core import rotations
from backflip_addon.trainer.imitation.onward import both_feet_down, onward
from backflip_addon.trainer.imitation.reference_track import Track
from backflip_addon.trainer.physics.state import States
from tests.benchmarks import humanoid

BODY = humanoid.humanoid()
Z = np.array([0.0, 0.0, 1.0])
ASIDE, TURN = np.array([0.4, -0.3, 0.0]), 0.5  # m, rad: where it has come down
LATER, SINKING = 2, -0.3  # control steps, m/s


@pytest.fixture(scope="module")
def track() -> Track:
    return Track(BODY, humanoid.clip("backflip", BODY))


def landed(track: Track) -> States:
    """The reference two steps after touchdown, elsewhere, turned, and sinking faster; its feet on the floor."""
    state = track.states[track.landed + LATER].copy()
    turn = rotations.from_axis_angle(Z, TURN)
    state.rotations[0] = rotations.multiply(turn, state.rotations[0])
    return dataclasses.replace(
        state,
        position=rotations.rotate(turn, state.position) + ASIDE,
        velocity=rotations.rotate(turn, state.velocity) + SINKING * Z,
        angular_velocity=rotations.rotate(turn, state.angular_velocity),
    )


def test_it_goes_on_from_where_the_body_is(track: Track) -> None:
    state, first = landed(track), track.landed + LATER
    new, _ = onward(track, state, first)
    assert np.abs(new.states.position[first] - state.position).max() < 0.02
    assert np.degrees(rotations.angle_between(new.states.rotations[first], state.rotations).max()) < 6
    assert np.array_equal(new.centre[:first], track.centre[:first]), "what is past stays"
    assert track.states.position[first] @ ASIDE != pytest.approx(state.position @ ASIDE), "the track itself too"


def test_its_feet_stay_where_they_came_down_and_it_ends_standing_over_them(track: Track) -> None:
    state, first = landed(track), track.landed + LATER
    new, _ = onward(track, state, first)
    places = BODY.forward(state.position[None], state.rotations[None])[0][0, track.feet]
    assert np.linalg.norm((new.positions[first:, track.feet] - places)[..., :2], axis=-1).max() < 0.03
    assert new.resting[first:].all()
    middle = new.positions[-1, track.feet].mean(axis=0)
    assert np.linalg.norm((new.centre[-1] - middle)[:2]) < 0.1
    assert new.centre[-1, 2] == pytest.approx(track.centre[-1, 2], abs=0.02)


def test_the_floor_is_where_the_scene_has_it(track: Track) -> None:
    state, first = landed(track), track.landed + LATER
    raised = dataclasses.replace(state, position=state.position + 0.2 * Z)
    assert both_feet_down(track, raised, 0.2) and not both_feet_down(track, raised, 0.0)
    assert np.allclose(onward(track, raised, first, 0.2)[0].centre, onward(track, state, first)[0].centre)


def test_its_offsets_lead_the_tracks_own_controls_along_it(track: Track) -> None:
    """Ball joints are told the new pose and its speed; a hinge more of it, since its target speed stays the track's."""
    state, first = landed(track), track.landed + LATER
    new, offsets = onward(track, state, first)
    led = track.targets(offsets, first)
    balls = [i for i, link in enumerate(BODY.links) if link.joint == "spherical"]
    middle = rotations.slerp(new.states.rotations[first:-1], new.states.rotations[first + 1 :], 0.5)
    off = rotations.angle_between(led, middle)[5:, balls]
    assert np.degrees(np.median(off)) < 3 and np.isfinite(offsets).all()
