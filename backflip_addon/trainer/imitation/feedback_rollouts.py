# SPDX-License-Identifier: GPL-3.0-or-later
"""Rollouts with the trajectory's feedback at work, in circumstances of their own: what gains are tried on.

All control steps of a group of bodies happen in one call of a kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ...core.arrays import Array, Float32Array, IntArray
from ..lane_count import LANES
from ..physics.compiled.batch import (
    Layout,
    StepNumbers,
    Steps,
    control_step,
    goal_of_group,
    group_state,
    group_surroundings,
    put,
    put_scenes,
    states_of_groups,
    surroundings_of_groups,
    taken,
)
from ..physics.compiled.constraints import Contacts, Goal, State, Surroundings
from ..physics.compiled.kinematics import pose
from ..physics.compiled.lanes import inlined, kernel, load, rows, store
from ..physics.compiled.tables import BodyTables, Workspace
from ..physics.simulator import COMPILED_ITERATIONS
from ..physics.state import States
from .compiled_cost import GoalTables, cost, goal_tables
from .compiled_imitation import (
    LOST,
    TOLD,
    Episodes,
    ImitationTables,
    Observed,
    OwnGoals,
    begin_goal,
    episodes_in,
    give_push,
    imitation_tables,
    look,
    own_goals,
    steer,
    width_of,
)
from .compiled_rollouts import Threads
from .cost import LARGE_COST, Weights
from .disturbances import Circumstances
from .environment import Limits
from .observations import Observations
from .reference_track import Track
from .rewards import Imitation
from .target_trajectory import TargetTrajectory

NEVER = 1_000_000  # the step at which an episode fails that does not


class Played(NamedTuple):
    """costs (N, H): of each control step (compiled_cost). ends (N,): states got to. failed (N,): the control step
    in which a body was lost or touched the floor with what may not touch it; NEVER: it did not. passed: the states (N,)
    got to by each of the last control steps that were to be kept. steps: simulated."""

    costs: Array
    ends: States
    passed: list[States]
    failed: IntArray
    steps: int


class Passed(NamedTuple):
    """States that bodies passed through: position (G, K, 3, LANES), m; rotations (G, K, 4 L, LANES), local, the root's
    the world's; speeds (G, K, F, LANES)."""

    position: Float32Array
    rotations: Float32Array
    speeds: Float32Array


class FeedbackRollouts(Threads):
    """Rollouts of a trajectory's controls, shared out over so many threads; to be closed.

    track: what costs are measured by. limits: when a body is lost. iterations: of the contact solver.
    """

    def __init__(
        self,
        track: Track,
        trajectory: TargetTrajectory,
        limits: Limits | None = None,
        workers: int = 1,
        weights: Weights | None = None,
        iterations: int = COMPILED_ITERATIONS,
    ) -> None:
        self.track, self.limits = track, limits or Limits()
        super().__init__(workers)
        self._steps = [Steps(track.body, track.allowed, iterations=iterations) for _ in range(max(workers, 1))]
        self.tables = self._steps[0].tables
        self.layout = Layout(track.body, self.tables)
        self.goals = goal_tables(track, self.layout, weights or Weights(), anywhere=True)
        self._forbidden = np.flatnonzero(~track.allowed)
        self._imitation = Imitation(track.body)
        self.follow(trajectory)

    def follow(self, trajectory: TargetTrajectory) -> None:
        """Roll out this one's controls and feedback from now on."""
        self.trajectory = trajectory
        self.observations = Observations(self.track.body, trajectory)
        self.imitated = imitation_tables(self.observations, self._imitation, trajectory, self.layout, self.limits)

    def __call__(
        self, starts: States, circumstances: Sequence[Circumstances], first: int, offsets: Array, kept: int = 0
    ) -> Played:
        """Roll out offsets (N, H, width), rad, by which the trajectory's targets are turned beside its feedback, from
        states (N,), world frame, in circumstances (N,), from control step first. kept: of how many of the last steps
        the states are told."""
        count, horizon = offsets.shape[:2]
        groups = -(-count // LANES)
        state = states_of_groups(self.tables, groups)
        for array, numbers in zip(state, self.layout.numbers(starts), strict=False):
            put(array, numbers)
        around = surroundings(circumstances, groups)
        episodes = episodes_of(circumstances, np.full(count, first), groups)
        controls, costs = rows(groups, horizon, offsets.shape[2]), rows(groups, horizon)
        put(controls.reshape(groups, -1, LANES), offsets.reshape(count, -1))
        failed = np.full((groups, LANES), NEVER, np.int64)
        passed = passed_of_groups(state, kept)
        self._share(state, around, episodes, controls, costs, passed, failed)
        summed = LARGE_COST * np.log1p(taken(costs, count).astype(float) / LARGE_COST)
        each = [self._states(Passed(*(array[:, k] for array in passed)), count) for k in range(kept)]
        ends = self._states(Passed(state.position, state.rotations, state.speeds), count)
        return Played(summed, ends, each, failed.reshape(-1)[:count], count * horizon)

    def _states(self, passed: Passed, count: int) -> States:
        """The first so many bodies' states, of numbers (G, ..., LANES)."""
        position, turns, speeds = (taken(array, count).astype(float) for array in passed)
        return self.layout.states(position, turns, speeds)

    def _share(
        self,
        state: State,
        around: Surroundings,
        episodes: Episodes,
        controls: Float32Array,
        costs: Float32Array,
        passed: Passed,
        failed: IntArray,
    ) -> None:
        """Run all groups, in as many threads as there are."""
        parts = np.array_split(np.arange(len(costs)), len(self._steps))

        def run(index: int) -> None:
            own, steps = parts[index], self._steps[index]
            if not len(own):
                return
            part = slice(own[0], own[-1] + 1)
            e, links = self.imitated, len(self.tables.parents)
            goal = goal_of_group(self.tables)
            seen = Observed(*(rows(n) for n in (width_of(e), TOLD, len(e.feet))))
            roll_out_with_feedback(
                steps.tables, steps.workspace, self.goals, e, own_goals(e),
                State(*(array[part] for array in state)), goal, Surroundings(*(array[part] for array in around)),
                part_of(episodes, part), seen, controls[part], costs[part],
                Passed(*(array[part] for array in passed)), failed[part], self._forbidden,
                Contacts(*(rows(links) for _ in range(4))), steps.numbers,
            )  # fmt: skip

        self.in_threads(run)


def surroundings(circumstances: Sequence[Circumstances], groups: int) -> Surroundings:
    """The scenes (N,) in groups of lanes."""
    around = surroundings_of_groups(groups)
    put_scenes(around, [own.scene for own in circumstances])
    return around


def episodes_of(circumstances: Sequence[Circumstances], steps: IntArray, groups: int) -> Episodes:
    """Episodes (N,) at control steps (N,), in groups of lanes; nobody observes late in them (foresight.py)."""
    count = len(circumstances)
    episodes = episodes_in(groups)
    episodes.steps.reshape(-1)[:count] = steps
    episodes.push_steps.reshape(-1)[:count] = [own.push_step for own in circumstances]
    put(episodes.push, np.array([[*own.push_spin, *own.push] for own in circumstances]))
    return episodes


def passed_of_groups(state: State, kept: int) -> Passed:
    """Memory for so many states of each of groups of bodies."""
    return Passed(*(rows(len(a), kept, a.shape[1]) for a in (state.position, state.rotations, state.speeds)))


def part_of(episodes: Episodes, groups: slice) -> Episodes:
    """Those of some groups."""
    return Episodes(episodes.steps[groups], episodes.push_steps[groups], episodes.push[groups])


@inlined
def copy_rows(into: Float32Array, rows_of: Float32Array) -> None:
    """Write numbers (n, LANES) over others."""
    for j in range(len(rows_of)):
        store(into, j, load(rows_of, j))


@kernel
def roll_out_with_feedback(
    t: BodyTables,
    w: Workspace,
    k: GoalTables,
    e: ImitationTables,
    m: OwnGoals,
    state: State,
    goal: Goal,
    around: Surroundings,
    episodes: Episodes,
    seen: Observed,
    controls: Float32Array,
    costs: Float32Array,
    passed: Passed,
    failed: IntArray,
    forbidden: IntArray,
    contacts: Contacts,
    n: StepNumbers,
) -> None:
    """Costs (G, H) of controls (G, H, width) from states (G, ...), in place; failed (G, LANES): control steps."""
    last, unkept = len(e.targets), controls.shape[1] - passed.position.shape[1]
    for g in range(controls.shape[0]):
        own = group_state(state, g)
        scene = group_surroundings(around, g)
        floor, steps = load(scene.floor, 0), episodes.steps[g]
        pose(t, w, own.rotations)
        look(t, e, m, w, own, floor, steps, seen.now, seen.feet, seen.told)
        begin_goal(e, goal, steps)
        for h in range(controls.shape[1]):
            steer(t, e, m, steps, seen.now, goal, controls[g, h])
            give_push(own, steps, episodes.push_steps[g], episodes.push[g])
            control_step(t, w, own, goal, scene, contacts, n)
            for lane in range(LANES):
                steps[lane] += 1
            look(t, e, m, w, own, floor, steps, seen.now, seen.feet, seen.told)
            store(costs[g], h, cost(t, k, w, own, contacts, floor, min(steps[0], last)))
            if h >= unkept:
                copy_rows(passed.position[g, h - unkept], own.position)
                copy_rows(passed.rotations[g, h - unkept], own.rotations)
                copy_rows(passed.speeds[g, h - unkept], own.speeds)
            for lane in range(LANES):
                fails = seen.told[LOST, lane] > 0.5
                for q in range(len(forbidden)):
                    fails = fails or contacts.touched[forbidden[q], lane] > 0.0
                if fails and failed[g, lane] == NEVER:
                    failed[g, lane] = steps[lane] - 1
