# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes that were asked for: of the plan, replanned, or of a policy, in the circumstances that a request names."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

import numpy as np

from ...core.body import Body
from ...core.burden import burdened
from ...core.motion import Take
from ...jobs.json_files import JobError
from ...jobs.messages import ShotRequest, Warned
from ..imitation.compiled_rollouts import CompiledRollouts
from ..imitation.disturbances import shaken
from ..imitation.performance import Performance
from ..imitation.reference_track import Track
from ..physics.state import Scene, States
from ..planning.mpc import Search, replan_settings
from ..planning.plan import Plan
from .policy_phase import load_latest_stage, new_training
from .run_context import RunContext
from .search_phase import saved_plan

START_NOISE = (0.05, 0.1, 0.3)  # of a shot that is not to be like the others: rad, m/s, rad/s
NOTHING_TO_SHOOT = "This job has neither a landed plan nor a policy yet; train it first."


def shoot_all(run: RunContext) -> tuple[int, int]:
    """Record all takes that are asked for, in order; what cannot be shot is refused, and ends nothing.

    Returns how many were recorded and how many refused. Raises Stopped or JobGone.
    """
    recorded = refused = 0
    phase = run.phase
    while shots := run.inbox.shots():
        run.inbox.obey()
        try:
            _shoot(run, ShotRequest.of(shots[0], run.scene.friction))
            recorded += 1
        except (JobError, ValueError) as error:
            run.tell(Warned(message=f"A shot was not taken: {error}"))
            refused += 1
        run.inbox.finish(shots[0])
        run.phase = phase
        run.check()
    return recorded, refused


def scene_of(shot: ShotRequest) -> Scene:
    """Where a shot is performed."""
    asked = shot.direction
    return Scene(friction=shot.friction, mass=shot.mass, gravity=asked.gravity_vector, strength=asked.strength)


def _shoot(run: RunContext, shot: ShotRequest) -> None:
    """Record one take, as directed. The landed plan performs, replanned or as it was learned, or a policy does: where a
    stage is named, where there is none but policies, and as learned before the plan.

    Raises JobError with a sentence where there is nothing to shoot with, or a direction does not fit the body.
    """
    body = burdened(run.body, shot.direction.part_mass)
    if shot.direction.pushes and shot.direction.push_link not in body.names:
        raise JobError(f"This body has no part called {shot.direction.push_link} that could be pushed.")
    plan = saved_plan(run) if not shot.stage else None
    stages = {file.name: file for file in run.folder.list_stages()}
    words = shot.direction.words()
    phase = f"shot: {words}" if words else "shot"
    if plan is not None and (shot.replan or not stages):
        take = _replanned(run, plan, shot, body) if shot.replan else _as_planned(run, plan, shot, body)
        source = "replan" if shot.replan else "plan"
        run.record(_told(take, shot), shot.name, source, request=shot.request, phase=phase)
        return
    if shot.stage and shot.stage not in stages:
        raise JobError(f"This job has no stage called {shot.stage}.")
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


def _track(run: RunContext, body: Body) -> Track:
    """What was learned to follow, for a body that may carry more than it did then."""
    track = copy.copy(run.track)
    track.body = body
    return track


def _start(track: Track, shot: ShotRequest) -> States:
    """The state (no leading axis) that a shot begins in."""
    noise = max(shot.direction.start_noise, 1.0 if shot.disturbed else 0.0)
    if not noise:
        return track.states[0]
    return shaken(track.states[0], np.random.default_rng(shot.seed), *(noise * one for one in START_NOISE))


def _replanned(run: RunContext, plan: Plan, shot: ShotRequest, body: Body) -> Take:
    """The plan adapted on the way: it is known what the floor, gravity, weights and strength are. What comes as a
    surprise, a push or a clumsy hand, is planned for once it has come."""
    settings = replan_settings()
    track = _track(run, body)
    with CompiledRollouts(track, settings.lost, run.workers) as rollouts:
        scene, engine = scene_of(shot), run.engine
        search = Search(track, rollouts, settings, scene, shot.seed, engine, shot.direction)
        search.start_from(plan)
        took = run.control_steps

        def tell(fraction: float, cost: float) -> None:
            run.control_steps = took + search.control_steps
            run.progress("shoot", fraction, "Shooting a take", -cost)

        performance = search.perform(_start(track, shot), tell, run.good)
        try:
            return performance.played_out(seed=shot.seed)
        finally:
            performance.close()


def _as_planned(run: RunContext, plan: Plan, shot: ShotRequest, body: Body) -> Take:
    """The plan performed as it was learned, whatever comes."""
    track = _track(run, body)
    performance = Performance(track, scene_of(shot), _start(track, shot), run.engine, shot.direction, shot.seed)
    try:
        performance.run(track.targets(plan.offsets(0, track.steps), 0))
        return performance.played_out(seed=shot.seed)
    finally:
        performance.close()
