# SPDX-License-Identifier: GPL-3.0-or-later
"""What the benchmarks share: bodies, clips, a search timed from its start, tables, JSON."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from backflip_addon.trainer.threads import ONE_THREAD

os.environ.update(ONE_THREAD)  # as in a trainer; read when numpy is imported

import humanoid

from backflip_addon.core import body as bodies
from backflip_addon.core import metrics
from backflip_addon.core.body import Body
from backflip_addon.core.motion import Motion, Take
from backflip_addon.jobs.messages import ENGINES
from backflip_addon.trainer.imitation.compiled_rollouts import CompiledRollouts
from backflip_addon.trainer.imitation.disturbances import with_robustness
from backflip_addon.trainer.imitation.reference_track import Track
from backflip_addon.trainer.physics import engines
from backflip_addon.trainer.planning import mpc, search_settings
from backflip_addon.trainer.planning.landing import Landing, left_before_landing
from backflip_addon.trainer.planning.plan import Plan
from backflip_addon.trainer.runner.search_phase import HARDER, IMPROVES_FOR, MOST_SAMPLES, RESTS
from backflip_addon.trainer.runner.steady_phase import better
from backflip_addon.trainer.workers import core_count


@dataclasses.dataclass(frozen=True)
class Landed:
    """A take, its measures, and the plan that led to it, None where none lands. seconds: in all; searched: of them
    without the feedback's. tried: landings that feedback was fitted to."""

    take: Take
    measures: metrics.Measures
    plan: Plan | None
    seconds: float
    searched: float
    steps: int
    tried: int


def parser(description: str | None, clip: bool = True, engine: bool = False) -> argparse.ArgumentParser:
    """The options that all benchmarks have; engine: and which engine performs."""
    result = argparse.ArgumentParser(description=description)
    result.add_argument("--json", type=Path, help="write the figures to this file")
    result.add_argument("--workers", type=int, default=core_count(), help="physics processes (all cores)")
    if engine:
        result.add_argument("--engine", choices=ENGINES, default=engines.AUTO, help="what performs")
    result.add_argument("--body", type=Path, help="a job.json whose body is used instead of DeepMimic's humanoid")
    if clip:
        result.add_argument("--clip", default="backflip", help="humanoid3d_<name> of pybullet_data, or a file")
    return result


def figure(options: argparse.Namespace) -> Body:
    """The body to train: DeepMimic's humanoid, or that of a job."""
    if options.body is None:
        return humanoid.humanoid()
    return bodies.from_json(json.loads(options.body.read_text(encoding="utf-8"))["body"])


def clean(measures: metrics.Measures) -> bool:
    """Succeeded without sinking a centimetre into the floor."""
    return metrics.is_success(measures) and measures.penetration_cm < 1.0


def search(
    body: Body,
    reference: Motion,
    workers: int,
    seed: int,
    limit: float = 600.0,
    thorough: bool = False,
    engine: engines.EngineName = engines.AUTO,
    first: int = 0,
) -> tuple[Plan | None, Take, metrics.Measures, float, int]:
    """Search until a take succeeds or the limit's seconds are over.

    thorough: of one that does not settle without flaws other ends are tried, and the best is kept, as a run does that
    steadies its landing. first: so many searches of this seed were made before. Returns the plan (None when it failed),
    the take and its measures, seconds from the start of the search, and control steps.
    """
    settings = search_settings.SearchSettings()
    begin, steps, attempt = time.perf_counter(), 0, 0
    track = Track(body, reference)

    def lands(take: Take) -> bool:
        """Whether a plan that is not finished may end the search, as it may in a run."""
        return clean(metrics.evaluate_take(body, reference, take)) and metrics.unrest(body, take) < RESTS

    best: tuple[Landing, Take, metrics.Measures] | None = None
    with CompiledRollouts(track, settings.lost, workers) as rollouts:
        one = mpc.Search(track, rollouts, settings, seed=seed + 1000 * first, engine=engine)
        while True:
            before = one.control_steps
            take = one.perform(good=lands).final_take()
            measures = metrics.evaluate_take(body, reference, take)
            steps += one.control_steps - before
            seconds = time.perf_counter() - begin
            if clean(measures):
                landing = Landing.of(body, reference, one.plan, take)
                if landing.better_than(best[0] if best else None):
                    best = landing, take, measures
            if best and (not thorough or best[0].enough(one.has_another_end, attempt) or seconds > limit):
                return best[0].plan, *best[1:], seconds, steps
            if seconds > limit:
                return None, take, measures, seconds, steps
            if not clean(measures) and left_before_landing(track, measures):
                one.give_up_ends()
            if one.has_another_end:
                one.try_another_end()
                continue
            attempt += 1
            harder = settings.harder(HARDER**attempt, MOST_SAMPLES)
            one = mpc.Search(track, rollouts, harder, seed=seed + 1000 * (first + attempt), engine=engine)


def steadied(
    body: Body,
    reference: Motion,
    plan: Plan,
    workers: int,
    seed: int,
    engine: engines.EngineName,
    gives_up: bool = False,
) -> tuple[Take, float, int]:
    """What a plan performs once feedback is fitted to it, robustness told; seconds and control steps that it took.

    gives_up: on a plan that no further fit will do for."""
    from backflip_addon.trainer.rl.trainer import PolicyTraining

    begin = time.perf_counter()
    with PolicyTraining(body, reference, workers=workers, seed=seed, plan=plan, engine=engine) as training:
        while training.fitting and not (gives_up and training.falls_short):
            training.iterate()
        take, seconds = training.attempt(seed), time.perf_counter() - begin  # what follows only measures
        told = with_robustness(take, training.small_landings())
        lacking = metrics.evaluate_take(body, reference, told).flaws
        if lacking == ("robust_of_20",) and training.allow_for_weight():
            take, seconds = training.attempt(seed), time.perf_counter() - begin
            told = with_robustness(take, training.small_landings())
        return told, seconds, training.samples


def landed_steadily(
    body: Body, reference: Motion, workers: int, seed: int, limit: float, engine: engines.EngineName
) -> Landed:
    """What a run comes to that steadies its landing: of one that is not clean another is searched for, while half of
    the limit's seconds are left; the best is kept."""
    best, seconds, searched, steps, tried = None, 0.0, 0.0, 0, 0
    while True:
        plan, take, measures, more, count = search(body, reference, workers, seed, limit, True, engine, 10 * tried)
        searched += more
        if plan is not None and metrics.ends_standing(body, reference):
            more_time = seconds + more < IMPROVES_FOR * limit
            take, fitting, samples = steadied(body, reference, plan, workers, seed, engine, more_time)
            measures, more, count = metrics.evaluate_take(body, reference, take), more + fitting, count + samples
        seconds, steps, tried = seconds + more, steps + count, tried + 1
        if best is None or better(vars(measures), vars(best[1])):
            best = take, measures, plan
        if plan is None or best[1].landed_cleanly or seconds > IMPROVES_FOR * limit:
            return Landed(*best, seconds, searched, steps, tried)


def median(values: list[float]) -> float:
    return float(statistics.median(values)) if values else float("nan")


def table(rows: list[dict[str, Any]]) -> None:
    """Print rows of the same keys as a table."""
    if not rows:
        return
    texts = [{key: _text(value) for key, value in row.items()} for row in rows]
    widths = {key: max(len(key), *(len(row[key]) for row in texts)) for key in texts[0]}
    for row in [{key: key for key in widths}, *texts]:
        print("  ".join(row[key].rjust(width) for key, width in widths.items()), flush=True)


def write(options: argparse.Namespace, figures: dict[str, Any]) -> None:
    """Write the figures where --json says."""
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def _text(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)
