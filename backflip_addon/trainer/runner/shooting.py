# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes that were asked for: of the plan, replanned, or of a policy, in the circumstances that a request names."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...core.motion import Take
from ...jobs.json_files import JobError
from ...jobs.messages import ShotRequest, Warned
from ..imitation.compiled_rollouts import CompiledRollouts
from ..imitation.disturbances import shaken
from ..imitation.reference_track import Track
from ..physics.state import Scene
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
    return Scene(friction=shot.friction, mass=shot.mass)


def _shoot(run: RunContext, shot: ShotRequest) -> None:
    """Record one take. The policy performs where a stage is named, replan is false, or nothing has landed.

    Raises JobError with a sentence where there is nothing to shoot with.
    """
    plan = saved_plan(run)
    if plan is not None and shot.replan and not shot.stage:
        run.record(_replanned(run, plan, shot), shot.name, "replan", request=shot.request)
        return
    stages = {file.name: file for file in run.folder.list_stages()}
    if shot.stage and shot.stage not in stages:
        raise JobError(f"This job has no stage called {shot.stage}.")
    if not stages:
        raise JobError(NOTHING_TO_SHOOT)
    run.check()
    with new_training(run, None) as training:
        stage: Path | None = stages.get(shot.stage)
        if stage is not None:
            training.load(stage)
        else:
            stage = load_latest_stage(run, training)
        if stage is None:
            raise JobError(NOTHING_TO_SHOOT)
        take = training.attempt(shot.seed, scene_of(shot), disturbed=shot.disturbed)
    source = "scratch" if stage.stem.endswith("_scratch") else "policy"
    run.record(take, shot.name, source, stage=stage.name, request=shot.request)


def _replanned(run: RunContext, plan: Plan, shot: ShotRequest) -> Take:
    settings = replan_settings()
    with CompiledRollouts(Track(run.body, run.reference), settings.lost, run.workers) as rollouts:
        search = Search(rollouts.track, rollouts, settings, scene_of(shot), shot.seed, run.engine)
        search.start_from(plan)
        start = search.track.states[0]
        if shot.disturbed:
            start = shaken(start, np.random.default_rng(shot.seed), *START_NOISE)
        took = run.control_steps

        def tell(fraction: float, cost: float) -> None:
            run.control_steps = took + search.control_steps
            run.progress("shoot", fraction, "Shooting a take", -cost)

        return search.perform(start, tell, run.good).final_take(seed=shot.seed)
