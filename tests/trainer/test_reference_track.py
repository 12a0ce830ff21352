# SPDX-License-Identifier: GPL-3.0-or-later
"""What a search follows: targets, velocities and cost along a reference."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from backflip_addon.trainer.imitation import kinematics, reference_track
from backflip_addon.trainer.imitation.cost import HOVER_MARGIN, LARGE_COST, Weights

pytest.importorskip("numba")

from backflip_addon.core import rotations
from backflip_addon.core.body import HINGE_AXIS
from backflip_addon.core.motion import Motion
from backflip_addon.jobs.messages import Follow
from backflip_addon.trainer.imitation.action_layout import ActionLayout
from backflip_addon.trainer.imitation.reference_track import Track
from backflip_addon.trainer.physics.servo_gains import servo_lag
from backflip_addon.trainer.physics.state import States
from backflip_addon.trainer.planning.search_settings import SearchSettings
from backflip_addon.trainer.runner.run_context import search_settings_for, weights_for
from tests.core import performances
from tests.trainer.oracle.cost import Cost

BODY = performances.body()
STANDING = performances.standing(BODY)
X, Y, Z = np.eye(3)


def squats(seconds: float = 2.0, rate: float = 30.0) -> Motion:
    """Legs that bend and stretch, one squat a second, the root moving ahead at 0.2 m/s."""
    motion = performances.standing(BODY, seconds, rate)
    times = np.arange(motion.frames) / rate
    bend = 0.3 * (1 - np.cos(2 * np.pi * times / 2))  # within the ankles' limits
    position = motion.position.copy()
    position[:, 2] = performances.crouched_height(BODY, bend)
    position[:, 1] = -0.2 * times
    return Motion(rate, position, performances.bent(BODY, motion.rotations.copy(), bend))


def states_of(track: Track, steps: np.ndarray) -> States:
    return track.states[steps]


def changed(states: States, **values: np.ndarray) -> States:
    return dataclasses.replace(states, **values)


def test_a_standing_clip_is_followed_a_second_longer() -> None:
    track = Track(BODY, STANDING)
    assert track.standing and track.hold == 1.0 and track.clip_steps == 30 and track.steps == 60
    assert Track(BODY, STANDING, hold=0.0).steps == 30
    walking = dataclasses.replace(STANDING, position=STANDING.position - np.arange(31)[:, None] / 20.0 * Y)
    assert Track(BODY, walking).hold == 0.0


def test_controls_are_three_a_ball_joint_and_one_a_hinge() -> None:
    columns = ActionLayout(BODY).columns
    kinds = {BODY.links[i].joint: len(c) for i, c in columns.items()}
    assert kinds == {"spherical": 3, "hinge": 1}
    assert (
        sorted(np.concatenate(list(columns.values())).tolist()) == list(range(28))
        and Track(BODY, STANDING).layout.width == 28
    )


def test_targets_without_offsets_are_the_reference_ahead_by_the_servos_lag() -> None:
    clip = squats()
    track = Track(BODY, clip)
    targets = track.targets(np.zeros((4, track.layout.width)), 10)
    for i, link in enumerate(BODY.links[1:], 1):
        _, expected = clip.sample(np.arange(11, 15) / 30.0 + servo_lag(link))
        assert rotations.angle_between(targets, expected)[:, i].max() < 0.035, "but for smoothing"
    delayed = track.targets(np.zeros((3, track.layout.width)), track.steps + 5)
    assert rotations.angle_between(delayed, track.controls[-1]).max() < 1e-6, "past the end the last"


def test_offsets_turn_the_joint_in_its_own_frame() -> None:
    track = Track(BODY, squats())
    thigh, shin = BODY.index("thigh.L"), BODY.index("shin.R")
    offsets = np.zeros((2, 3, track.layout.width))  # two samples of three steps
    offsets[1, 2, track.layout.columns[thigh]] = [0.1, -0.2, 0.3]
    offsets[1, 2, track.layout.columns[shin]] = -0.4
    plain, turned = track.targets(np.zeros_like(offsets), 20), track.targets(offsets, 20)
    assert np.array_equal(plain[0], turned[0]) and np.array_equal(plain[1, :2], turned[1, :2])
    others = [i for i in range(15) if i not in (thigh, shin)]
    assert np.array_equal(plain[1, 2, others], turned[1, 2, others])
    for link, vector in ((thigh, np.array([0.1, -0.2, 0.3])), (shin, -0.4 * np.array(HINGE_AXIS))):
        expected = rotations.to_matrix(plain[1, 2, link]) @ rotations.to_matrix(rotations.from_rotation_vector(vector))
        assert np.allclose(rotations.to_matrix(turned[1, 2, link]), expected)


def test_velocities_are_the_references_and_fall_to_nothing_past_its_end() -> None:
    track = Track(BODY, squats())
    times = np.arange(track.steps + 1) / 30.0
    knee = -2 * 0.3 * np.pi * np.sin(np.pi * times)  # of the angle -2 bend
    spins = track.states.joint_velocity[:, BODY.index("shin.L")] @ HINGE_AXIS
    inside = (times > 0.2) & (times < 1.6)
    assert np.allclose(spins[inside], knee[inside], atol=0.05)
    assert np.allclose(track.states.velocity[inside, 1], -0.2, atol=0.01)
    past = times > 2.8
    assert np.allclose(track.states.joint_velocity[past], 0, atol=0.1)
    assert np.allclose(track.states.velocity[past], 0, atol=0.05)
    between = (track.states.joint_velocity[5:8] + track.states.joint_velocity[6:9]) / 2
    assert np.allclose(track.velocities(5, 3), between, atol=0.02)


def test_what_a_clip_is_unsure_of_is_followed_loosely() -> None:
    """An arm that a video hid costs a tenth when it is off, what was seen as much as ever."""
    arm, leg = (np.array([BODY.index(f"{part}.L") for part in parts]) for parts in (("upper_arm",), ("thigh",)))
    hidden = np.ones((STANDING.frames, len(BODY.links)))
    hidden[:, arm] = 0.2
    tracks = Track(BODY, STANDING), Track(BODY, dataclasses.replace(STANDING, sure=hidden))
    costs = []
    for track in tracks:
        turns = np.repeat(track.states.rotations[5:6], 2, axis=0)
        for row, link in enumerate((arm, leg)):
            turns[row, link] = rotations.multiply(turns[row, link], rotations.from_rotation_vector([0.05, 0.0, 0.0]))
        off = changed(states_of(track, np.array([5, 5])), rotations=turns)
        cost = Cost(track, Weights(ends=0.0, momentum=0.0, balance=0.0, contact=0.0, sole=0.0, centre=0.0))
        costs.append(cost(off, np.array([4, 4])))
    assert costs[1][0] < 0.3 * costs[0][0] and costs[1][1] == costs[0][1]


def test_momenta_of_a_body_that_turns_as_one() -> None:
    """A rigid turn about its centre of mass: L is the sum of I w and m r x (w x r), worked out here."""
    track = Track(BODY, STANDING)
    spin, velocity = np.array([0.5, -1.0, 2.0]), np.array([0.1, 0.2, 0.3])
    one = states_of(track, np.array([0]))
    positions, world = BODY.forward(one.position, one.rotations)
    centres = positions[0] + rotations.rotate(world[0], np.array([link.centre for link in BODY.links]))
    masses = np.array([link.mass for link in BODY.links])
    com = masses @ centres / masses.sum()
    root = velocity + np.cross(spin, positions[0, 0] - com)
    still = np.zeros_like(one.joint_velocity)
    moving = changed(one, velocity=root[None], angular_velocity=spin[None], joint_velocity=still)
    got_velocity, got = kinematics.momenta(BODY, moving, positions, world)
    expected = sum(
        np.array(link.inertia) * spin + link.mass * np.cross(c - com, np.cross(spin, c - com))
        for link, c in zip(BODY.links, centres, strict=True)
    )
    assert np.allclose(got_velocity, velocity) and np.allclose(got, expected)


def test_momenta_of_one_waving_forearm() -> None:
    track = Track(BODY, STANDING)
    one = states_of(track, np.array([0]))
    positions, world = BODY.forward(one.position, one.rotations)
    spins = np.zeros((1, 15, 3))
    spins[0, BODY.index("forearm.L")] = 3.0 * np.array(HINGE_AXIS)
    none = np.zeros((1, 3))
    waving = changed(one, velocity=none, angular_velocity=none, joint_velocity=spins)
    velocity, _ = kinematics.momenta(BODY, waving, positions, world)
    elbow = positions[0, BODY.index("forearm.L")]
    moved = np.zeros(3)
    for name in ("forearm.L", "hand.L"):
        i = BODY.index(name)
        moved += BODY.links[i].mass * np.cross(
            3.0 * np.array(HINGE_AXIS), positions[0, i] + BODY.links[i].centre - elbow
        )
    assert np.allclose(velocity[0], moved / BODY.mass)


def test_the_goal_costs_nothing_and_less_than_its_surroundings() -> None:
    track = Track(BODY, squats())
    cost, steps = Cost(track), np.array([5, 20, 40])
    goal = states_of(track, steps + 1)
    assert np.allclose(cost(goal, steps), 0, atol=0.02)
    shifted = cost(changed(goal, position=goal.position + 0.1 * X), steps)
    further = cost(changed(goal, position=goal.position + 0.3 * X), steps)
    faster = cost(changed(goal, velocity=goal.velocity + 0.5 * Z), steps)
    tilted = goal.rotations.copy()
    tilted[:, 0] = rotations.multiply(rotations.from_axis_angle(Y, 0.3), tilted[:, 0])
    bent = goal.rotations.copy()
    bent[:, BODY.index("chest")] = rotations.from_axis_angle(X, 0.5)
    for worse in (
        shifted,
        faster,
        cost(changed(goal, rotations=tilted), steps),
        cost(changed(goal, rotations=bent), steps),
    ):
        assert np.all(worse > 0.03)
    assert np.all(further > shifted)


def test_who_stands_on_one_foot_is_not_to_lean_to_the_middle_of_both() -> None:
    turns = STANDING.rotations.copy()
    thigh = BODY.index("thigh.L")
    turns[:, thigh] = rotations.multiply(turns[:, thigh], rotations.from_axis_angle(X, -1.0))
    track = Track(BODY, Motion(STANDING.rate, STANDING.position, turns))
    track.landed = 0
    assert (track.resting == [track.feet == BODY.index("foot.R")]).all(), "one is raised"
    soles = [
        track.positions[-1, i] + rotations.rotate(track.world[-1, i], np.array(BODY.links[i].centre))
        for i in track.feet
    ]
    off = (track.centre[-1] - np.mean(soles, axis=0))[:2]
    assert np.linalg.norm(off) > 0.1 and track.leaning[-1] == pytest.approx(off, abs=0.005)
    last = np.array([track.steps - 1])
    weighed = [Cost(track, Weights(balance=balance))(track.states[-1:], last)[0] for balance in (0.0, 200.0)]
    assert weighed[1] == pytest.approx(weighed[0], abs=1e-6)
    assert not Track(BODY, STANDING).leaning.any()


def test_a_falls_cost_stays_sensible() -> None:
    track = Track(BODY, STANDING)
    cost = Cost(track)
    goal = states_of(track, np.array([10]))
    lost = cost(changed(goal, position=goal.position + 100.0 * X, velocity=goal.velocity + 100.0), np.array([9]))
    assert np.isfinite(lost).all() and 10 < lost[0] < 200


def test_who_follows_the_style_may_be_elsewhere_and_who_follows_the_place_may_not() -> None:
    track, step = Track(BODY, STANDING), np.array([9])
    goal = states_of(track, step + 1)
    aside = changed(goal, position=goal.position + 0.3 * X)

    def of(follow: Follow) -> float:
        cost = Cost(track, weights_for(follow))
        return float(cost(aside, step)[0] - cost(goal, step)[0])

    assert of("style") < 0.2 * of("both") < of("both") < 0.6 * of("place")
    assert weights_for("both") == Weights()
    assert search_settings_for("both") == SearchSettings()
    assert search_settings_for("style").lost > SearchSettings().lost


def test_a_forbidden_link_on_the_floor_costs_and_a_raised_floor_counts() -> None:
    track = Track(BODY, STANDING)
    cost, step = Cost(track), np.array([9])
    goal = states_of(track, step + 1)
    kneeling = goal.rotations.copy()
    for side in ("L", "R"):
        kneeling[:, BODY.index(f"shin.{side}")] = rotations.from_axis_angle(np.array(HINGE_AXIS), -1.5)
    down = np.array([[0.0, 0.0, 0.43]])
    free = dataclasses.replace(track, allowed=None) if dataclasses.is_dataclass(track) else Track(BODY, STANDING)
    free.allowed = np.ones(15, dtype=bool)
    state = changed(goal, rotations=kneeling, position=down)
    assert cost(state, step)[0] > Cost(free)(state, step)[0]
    raised = changed(goal, position=goal.position + 0.2 * Z)
    assert cost(raised, step, floor=0.2)[0] == pytest.approx(cost(goal, step)[0], abs=1e-9)


def test_flights_aim_at_the_momentum_they_need() -> None:
    clip = performances.somersault(BODY)
    track = Track(BODY, clip)
    takeoff, landing = 0.5, clip.duration - 0.5
    times = np.arange(track.steps + 1) / 30.0
    air = (times > takeoff + 0.05) & (times < landing - 0.05)
    assert np.ptp(track.momentum[air], axis=0).max() < 1e-9 and np.linalg.norm(track.momentum[air][0]) > 10
    fall = np.diff(track.centre_velocity[air][:, 2]) * 30.0
    assert np.allclose(fall, -9.81)
    needed = np.linalg.norm(track.momentum[air][0])
    assert np.linalg.norm(track.momentum[0]) < 0.06 * needed, "it begins at rest"
    assert np.linalg.norm(track.momentum[times < takeoff - 0.2], axis=1).max() < 0.1 * needed, "and turns late"


@pytest.mark.parametrize("left", [0.05, 0.4])
def test_a_clip_that_begins_with_its_take_off_begins_with_what_its_flight_needs(left: float) -> None:
    """The hips come sideways at 2 m/s and stop dead as they leave the floor: in 0.05 s no floor does that to a body."""
    clip, takeoff = performances.somersault(BODY), 0.5
    times = np.arange(clip.frames) / clip.rate
    aside = np.clip(times - takeoff, -0.2, 0.0)[:, None] * [2.0, 0.0, 0.0]
    clip = dataclasses.replace(clip, position=clip.position + aside).trimmed(takeoff - left, clip.duration)
    track = Track(BODY, clip)
    begins, last = track.states[0], np.flatnonzero(np.arange(track.steps + 1) / 30.0 > left + 0.1)[0]
    positions, world = BODY.forward(begins.position[None], begins.rotations[None])
    own, turning = kinematics.momenta(BODY, track.states[:1], positions, world)
    flight = track.centre_velocity[last] + [0.0, 0.0, 9.81 * (last / 30.0 - left)]
    if left > 0.2:
        as_it_moves = reference_track.states_of(track.motion, np.zeros(1), 30.0)
        assert np.allclose(begins.velocity, as_it_moves.velocity[0]), "it has time"
        assert np.allclose(begins.angular_velocity, as_it_moves.angular_velocity[0])
        return
    pushed = flight - own[0] + [0.0, 0.0, 9.81 * left]  # what is left to the floor, for each kilogram
    assert 0.0 <= pushed[2] <= 4.0 * 9.81 * left and np.linalg.norm(pushed[:2]) <= 0.9 * pushed[2] + 1e-9
    assert own[0, 2] > 1.0 and abs(own[0, 0]) < 1.5
    assert np.linalg.norm(turning[0] - track.momentum[last]) < 0.5 * np.linalg.norm(track.momentum[last])
    assert np.allclose(track.momentum[0], turning[0], rtol=0.05, atol=1.0), "as its goals have it"


NOTHING = Weights(**{field.name: 0.0 for field in dataclasses.fields(Weights)})


def test_feet_that_hover_where_the_clips_rest_cost() -> None:
    track = Track(BODY, STANDING)
    cost = Cost(track, dataclasses.replace(NOTHING, contact=1.0))
    steps = np.array([10])
    low = BODY.lowest_points(track.positions[:1], track.world[:1])[0, track.feet]
    for height in (0.0, 0.02, 0.5):
        state = states_of(track, steps + 1)
        state = changed(state, position=state.position + height * Z)
        squares = np.clip((low + height) / HOVER_MARGIN, 0, 1) ** 2
        wanted = LARGE_COST * np.log1p(squares.sum() / LARGE_COST)
        assert cost(state, steps)[0] == pytest.approx(wanted, abs=1e-6)


def test_balance_counts_from_the_last_touchdown_where_the_body_would_come_to_rest() -> None:
    track = Track(BODY, STANDING)
    assert track.landed == track.clip_steps == 30
    cost = Cost(track, dataclasses.replace(NOTHING, balance=1.0))
    state = changed(states_of(track, np.array([45])), velocity=np.array([[0.0, 0.5, 0.0]]))
    # All of a body that moves as one: its centre of mass goes on by v sqrt(h / g)
    centre = BODY.centre_of_mass(track.positions[45:46], track.world[45:46])[0]
    soles = np.mean(
        [
            track.positions[45, i] + rotations.rotate(track.world[45, i], np.array(BODY.links[i].centre))
            for i in track.feet
        ],
        axis=0,
    )
    still = changed(state, joint_velocity=np.zeros_like(state.joint_velocity), angular_velocity=np.zeros((1, 3)))
    point = centre + [0, 0.5 * np.sqrt((centre[2] - soles[2]) / 9.81), 0]
    wanted = LARGE_COST * np.log1p(np.sum((point - soles)[:2] ** 2) / LARGE_COST)
    assert cost(still, np.array([44]))[0] == pytest.approx(wanted, abs=1e-6)
    assert cost(still, np.array([10]))[0] == 0.0, "before the end a clip may be off balance"
