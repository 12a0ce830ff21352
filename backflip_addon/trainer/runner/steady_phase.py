# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows a landing: feedback, so that the plan lands in small disturbances too.

A plan that is played open loop lands by a hair. The feedback is that which a policy begins with (rl.trainer); no
network learns here.
"""

from __future__ import annotations

from ...core import metrics
from ...jobs.messages import StageSaved, TakeRecorded
from ..imitation.robustness import with_robustness
from ..physics.state import Scene
from ..planning.plan import Plan
from .policy_phase import load_latest_stage, new_training
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
        before, whole = run.control_steps - training.samples, training.settings.last_fit + 1
        while training.fitting:
            run.control_steps = before + training.samples
            share = min(training.iterations / whole, 1.0)
            run.progress("policy", share, f"Learning to keep its balance: {share:.0%}", share)
            training.iterate()
        run.control_steps = before + training.samples
        file = f"{training.iterations:06d}_policy.pt"
        training.save(run.make_way(run.folder.stages / file))
        run.tell(StageSaved(file=file, phase="policy", samples=training.samples, control_steps=run.control_steps))
        take = training.attempt(run.settings.seed, run.scene)
        if metrics.evaluate_take(run.body, run.reference, take).landed:
            take = with_robustness(take, training.small_landings())
        run.record(take, NAME, "policy", stage=file, phase=PHASE)


def _is_recorded(run: RunContext, stage: str) -> bool:
    """Whether an earlier run has recorded what a stage performs."""
    return any(isinstance(event, TakeRecorded) and event.stage == stage for event in run.folder.read_events()[0])
