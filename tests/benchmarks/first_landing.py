# SPDX-License-Identifier: GPL-3.0-or-later
"""Seconds from the start to a take that lands from frame 0, feedback fitted, for several seeds."""

from __future__ import annotations

import common
import humanoid

from backflip_addon.trainer.physics import engines


def main() -> int:
    parser = common.parser(__doc__, engine=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--limit", type=float, default=600.0, help="seconds after which a seed is given up")
    options = parser.parse_args()
    body = common.figure(options)
    reference = humanoid.clip(options.clip, body)
    runs = []
    for seed in range(options.seeds):
        landed = common.landed_steadily(body, reference, options.workers, seed, options.limit, options.engine)
        measures = landed.measures
        runs.append(
            {
                "seed": seed,
                "landed": bool(measures.landed),
                "landed_cleanly": measures.landed_cleanly,
                "success": measures.success,
                "seconds": round(landed.seconds, 1),
                "search_seconds": round(landed.searched, 1),
                "tried": landed.tried,
                "robust_of_20": measures.robust_of_20,
                "control_steps": landed.steps,
                "g_mpjpe_mm": round(measures.g_mpjpe_mm, 1),
                "penetration_cm": round(measures.penetration_cm, 2),
                "hops": measures.hops,
                "steps": measures.steps,
                "slide_cm": round(measures.slide_cm, 1),
                "self_penetration_cm": round(measures.self_penetration_cm, 2),
                "illegal": ",".join(measures.illegal_contacts) or "none",
            }
        )
        common.table(runs[-1:])
    common.table(runs)
    median = common.median([run["seconds"] for run in runs])
    count = sum(run["landed"] for run in runs)
    engine = engines.chosen(options.engine)
    cleanly = sum(run["landed_cleanly"] is True for run in runs)
    print(f"{options.clip}, {engine}: landed {count} of {len(runs)}, {cleanly} of them cleanly")
    print(f"median {median:.1f} s on {options.workers} cores")
    common.write(options, {"cores": options.workers, "engine": engine, "runs": runs, "median_seconds": median})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
