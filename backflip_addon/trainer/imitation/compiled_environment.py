# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment for rollouts: as ImitationEnvironment, to float32 rounding, with all of a control step compiled.

Here nobody observes late: who does reckons what has come since, and is taught as the others are (foresight.py).
"""

from __future__ import annotations

import numpy as np

from ...core.arrays import AnyArray, Array, BoolArray, Float32Array, IntArray
from ..lane_count import LANES
from ..physics.compiled.batch import (
    CompiledBatch,
    StepNumbers,
    control_step,
    group_contacts,
    group_goal,
    group_state,
    group_surroundings,
    put,
    taken,
)
from ..physics.compiled.constraints import Contacts, Goal, State, Surroundings
from ..physics.compiled.kinematics import pose
from ..physics.compiled.lanes import kernel, load, rows, store
from ..physics.compiled.tables import BodyTables, Workspace
from ..physics.state import States
from .compiled_imitation import (
    HEIGHT,
    LOST,
    REWARD,
    TOLD,
    Episodes,
    ImitationTables,
    Observed,
    OwnGoals,
    episodes_in,
    give_push,
    imitation_tables,
    look,
    own_goals,
    steer,
    width_of,
)
from .disturbances import Circumstances
from .environment import ImitationEnvironment, Limits
from .target_trajectory import TargetTrajectory


class CompiledEnvironment(ImitationEnvironment[CompiledBatch]):
    """N bodies that follow one target trajectory, all of which take every control step."""

    def __init__(
        self,
        bodies: CompiledBatch,
        trajectory: TargetTrajectory,
        allowed: BoolArray,
        limits: Limits | None = None,
    ) -> None:
        super().__init__(bodies, trajectory, allowed, limits)
        self._forbidden = np.flatnonzero(~allowed)
        self.follow(trajectory)
        e, groups = self._tables, bodies.groups
        self._own_goals = own_goals(e)
        width = width_of(e)
        self._seen = Observed(*(rows(groups, n) for n in (width, TOLD, len(e.feet))))
        self._episodes = episodes_in(groups)
        self._controls = rows(groups, self.layout.width)
        self._failing = np.zeros((groups, LANES), dtype=bool)

    def follow(self, trajectory: TargetTrajectory) -> None:
        """Follow another trajectory, of the same goals, from now on."""
        super().follow(trajectory)
        self._tables = imitation_tables(self.observations, self.imitation, trajectory, self.bodies.layout, self.limits)

    def start(self, which: IntArray, steps: IntArray, states: States, circumstances: list[Circumstances]) -> None:
        """As ImitationEnvironment.start()."""
        super().start(which, steps, states, circumstances)
        g, lane = np.divmod(np.asarray(which), LANES)
        own = self._episodes
        own.push_steps[g, lane] = self._push_steps[which]
        own.push[g, :, lane] = [[*c.push_spin, *c.push] for c in circumstances]
        put(self._seen.feet, self._feet_down)

    def refresh(self, which: BoolArray | None = None) -> None:
        """Look at all (or those) bodies anew."""
        groups = np.ones(self.bodies.groups, dtype=bool)
        if which is not None:
            groups[:] = False
            groups[np.flatnonzero(which) // LANES] = True
        self._run(groups, False)

    def observe(self, fresh: BoolArray | None = None) -> tuple[Float32Array, Float32Array]:
        """As ImitationEnvironment.observe()."""
        now = self._differences()
        return self._observation(now), self._privileged_observation(now)

    def bootstrap_observation(self) -> Float32Array:
        """As ImitationEnvironment.bootstrap_observation()."""
        return self._privileged_observation(self._differences())

    def step(self, actions: AnyArray, active: BoolArray | None = None) -> BoolArray:
        """One control step of all bodies; refresh() of all of them is part of it. Returns (N,): a forbidden link
        touched."""
        put(self._controls, self._asked_for(actions))
        self._run(np.ones(self.bodies.groups, dtype=bool), True)
        self.applied = taken(self._controls, self.count).astype(float)
        self._feet_down = taken(self._seen.feet, self.count)
        self.steps += 1
        self.last_actions = actions.astype(np.float32)
        return self._failing.reshape(-1)[: self.count].copy()

    def evaluate(self) -> tuple[Array, BoolArray]:
        """As ImitationEnvironment.evaluate()."""
        told = taken(self._seen.told, self.count)
        return told[:, REWARD].astype(float), told[:, LOST] > 0.5

    def _differences(self) -> Float32Array:
        return np.concatenate([taken(self._seen.now, self.count), self._feet_down], axis=1)

    def _heights(self) -> Float32Array:
        return taken(self._seen.told, self.count)[:, HEIGHT]

    def _run(self, groups: BoolArray, steps: bool) -> None:
        """Look at groups, after a control step where they are to take one."""
        bodies = self.bodies
        self._episodes.steps.reshape(-1)[: self.count] = self.steps
        take_steps(
            bodies.steps.tables, bodies.steps.workspace, self._tables, self._own_goals, bodies.state, bodies.goal,
            bodies.around, self._episodes, self._seen, groups, steps, self._controls, self._failing, self._forbidden,
            bodies.floor, bodies.steps.numbers,
        )  # fmt: skip
        bodies.known = bodies.known or steps


@kernel
def take_steps(
    t: BodyTables,
    w: Workspace,
    e: ImitationTables,
    m: OwnGoals,
    state: State,
    goals: Goal,
    around: Surroundings,
    episodes: Episodes,
    seen: Observed,
    which: BoolArray,
    moving: bool,
    controls: Float32Array,
    failing: BoolArray,
    forbidden: IntArray,
    contacts: Contacts,
    n: StepNumbers,
) -> None:
    """Look at the groups which (G,), after a control step if they are moving; arrays lead with groups. controls become
    what targets are turned by; failing (G, LANES): a forbidden link touched."""
    for g in range(len(which)):
        if not which[g]:
            continue
        own = group_state(state, g)
        scene = group_surroundings(around, g)
        floor, steps, now = load(scene.floor, 0), episodes.steps[g], seen.now[g]
        pose(t, w, own.rotations)
        if moving:
            goal = group_goal(goals, g)
            steer(t, e, m, steps, now, goal, controls[g])
            give_push(own, steps, episodes.push_steps[g], episodes.push[g])
            floor_contacts = group_contacts(contacts, g)
            control_step(t, w, own, goal, scene, floor_contacts, n)
            for lane in range(LANES):
                steps[lane] += 1
                failing[g, lane] = False
                for q in range(len(forbidden)):
                    failing[g, lane] = failing[g, lane] or floor_contacts.touched[forbidden[q], lane] > 0.0
            for q in range(len(e.feet)):
                store(seen.feet[g], q, load(floor_contacts.touching, e.feet[q]))
        look(t, e, m, w, own, floor, steps, now, seen.feet[g], seen.told[g])
