# SPDX-License-Identifier: GPL-3.0-or-later
"""Pure DeepMimic learning, without search: samples and minutes to the first landing."""

from __future__ import annotations

import time

import common
import humanoid

from backflip_addon.core import metrics
from backflip_addon.trainer.rl.trainer import PolicyTraining

EVERY = 5  # iterations between attempts


def main() -> int:
    parser = common.parser(__doc__, engine=True)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=60.0, help="give a seed up after so long")
    options = parser.parse_args()
    body = common.figure(options)
    reference = humanoid.clip(options.clip, body)
    runs = []
    for seed in range(options.seeds):
        began, landed, curve = time.perf_counter(), False, []
        with PolicyTraining(body, reference, workers=options.workers, seed=seed, engine=options.engine) as training:
            while not landed and time.perf_counter() - began < options.minutes * 60:
                told = training.iterate()
                if told.iteration % EVERY:
                    continue
                measures = metrics.evaluate_take(body, reference, training.attempt(seed))
                landed = metrics.is_success(measures)
                minutes = (time.perf_counter() - began) / 60
                point = {"samples": told.samples, "minutes": round(minutes, 2), "followed": measures.followed}
                curve.append(point | {"reward": told.mean_return, "survival": told.survival})
                common.table(curve[-1:])
            minutes = round((time.perf_counter() - began) / 60, 2)
            runs.append({"seed": seed, "samples": training.samples, "minutes": minutes, "landed": landed})
        runs[-1]["curve"] = curve
    common.table([{key: run[key] for key in ("seed", "samples", "minutes", "landed")} for run in runs])
    common.write(
        options,
        {
            "cores": options.workers,
            "runs": runs,
            **{
                "samples": common.median([run["samples"] for run in runs]),
                "minutes": common.median([run["minutes"] for run in runs]),
                "landed": all(run["landed"] for run in runs),
            },
        },
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
