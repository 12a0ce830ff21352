# SPDX-License-Identifier: GPL-3.0-or-later
"""A fall is played out to rest, by physics alone, and changes nothing of what was performed before it."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest

pytest.importorskip("numba")

from backflip_addon.core import metrics, outcome, rotations, self_contact
from backflip_addon.core.constants import GRAVITY
from backflip_addon.core.direction import Direction
from backflip_addon.core.motion import Take
from backflip_addon.trainer.imitation import directed_bodies, falling
from backflip_addon.trainer.imitation.directed_bodies import KEPT, DirectedBodies
from backflip_addon.trainer.imitation.kinematics import momenta
from backflip_addon.trainer.imitation.performance import Performance
from backflip_addon.trainer.imitation.reference_track import Track
from backflip_addon.trainer.physics.engines import new_simulator
from backflip_addon.trainer.physics.recording import FRAMES_A_STEP
from backflip_addon.trainer.physics.state import Scene, States
from tests.core import performances

BODY = performances.body()
REFERENCE = performances.astride(BODY, 0.6)
TRACK = Track(BODY, REFERENCE)
LONG = Track(BODY, performances.astride(BODY, 3.0))
X, Y, Z = np.eye(3)
WAYS = {"forward": -Y, "backward": Y, "left": X}  # the character faces -Y, its left is +X


def fallen(engine: str, way: np.ndarray, asked: Direction | None = None, speed: float = 1.6) -> tuple[Take, Take]:
    """A body that stands and is on its way over: what it performs, and that with its fall played out."""
    track = TRACK
    start = dataclasses.replace(track.states[0], velocity=speed * way)
    performance = Performance(track, Scene(), start, engine, asked or Direction())
    performance.run(track.targets(np.zeros((track.steps, track.layout.width)), 0))
    before = performance.take()
    after = performance.played_out()
    performance.close()
    return before, after


def mechanical_energy(take: Take) -> np.ndarray:
    """Of all links, J, each frame but the first and the last."""
    motion = take.motion
    positions, turns = BODY.forward(motion.position, motion.rotations)
    centres = positions + rotations.rotate(turns, np.array([link.centre for link in BODY.links]))
    masses = np.array([link.mass for link in BODY.links])
    velocity = (centres[2:] - centres[:-2]) * motion.rate / 2
    spin = (
        rotations.to_rotation_vector(rotations.multiply(turns[2:], rotations.conjugate(turns[:-2]))) * motion.rate / 2
    )
    own = rotations.rotate(rotations.conjugate(turns[1:-1]), spin)
    inertia = np.array([link.inertia for link in BODY.links])
    return (
        0.5 * (masses * (velocity**2).sum(axis=-1)).sum(axis=-1)
        + 0.5 * (inertia * own**2).sum(axis=(-1, -2))
        + GRAVITY * (masses * centres[1:-1, :, 2]).sum(axis=-1)
    )


@pytest.mark.parametrize("way", WAYS)
def test_a_fall_ends_at_rest_on_the_floor_and_leaves_what_was_performed(engine: str, way: str) -> None:
    before, after = fallen(engine, WAYS[way])
    performed = after.meta[metrics.PERFORMED]
    assert performed < after.motion.frames <= performed + falling.LONGEST_FALL * 120
    known = (performed - 1) // (KEPT * FRAMES_A_STEP) * KEPT * FRAMES_A_STEP + 1  # what follows was done again
    for one, again in zip(
        (before.motion.position, before.motion.rotations), (after.motion.position, after.motion.rotations), strict=True
    ):
        assert np.array_equal(one[:known], again[:known])
        assert np.abs(one[:performed] - again[:performed]).max() < 1e-3
    measured = metrics.evaluate_take(BODY, REFERENCE, after)
    assert measured == metrics.evaluate_take(BODY, REFERENCE, after.first(performed)) and measured.landed is False
    kinds = {"forward": outcome.FELL_FORWARD, "backward": outcome.FELL_BACKWARD, "left": outcome.FELL_SIDEWAYS}
    assert outcome.what_happened(BODY, REFERENCE, after).kind == kinds[way]
    positions, turns = BODY.forward(after.motion.position[-12:], after.motion.rotations[-12:])
    assert np.abs(np.diff(positions, axis=0)).max() < 0.003, "it lies still"
    assert positions[-1, BODY.index("chest"), 2] < 0.5
    assert BODY.lowest_points(positions, turns).min() > -0.01
    assert self_contact.depths(BODY, positions, turns).max() < 0.02


def test_what_lands_has_no_fall_unless_it_is_to_give_up() -> None:
    before, after = fallen("compiled", X, speed=0.0)
    assert metrics.evaluate_take(BODY, REFERENCE, before).success
    assert metrics.PERFORMED not in after.meta and np.array_equal(before.motion.position, after.motion.position)
    _, given_up = fallen("compiled", X, Direction(falls_at=0.5, tone=0.0, reflex=False), speed=0.0)
    assert given_up.meta[metrics.PERFORMED] == 61
    assert given_up.motion.position[-1, 2] < 0.5, "its legs hold it no longer"


def test_what_stands_on_is_not_thrown_down_though_it_has_missed_its_leap(engine: str) -> None:
    seen = np.arange(REFERENCE.frames) / (REFERENCE.frames - 1)
    lift = 0.3 * np.sin(np.pi * np.clip(2 * seen - 0.5, 0, 1))
    leap = dataclasses.replace(REFERENCE, position=REFERENCE.position + lift[:, None] * Z)
    performance = Performance(TRACK, Scene(), TRACK.states[0], engine)
    performance.run(TRACK.targets(np.zeros((TRACK.steps, TRACK.layout.width)), 0))
    performance.track = Track(BODY, leap)  # it stood while it was to leap
    before = performance.take()
    after = performance.played_out()
    performance.close()
    assert after.meta[metrics.STANDS] is True and not metrics.evaluate_take(BODY, leap, after).landed
    assert metrics.PERFORMED not in after.meta and np.array_equal(before.motion.position, after.motion.position)
    assert outcome.what_happened(BODY, leap, after).kind == outcome.NEVER_LEFT


def test_a_fall_is_the_same_twice() -> None:
    one, again = (fallen("compiled", Y)[1].motion for _ in range(2))
    assert one.position.tobytes() == again.position.tobytes() and one.rotations.tobytes() == again.rotations.tobytes()


@pytest.mark.parametrize("asked", [Direction(), Direction(fatigue=0.3, push_at=0.2, push_impulse=(30.0, 0.0, 0.0))])
def test_who_goes_back_falls_as_one_who_has_done_it_all_again(
    monkeypatch: pytest.MonkeyPatch, asked: Direction
) -> None:
    """To the bit, from a moment that was kept or from the start."""
    one = fallen("compiled", Y, asked)[1].motion
    monkeypatch.setattr(directed_bodies, "KEPT", 10_000)
    other = fallen("compiled", Y, asked)[1].motion
    assert one.position.tobytes() == other.position.tobytes() and one.rotations.tobytes() == other.rotations.tobytes()


@pytest.mark.parametrize("way", WAYS)
def test_who_is_down_is_performed_no_further(way: str) -> None:
    """And the take is the same as of one who was performed to the clip's end."""
    targets = TRACK.targets(np.zeros((TRACK.steps, TRACK.layout.width)), 0)
    takes, steps = [], []
    for perform in (Performance.run, Performance.play):
        start = dataclasses.replace(TRACK.states[0], velocity=2.5 * WAYS[way])
        performance = Performance(LONG, Scene(), start, "compiled")
        perform(performance, np.concatenate([targets] + [targets[-1:]] * (LONG.steps - TRACK.steps)))
        steps.append(performance.step)
        takes.append(performance.ended())
    assert steps[1] < steps[0] == LONG.steps
    one, other = (take.motion for take in takes)
    assert one.position.tobytes() == other.position.tobytes() and one.rotations.tobytes() == other.rotations.tobytes()
    assert takes[0].meta["fall"] == takes[1].meta["fall"]


def test_a_limp_body_never_gains_energy() -> None:
    """What its passive tissue holds against takes energy, and so does the floor."""
    _, after = fallen("compiled", Y, Direction(tone=0.0, reflex=False))
    energy = mechanical_energy(after)[after.meta[metrics.PERFORMED] :]
    assert energy[0] - energy[-1] > 200.0
    # A velocity over two frames lags behind in an impact by some joules; nothing is gained over a twentieth of a second
    assert np.max(energy[6:] - energy[:-6]) < 5.0


def test_tone_decides_how_much_of_the_clip_is_left_in_a_fall() -> None:
    def bent(tone: float) -> float:
        """How far the joints are from the clip's half a second into the fall, rad, on average."""
        _, after = fallen("compiled", -Y, Direction(tone=tone, reflex=False))
        frame = after.meta[metrics.PERFORMED] + 40
        track = TRACK
        return float(rotations.angle_between(after.motion.rotations[frame, 1:], track.controls[-1, 1:]).mean())

    limp, half, stiff = (bent(tone) for tone in (0.0, 0.5, 1.0))
    assert stiff < half < limp


@pytest.mark.parametrize(("way", "sign"), [("forward", -1.0), ("backward", 1.0)])
def test_hands_reach_for_where_the_body_falls(way: str, sign: float) -> None:
    """With the reflex the hands come down before the trunk and to that side of it, and the neck bends."""
    reached = {}
    for reflex in (True, False):
        _, after = fallen("compiled", WAYS[way], Direction(tone=0.0, reflex=reflex))
        positions, turns = BODY.forward(after.motion.position, after.motion.rotations)
        hit = outcome.what_happened(BODY, REFERENCE, after).frame
        chest, hand = BODY.index("chest"), BODY.index("hand.L")
        local = rotations.rotate(rotations.conjugate(turns[hit, chest]), positions[hit, hand] - positions[hit, chest])
        reached[reflex] = sign * local[1]
    assert reached[True] > reached[False] + 0.05


def test_a_body_that_is_thrown_by_a_joint_falls_anew_and_more_softly(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter((True, True, False))
    monkeypatch.setattr(falling, "_is_thrown", lambda states: next(answers))
    _, after = fallen("compiled", Y, Direction(tone=0.6))
    assert after.meta["fall"] == {"tone": 0.0, "reflex": False}, "and the take says so"
    states = TRACK.states[:2].copy()
    monkeypatch.undo()
    assert not falling._is_thrown(states)
    states.angular_velocity[1] = [0.0, 56.0, 0.0]
    assert falling._is_thrown(states)


def test_the_head_is_kept_from_the_floor() -> None:
    track = TRACK
    lying = rotations.from_axis_angle(X, -1.2)  # tipping over backward
    local = track.states[0].rotations.copy()
    local[0] = lying
    links = len(BODY.links)
    state = States(track.states[0].position, local, Y, np.zeros(3), np.zeros((links, 3)))
    neck = falling.reflexes(BODY, state, hit=False)["head"]
    assert rotations.to_rotation_vector(neck)[0] > 0.3, "the chin comes to the chest"
    knees = [falling.reflexes(BODY, state, hit=hit)["shin.L"] for hit in (False, True)]
    axis = np.array(BODY.links[BODY.index("shin.L")].axis)
    assert rotations.twist_angle(knees[1], axis) < rotations.twist_angle(knees[0], axis) < -0.5, "they give on impact"
    assert momenta(BODY, state[None], *BODY.forward(state.position[None], local[None]))[0][0, 1] == pytest.approx(1.0)


@pytest.mark.parametrize("rolls", [False, True])
def test_no_limb_is_held_up_by_a_body_that_lies(engine: str, rolls: bool) -> None:
    """Lying on its back with its arms raised halfway up: they come to the floor before it is at rest; also where its
    clip rolls on the floor, so that all of it may touch."""
    track = copy.copy(TRACK)
    track.allowed = np.ones_like(TRACK.allowed) if rolls else TRACK.allowed
    local = track.states[0].rotations.copy()
    local[0] = rotations.from_axis_angle(X, -np.pi / 2)
    for side in ("L", "R"):
        local[BODY.index(f"upper_arm.{side}")] = rotations.from_axis_angle(X, -2.2)
    position, turns = BODY.forward(np.zeros((1, 3)), local[None])
    lying = np.array([0.0, 0.0, -BODY.lowest_points(position, turns).min()])
    still = np.zeros((len(BODY.links), 3))
    bodies = DirectedBodies(new_simulator(BODY, 1, engine))
    bodies.reset(np.array([0]), States(lying, local, np.zeros(3), np.zeros(3), still)[None])
    raised = bodies.states()
    seconds = falling.play_out(bodies, track, 0, Direction(tone=0.0, reflex=False))
    hands = [BODY.index(name) for name in ("hand.L", "hand.R")]
    before, after = (
        BODY.forward(state.position, state.rotations)[0][0, hands, 2] for state in (raised, bodies.states())
    )
    bodies.close()
    assert (before > 0.3).all() and (after < 0.15).all() and seconds < falling.LONGEST_FALL
