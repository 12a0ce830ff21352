# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes that were asked for: of the plan, replanned, or of a policy, in the circumstances that a request names.

Planning anew keeps every core busy with one take. Of plans that are performed as they were learned, a core performs one
each, side by side, where many are asked for.
"""

from __future__ import annotations

import copy
import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...core.body import Body
from ...core.burden import burdened
from ...core.motion import Take
from ...jobs.json_files import JobError
from ...jobs.messages import SHOT, Request, ShotRequest, Warned
from ..imitation.compiled_rollouts import CompiledRollouts
from ..imitation.disturbances import shaken
from ..imitation.reference_track import Track
from ..physics.engines import EngineName
from ..physics.state import Scene, States
from ..planning.mpc import Search
from ..planning.plan import Plan, take_of_plan
from ..planning.search_settings import replan_settings
from ..workers import Pool, WorkerError
from .policy_phase import load_latest_stage, new_training
from .run_context import RunContext
from .search_phase import saved_plan

START_NOISE = (0.05, 0.1, 0.3)  # of a shot that is not to be like the others: rad, m/s, rad/s
FEWEST = 6  # shots that wait, from which on processes that perform them are worth the seconds of their start
NOTHING_TO_SHOOT = "Nothing has been learned here yet; train first."

logger = logging.getLogger(__name__)


def shoot_all(run: RunContext) -> tuple[int, int]:
    """Record all takes that are asked for, in order; what cannot be shot is refused, and ends nothing.

    Returns how many were recorded and how many refused. Raises Stopped or JobGone.
    """
    recorded = refused = 0
    phase = run.phase
    ahead = _Ahead(run)
    try:
        while shots := run.inbox.shots():
            run.inbox.obey()
            ahead.perform(shots)
            try:
                _shoot(run, ShotRequest.of(shots[0], run.scene.friction), ahead.takes.pop(shots[0].id, None))
                recorded += 1
            except (JobError, ValueError) as error:
                run.tell(Warned(message=f"A shot was not taken: {error}"))
                refused += 1
            run.inbox.finish(shots[0])
            run.phase = phase
            run.check()
    finally:
        ahead.close()
    return recorded, refused


class _Ahead:
    """Shots of the plan as it was learned that are performed before it is their turn. takes: by their requests."""

    def __init__(self, run: RunContext) -> None:
        self.run = run
        self.takes: dict[str, Take] = {}
        self._pool: Pool | None = None
        self._worth_it = run.workers > 1

    def perform(self, requests: Sequence[Request]) -> None:
        """Perform the first of the requests, and those behind it, a core each, where that pays. Raises Stopped."""
        waiting = len(requests)
        if not self._worth_it or requests[0].id in self.takes or waiting < (2 if self._pool else FEWEST):
            return
        jobs = self._jobs(requests)
        if len(jobs) < 2:
            return
        try:
            if self._pool is None:
                run = self.run
                self._pool = Pool(min(run.workers, waiting), Performer, run.track, run.engine, meanwhile=run.check)
            self.takes = dict(zip(jobs, self._pool.share("perform", list(jobs.values())), strict=True))
        except WorkerError as error:  # where memory has run out, one at a time may fit
            logger.warning("shots are taken one by one: %s", error)
            self._worth_it = False
            self.close()

    def _jobs(self, requests: Sequence[Request]) -> dict[str, tuple[Plan, ShotRequest]]:
        """By their requests, the foremost shots that are of the plan as it was learned, at most one a core."""
        jobs: dict[str, tuple[Plan, ShotRequest]] = {}
        plan = None if self.run.folder.list_stages() else saved_plan(self.run)
        for request in requests[: len(self._pool) if self._pool else self.run.workers]:
            try:
                shot = ShotRequest.of(request, self.run.scene.friction)
                _check_push(shot, burdened(self.run.body, shot.direction.part_mass))
            except (JobError, ValueError):
                break  # it is refused when it is its turn
            if plan is None or shot.replan or shot.stage:
                break
            jobs[request.id] = plan, shot
        return jobs

    def close(self) -> None:
        if self._pool is not None:
            self._pool.close()
            self._pool = None


class Performer:
    """Performs plans as they were learned, in a process of its own."""

    def __init__(self, track: Track, engine: EngineName) -> None:
        self.track, self.engine = track, engine

    def perform(self, plan: Plan, shot: ShotRequest) -> Take:
        """The take of a shot, as _shoot() performs it."""
        track = _with_body(self.track, burdened(self.track.body, shot.direction.part_mass))
        return _as_planned(track, self.engine, plan, shot)


def scene_of(shot: ShotRequest) -> Scene:
    """Where a shot is performed."""
    asked = shot.direction
    return Scene(friction=shot.friction, mass=shot.mass, gravity=asked.gravity_vector, strength=asked.strength)


def _check_push(shot: ShotRequest, body: Body) -> None:
    """Raises JobError where a part is to be pushed that the body has not."""
    if shot.direction.pushes and shot.direction.push_link not in body.names:
        raise JobError(f"This body has no part called {shot.direction.push_link} that could be pushed.")


def _shoot(run: RunContext, shot: ShotRequest, performed: Take | None = None) -> None:
    """Record one take, as directed. The landed plan performs, replanned or as it was learned, or a policy does: where a
    stage is named, where there is none but policies, and as learned before the plan.

    performed: the take, where it was performed ahead of its turn. Raises JobError with a sentence where there is
    nothing to shoot with, or a direction does not fit the body.
    """
    body = burdened(run.body, shot.direction.part_mass)
    _check_push(shot, body)
    plan = saved_plan(run) if not shot.stage else None
    stages = {file.name: file for file in run.folder.list_stages()}
    words = shot.direction.words()
    phase = f"{SHOT}{words}" if words else "shot"
    if plan is not None and (shot.replan or not stages):
        track = _with_body(run.track, body)
        if performed is not None:
            take = performed
        elif shot.replan:
            take = _replanned(run, plan, shot, track)
        else:
            take = _as_planned(track, run.engine, plan, shot)
        source = "replan" if shot.replan else "plan"
        run.record(_told(take, shot), shot.name, source, request=shot.request, phase=phase)
        return
    if shot.stage and shot.stage not in stages:
        raise JobError(f"Nothing called {shot.stage} was learned here; choose another.")
    if not stages:
        raise JobError(NOTHING_TO_SHOOT)
    run.check()
    with new_training(run, None, body) as training:
        stage: Path | None = stages.get(shot.stage)
        if stage is not None:
            training.load(stage)
        else:
            stage = load_latest_stage(run, training)
        if stage is None:
            raise JobError(NOTHING_TO_SHOOT)
        start = _start(training.track, shot) if shot.direction.start_noise else None
        take = training.attempt(shot.seed, scene_of(shot), shot.disturbed, start, shot.direction)
    source = "scratch" if stage.stem.endswith("_scratch") else "policy"
    run.record(_told(take, shot), shot.name, source, stage=stage.name, request=shot.request, phase=phase)


def _told(take: Take, shot: ShotRequest) -> Take:
    """The take, saying what was asked of it and which seed made it."""
    facts = {"direction": shot.direction.to_json(), "seed": shot.seed, "disturbed": shot.disturbed}
    return dataclasses.replace(take, meta={**take.meta, **facts})


def _with_body(track: Track, body: Body) -> Track:
    """What was learned to follow, for a body that may carry more than it did then."""
    track = copy.copy(track)
    track.body = body
    return track


def _start(track: Track, shot: ShotRequest) -> States:
    """The state (no leading axis) that a shot begins in."""
    noise = max(shot.direction.start_noise, 1.0 if shot.disturbed else 0.0)
    if not noise:
        return track.states[0]
    return shaken(track.states[0], np.random.default_rng(shot.seed), *(noise * one for one in START_NOISE))


def _replanned(run: RunContext, plan: Plan, shot: ShotRequest, track: Track) -> Take:
    """The plan adapted on the way: it is known what the floor, gravity, weights and strength are. What comes as a
    surprise, a push or a clumsy hand, is planned for once it has come."""
    settings = replan_settings()
    with CompiledRollouts(track, settings.lost, run.workers) as rollouts:
        scene, engine = scene_of(shot), run.engine
        search = Search(track, rollouts, settings, scene, shot.seed, engine, shot.direction)
        search.start_from(plan)
        took = run.control_steps

        def tell(fraction: float, cost: float) -> None:
            run.control_steps = took + search.control_steps
            run.progress("shoot", fraction, "Shooting a take", -cost)

        return search.perform(_start(track, shot), tell, run.good).ended(seed=shot.seed)


def _as_planned(track: Track, engine: EngineName, plan: Plan, shot: ShotRequest) -> Take:
    """The plan performed as it was learned, whatever comes."""
    scene, asked, seed = scene_of(shot), shot.direction, shot.seed
    return take_of_plan(track, plan, scene, engine, _start(track, shot), asked, seed, seed=seed)
