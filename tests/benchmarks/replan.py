# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes planned from disturbed starts, warm from one nominal plan.

Disturbance: 0.05 rad in every joint, 0.1 m/s and 0.3 rad/s at the root (standard deviations).
"""

from __future__ import annotations

import time

import common
import humanoid
import numpy as np

from backflip_addon.core import metrics
from backflip_addon.trainer.imitation.compiled_rollouts import CompiledRollouts
from backflip_addon.trainer.imitation.disturbances import shaken
from backflip_addon.trainer.imitation.reference_track import Track
from backflip_addon.trainer.planning.mpc import Search
from backflip_addon.trainer.planning.search_settings import replan_settings


def main() -> int:
    parser = common.parser(__doc__, engine=True)
    parser.add_argument("--trials", type=int, default=20)
    options = parser.parse_args()
    body = common.figure(options)
    reference = humanoid.clip(options.clip, body)
    plan, _take, _measures, seconds, _steps = common.search(body, reference, options.workers, 0, engine=options.engine)
    if plan is None:
        print("no nominal plan was found")
        return 1
    print(f"nominal plan after {seconds:.1f} s")
    settings = replan_settings()
    trials = []

    def good(take: object) -> bool:
        return metrics.is_success(metrics.evaluate_take(body, reference, take))

    with CompiledRollouts(Track(body, reference), settings.lost, options.workers) as rollouts:
        for trial in range(options.trials):
            search = Search(rollouts.track, rollouts, settings, seed=trial, engine=options.engine)
            search.start_from(plan)
            start = shaken(search.track.states[0], np.random.default_rng(trial), 0.05, 0.1, 0.3)
            open_loop = good(search.attempt(start=start).final_take())
            began = time.perf_counter()
            measures = metrics.evaluate_take(body, reference, search.perform(start, good=good).final_take())
            seconds = time.perf_counter() - began
            trials.append({"trial": trial, "open_loop": open_loop, "landed": bool(measures.landed)})
            trials[-1] |= {"seconds": round(seconds, 1), "control_steps": search.control_steps}
            common.table(trials[-1:])
    landed = sum(trial["landed"] for trial in trials)
    median = common.median([trial["seconds"] for trial in trials])
    print(f"{options.clip}: {landed} of {len(trials)} landed, median {median:.1f} s on {options.workers} cores")
    print(f"open loop, without replanning: {sum(trial['open_loop'] for trial in trials)}")
    common.write(options, {"cores": options.workers, "trials": len(trials), "landed": landed, "median_seconds": median})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
