# SPDX-License-Identifier: GPL-3.0-or-later
"""The same search with one physics process and with two: draws do not depend on their number."""

from __future__ import annotations

import contextlib
import time

import common
import humanoid
import numpy as np

from backflip_addon.trainer.imitation.compiled_rollouts import CompiledRollouts
from backflip_addon.trainer.imitation.reference_track import Track
from backflip_addon.trainer.physics.state import Scene
from backflip_addon.trainer.planning.mpc import Search
from backflip_addon.trainer.planning.search_settings import SearchSettings


class Enough(Exception):
    """So many rounds are enough for the comparison."""


def main() -> int:
    parser = common.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    body = common.figure(options)
    reference = humanoid.clip(options.clip, body)
    settings = SearchSettings()
    seconds, steps = {}, {}
    for count in (1, 2):
        with CompiledRollouts(Track(body, reference), settings.lost, count) as rollouts:
            rollouts(rollouts.track.states[:1], [Scene()], 0, np.zeros((1, 1, rollouts.track.layout.width)))  # compiled
            search = Search(rollouts.track, rollouts, settings)
            left = options.rounds

            def tell(_fraction: float, _cost: float) -> None:
                nonlocal left
                left -= 1
                if left <= 0:
                    raise Enough

            began = time.perf_counter()
            with contextlib.suppress(Enough):
                search.perform(tell=tell)
            seconds[count], steps[count] = time.perf_counter() - began, search.control_steps
    common.table([{"threads": n, "seconds": seconds[n], "control_steps": steps[n]} for n in seconds])
    print(f"two threads are {seconds[1] / seconds[2]:.2f} times as fast as one")
    common.write(options, {"one": round(seconds[1], 2), "two": round(seconds[2], 2), "control_steps": steps})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
