# SPDX-License-Identifier: GPL-3.0-or-later
"""Rollouts along a track in the compiled step, with their costs: what a search tries its candidates on.

Each rollout has a state of its own to begin with and a scene of its own. They are shared out over threads: the kernels
let go of Python.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import NamedTuple, Self, TypeVar

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
from ..physics.compiled.constraints import Contacts, Goal, State, Surroundings, hold_goal
from ..physics.compiled.kinematics import pose
from ..physics.compiled.lanes import any_lane, everywhere, kernel, load, rows, store, where
from ..physics.compiled.tables import BodyTables, Workspace
from ..physics.state import Scene, States
from .compiled_cost import GoalTables, cost, goal_tables, lost, set_goal
from .cost import LARGE_COST, Weights
from .reference_track import Track

_Result = TypeVar("_Result")


class Threads:
    """What shares its work out over so many threads, the caller's own among them: to wake one takes half a
    millisecond. To be closed."""

    def __init__(self, count: int) -> None:
        self._count = max(count, 1)
        self._others = ThreadPoolExecutor(self._count - 1) if self._count > 1 else None

    def in_threads(self, work: Callable[[int], _Result]) -> list[_Result]:
        """What work says of 0, 1, ... count - 1, each in a thread of its own. Raises what the first of them raises."""
        if self._others is None:
            return [work(0)]
        others = [self._others.submit(work, index) for index in range(1, self._count)]
        try:
            own = work(0)
        finally:
            wait(others)
        return [own, *(other.result() for other in others)]

    def close(self) -> None:
        """End the threads."""
        if self._others:
            self._others.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Rolled(NamedTuple):
    """costs (N, H): of each control step, a lost body's last one going on. ends (N,): states got to. steps: run."""

    costs: Array
    ends: States
    steps: int


class CompiledRollouts(Threads):
    """Rollouts of a track's body, shared out over so many threads; to be closed.

    lost: m, root too far from its goal to go on.
    """

    def __init__(self, track: Track, lost: float, workers: int = 1, weights: Weights | None = None) -> None:
        self.track, self.lost = track, lost
        super().__init__(workers)
        self._steps = [Steps(track.body) for _ in range(max(workers, 1))]
        self.tables = self._steps[0].tables
        self.layout = Layout(track.body, self.tables)
        self.weights = weights or Weights()
        self.follow(track)

    def follow(self, track: Track) -> None:
        """Go on with other goals for the same controls."""
        self.goals = goal_tables(track, self.layout, self.weights, anywhere=True)

    def __call__(
        self, starts: States, scenes: list[Scene], first: int | IntArray, offsets: Array, before: Array | None = None
    ) -> Rolled:
        """Roll out offsets (N, H, width), rad, from control step first: one for all, or (N,), which agree in every
        MOST_LANES in a row. starts (N,), scenes (N,): one each, or one for all. before (N, width), or (width,) for all:
        the offsets of the control step before; None: none was taken."""
        count, horizon = offsets.shape[:2]
        groups = -(-count // LANES)
        state, around = states_of_groups(self.tables, groups), surroundings_of_groups(groups)
        for array, numbers in zip(state, self.layout.numbers(starts), strict=False):
            put(array, numbers)
        put_scenes(around, scenes)
        controls, costs = rows(groups, horizon, offsets.shape[2]), rows(groups, horizon)
        put(controls.reshape(groups, -1, LANES), offsets.reshape(count, -1))
        last_one = rows(0 if before is None else groups, offsets.shape[2])
        if before is not None:
            put(last_one, before.reshape(-1, offsets.shape[2]))
        firsts = np.broadcast_to(np.asarray(first, dtype=np.int64), (count,))[::LANES].copy()
        steps = self._share(state, around, firsts, controls, last_one, costs)
        summed = LARGE_COST * np.log1p(taken(costs, count).astype(float) / LARGE_COST)
        position, turns, speeds = (
            taken(array, count).astype(float) for array in (state.position, state.rotations, state.speeds)
        )
        return Rolled(summed, self.layout.states(position, turns, speeds), min(steps * LANES, count * horizon))

    def _share(
        self,
        state: State,
        around: Surroundings,
        firsts: IntArray,
        controls: Float32Array,
        before: Float32Array,
        costs: Float32Array,
    ) -> int:
        """Run all groups, in as many threads as there are; returns control steps of groups."""
        parts = np.array_split(np.arange(len(costs)), len(self._steps))

        def run(index: int) -> int:
            own, steps = parts[index], self._steps[index]
            if not len(own):
                return 0
            part = slice(own[0], own[-1] + 1)
            memory = goal_of_group(self.tables)
            return int(
                roll_out(
                    steps.tables, steps.workspace, self.goals, State(*(array[part] for array in state)), memory,
                    Surroundings(*(array[part] for array in around)), firsts[part], self.track.steps, controls[part],
                    before[part], costs[part], self.lost, Contacts(*(rows(len(self.tables.parents)) for _ in range(4))),
                    steps.numbers,
                )
            )  # fmt: skip

        return sum(self.in_threads(run))


@kernel
def roll_out(
    t: BodyTables,
    w: Workspace,
    k: GoalTables,
    state: State,
    goal: Goal,
    around: Surroundings,
    firsts: IntArray,
    last: int,
    controls: Float32Array,
    previous: Float32Array,
    costs: Float32Array,
    limit: float,
    contacts: Contacts,
    n: StepNumbers,
) -> int:
    """Costs (G, H) of controls (G, H, width) from states (G, ...), in place; returns control steps of groups.

    firsts (G,): the control steps that they begin with. previous (G, width): the controls of the step before; empty:
    there was none.
    """
    steps = 0
    horizon = controls.shape[1]
    for g in range(controls.shape[0]):
        own, first = group_state(state, g), firsts[g]
        scene = group_surroundings(around, g)
        floor = load(scene.floor, 0)
        pose(t, w, own.rotations)
        if len(previous) > 0:
            set_goal(t, k, goal, max(first - 1, 0), previous[g])
            hold_goal(goal)
        alive, before = everywhere(1.0), everywhere(0.0)
        for h in range(horizon):
            boundary = min(first + h + 1, last)
            set_goal(t, k, goal, boundary - 1, controls[g, h])
            if h == 0 and len(previous) == 0:
                hold_goal(goal)
            control_step(t, w, own, goal, scene, contacts, n)
            steps += 1
            before = where(alive > 0.5, cost(t, k, w, own, contacts, floor, boundary), before)
            store(costs[g], h, before)
            alive = where(lost(k, w, own, floor, boundary, limit) > 0.5, everywhere(0.0), alive)
            if not any_lane(alive > 0.5):
                for rest in range(h + 1, horizon):
                    store(costs[g], rest, before)
                break
    return steps
