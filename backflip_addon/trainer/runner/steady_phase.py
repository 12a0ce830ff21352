# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows a landing: feedback, so that the plan lands in small disturbances too.

A plan that is played open loop lands by a hair. The feedback is that which a policy begins with (rl.trainer); no
network learns here.
"""

from __future__ import annotations

from ...jobs.messages import TakeRecorded
from ..physics.state import Scene
from ..planning.plan import Plan
from .policy_phase import load_latest_stage, new_training, robustness_told, save_stage
from .run_context import RunContext

NAME = "Steadied"
PHASE = "steadied"


def steady(run: RunContext, plan: Plan) -> None:
    """Fit feedback to a landed plan, and record what it performs. Raises what RunContext.progress() raises.

    Of a clip that does not end standing, or of a scene in which nothing is known to be small, there is nothing to fit.
    """
    if not run.track.standing or run.scene != Scene():
        return
    run.check()
    with new_training(run, plan) as training:
        known = load_latest_stage(run, training, "policy")
        if known and not training.fitting and _is_recorded(run, known.name):
            return
        before = run.control_steps - training.samples

        def tell(fitted: float = 0.0) -> None:
            s = training.settings
            run.control_steps = before + training.samples
            share = min((training.iterations + s.feedback_fit * fitted) / (s.last_fit + 1), 1.0)
            run.progress("policy", share, f"Learning to keep its balance: {share:.0%}", share)

        training.tell_fit = tell
        while training.fitting:
            tell()
            training.iterate()
        run.control_steps = before + training.samples
        stage = save_stage(run, training, "policy")
        take = robustness_told(run, training, training.attempt(run.settings.seed, run.scene))
        run.record(take, NAME, "policy", stage=stage, phase=PHASE)


def _is_recorded(run: RunContext, stage: str) -> bool:
    """Whether an earlier run has recorded what a stage performs."""
    return any(isinstance(event, TakeRecorded) and event.stage == stage for event in run.folder.read_events()[0])
