# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows a landing: feedback, so that the plan lands in small disturbances too.

A plan that is played open loop lands by a hair. The feedback is that which a policy begins with (rl.trainer); no
network learns here. A landing that is not clean with it makes way for a better one, of a search of its own.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from ...core import metrics
from ...jobs.messages import TakeRecorded
from ..physics.state import Scene
from ..planning.plan import Plan
from .policy_phase import WEIGHT, load_latest_stage, new_training, robustness_told, save_stage
from .run_context import RunContext, TimeIsUp
from .search_phase import find_landing_plan, has_time_to_improve, save_plan

if TYPE_CHECKING:
    from ..rl.trainer import PolicyTraining

NAME = "Steadied"
PHASE = "steadied"
CHOICE = 0.7  # share of a fit's time that the choice of gains takes, about; rollouts are gathered in the rest
Facts = Mapping[str, object]  # a take's measures by their names (core.metrics.Measures)


def land_steadily(run: RunContext) -> None:
    """Find a landing and steady it; while it is not clean, and there is time, find and steady another. The best is
    kept. Raises what RunContext.progress() raises; once a landing is steadied, TimeIsUp no more.

    Of a clip that does not end standing, or of a scene in which nothing is known to be small, nothing is steadied.
    """
    plan = find_landing_plan(run)
    if not run.track.standing or run.scene != Scene():
        return
    best = _steadied(run, plan, None)
    with contextlib.suppress(TimeIsUp):
        while not best["landed_cleanly"] and has_time_to_improve(run):
            best = _steadied(run, find_landing_plan(run, another=True), best)


def better(one: Facts, other: Facts) -> bool:
    """Whether a take has fewer flaws than another, or as many and lands more often; that it lands comes first."""

    def rank(facts: Facts) -> tuple[bool, int, int]:
        robust = facts["robust_of_20"]
        return bool(facts["landed"]), -len(metrics.flaws(facts)), robust if isinstance(robust, int) else 0

    return rank(one) > rank(other)


def _steadied(run: RunContext, plan: Plan, best: Facts | None) -> Facts:
    """Fit feedback to a landed plan, and record what it performs. best: another one's facts; what is no better is not
    kept. Returns the better's. Raises what RunContext.progress() raises."""
    run.check()
    with new_training(run, plan) as training:
        known = None if best else load_latest_stage(run, training, "policy")
        if known and not training.fitting and (told := _recorded(run, known.name)):
            return vars(told)
        before = run.control_steps - training.samples

        def say(words: str, share: float) -> None:
            run.progress("policy", share, f"{words}: {share:.0%}", share)

        def tell(fitted: float = 0.0) -> None:
            s = training.settings
            run.control_steps = before + training.samples
            fits, gathered = divmod(training.iterations, s.feedback_fit + 1)
            share = fits + (1 - CHOICE) * gathered / (s.feedback_fit + 1) + CHOICE * fitted
            say("Learning to keep its balance", min(share / s.feedback_fits, 1.0))

        def tell_trials(share: float) -> None:
            with contextlib.suppress(TimeIsUp):  # what is fitted is recorded
                say("Trying it in small disturbances", share)

        training.tell_fit, training.tell_weight = tell, functools.partial(say, WEIGHT)
        while training.fitting and not (training.falls_short and has_time_to_improve(run)):
            tell()
            training.iterate()
        run.control_steps = before + training.samples
        own, best = _keep(run, training, plan, best, tell_trials)
        with contextlib.suppress(TimeIsUp):
            if metrics.flaws(own) == ("robust_of_20",) and training.allow_for_weight():
                best = _keep(run, training, plan, best, tell_trials)[1]
        return best


def _keep(
    run: RunContext, training: PolicyTraining, plan: Plan, best: Facts | None, tell: Callable[[float], None]
) -> tuple[Facts, Facts]:
    """Record what a training performs where it is better than the best so far. Returns its facts, and the better's."""
    take = robustness_told(run, training, training.attempt(run.settings.seed, run.scene), tell)
    facts = vars(metrics.evaluate_take(run.body, run.reference, take))
    if best and not better(facts, best):
        return facts, best
    # The stage first: a run that is cut off between the two goes on with it, whichever plan it was fitted to
    stage = save_stage(run, training, "policy", newest=best is not None)
    save_plan(run, plan)
    run.record(take, NAME, "policy", stage=stage, phase=PHASE)
    return facts, facts


def _recorded(run: RunContext, stage: str) -> TakeRecorded | None:
    """The take that an earlier run has recorded of a stage's performance."""
    events = run.folder.read_events()[0]
    takes = [event for event in events if isinstance(event, TakeRecorded) and event.stage == stage]
    return next((take for take in takes if take.phase == PHASE), None)
