# SPDX-License-Identifier: GPL-3.0-or-later
"""The measures of truth (core.metrics): of searched backflips and other clips, beside the clip itself and DeepMimic's
published policy.

Feedback is fitted to plans of clips that end standing, as Get One Landing does; each plan is performed once more, its
pose held for 3 s longer, and in 20 small disturbances.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import common
import deepmimic
import humanoid
import numpy as np

from backflip_addon.core import metrics
from backflip_addon.core.body import Body
from backflip_addon.core.measures.course import Course
from backflip_addon.core.motion import Motion, Take
from backflip_addon.trainer.imitation import disturbances
from backflip_addon.trainer.imitation.reference_track import Track
from backflip_addon.trainer.physics.engines import EngineName
from backflip_addon.trainer.physics.state import Scene
from backflip_addon.trainer.planning.plan import Plan
from tests.trainer.small_trials import controls, robust_landings

# Name in metrics.Measures, digits that are told
MEASURES = {
    "hops": 0,
    "steps": 0,
    "slip_cm_s": 1,
    "slide_cm": 1,
    "self_penetration_cm": 2,
    "limit_excess_deg": 1,
    "landing_bw": 1,
    "flight_parabola_cm": 2,
    "flight_momentum_change": 4,
    "shake": 2,
}


def main() -> int:
    parser = common.parser(__doc__, engine=True)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--clips", nargs="*", help="further clips, names or files; all of pybullet_data's by default")
    parser.add_argument("--limit", type=float, default=120.0, help="seconds after which a search is given up")
    parser.add_argument(
        "--trials", type=int, default=metrics.TRIALS, help="small disturbances, of plans without feedback"
    )
    options = parser.parse_args()
    body = common.figure(options)
    reference = humanoid.clip(options.clip, body)
    runs = []
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        runs.append({"seed": seed, **_searched(options, body, reference, seed)})
        common.table(runs[-1:])
    names = humanoid.clip_names() if options.clips is None else options.clips
    clips = []
    for name in names:
        clips.append({"clip": name, **_searched(options, body, humanoid.clip(name, body), options.first_seed)})
        common.table(clips[-1:])
    figures = {"cores": options.workers, "runs": runs, "clips": clips}
    itself = metrics.evaluate_take(body, reference, as_take(body, reference))
    figures["reference"] = {**row(itself), "slide_cm": None}  # nobody knows which of a clip's low feet bear
    beside = [{"of": "the clip itself", **figures["reference"]}]
    if deepmimic.has_policy(options.clip) and options.body is None:
        take = deepmimic.perform(options.clip, body, reference.duration)
        figures["deepmimic"] = row(metrics.evaluate_take(body, reference, take))
        beside.append({"of": "DeepMimic's policy", **figures["deepmimic"]})
    for rows in (runs, clips, beside):
        common.table(rows)
    print(f"{options.clip}: clean on {sum(run['landed_cleanly'] is True for run in runs)} of {len(runs)} seeds")
    common.write(options, figures)
    return 0


def _searched(options: Any, body: Body, reference: Motion, seed: int) -> dict[str, Any]:
    """The measures of one search's plan, or of its last try where it found none."""
    landed = common.landed_steadily(body, reference, options.workers, seed, options.limit, options.engine)
    take = landed.take
    if landed.plan is not None and not metrics.ends_standing(body, reference):
        take = performed(body, reference, landed.plan, options.trials, options.engine)
    return {"seconds": round(landed.seconds, 1), **row(metrics.evaluate_take(body, reference, take))}


def performed(body: Body, reference: Motion, plan: Plan, trials: int, engine: EngineName) -> Take:
    """A plan performed from frame 0, which tells whether it goes on to stand, and how many disturbances it bears."""
    track = Track(body, reference)
    perform = controls(track, track.targets(plan.offsets(0, track.steps), 0), engine)
    take = perform(Scene(), track.states[0])
    landings = robust_landings(track, perform, trials=trials)
    return disturbances.with_robustness(take, landings)


def as_take(body: Body, reference: Motion) -> Take:
    """A clip as if it had been performed at its own rate, and held for as long as a take goes on."""
    tail = metrics.tail_seconds(body, reference)
    times = np.arange(reference.frames + int(np.ceil(tail * reference.rate))) / reference.rate
    motion = Motion(reference.rate, *reference.sample(times))
    nothing = np.zeros(motion.frames)
    return Take(motion, Course.of_clip(body, motion).touching, nothing, nothing, {})


def row(measures: metrics.Measures) -> dict[str, Any]:
    """What is told of a take."""
    values = dataclasses.asdict(measures)
    known = {name: values[name] for name in ("landed", "landed_cleanly", "success", "stands_3_s")}
    figures = {name: None if values[name] is None else round(values[name], digits) for name, digits in MEASURES.items()}
    return {**known, **figures, "robust_of_20": measures.robust_of_20}


if __name__ == "__main__":
    raise SystemExit(main())
