# SPDX-License-Identifier: GPL-3.0-or-later
"""One search for each of pybullet_data's humanoid3d clips."""

from __future__ import annotations

import common
import humanoid


def main() -> int:
    parser = common.parser(__doc__, clip=False, engine=True)
    parser.add_argument("--clips", nargs="*", help="names or files; all of pybullet_data's by default")
    parser.add_argument("--limit", type=float, default=300.0, help="seconds a clip; searches start anew until then")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    body = common.figure(options)
    names = options.clips or humanoid.clip_names()
    clips = []
    for name in names:
        reference = humanoid.clip(name, body)
        _plan, _take, measures, seconds, steps = common.search(
            body, reference, options.workers, options.seed, options.limit, engine=options.engine
        )
        row = {
            "clip": name,
            "success": measures.success,
            "landed": measures.landed,
            "cleanly": measures.landed_cleanly,
            "seconds": round(seconds, 1),
        }
        row["control_steps"] = steps
        for key in ("g_mpjpe_mm", "worst_error_mm", "slide_cm", "self_penetration_cm", "penetration_cm"):
            row[key] = round(getattr(measures, key), 2)
        clips.append(row)
        common.table(clips[-1:])
    common.table(clips)
    print(f"success on {sum(clip['success'] for clip in clips)} of {len(clips)} on {options.workers} cores")
    common.write(options, {"cores": options.workers, "clips": clips})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
