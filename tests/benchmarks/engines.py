# SPDX-License-Identifier: GPL-3.0-or-later
"""PyBullet and the compiled step held against each other: the same plans, open loop from the same start, by both.

Plans are searched for here, by each engine in turn, or read from files (--plans; a job's stages/plan.npz is one). The
reference's own targets, which no search has changed, are performed as well. Paths and energies are compared up to the
touchdown: what follows it hangs on its last millimetre.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import common
import humanoid
import numpy as np

from backflip_addon.core import metrics, rotations
from backflip_addon.core.body import Body
from backflip_addon.core.constants import GRAVITY
from backflip_addon.core.measures.course import Course
from backflip_addon.core.measures.footwork import airborne
from backflip_addon.core.motion import Motion, Take
from backflip_addon.trainer.imitation.compiled_rollouts import CompiledRollouts
from backflip_addon.trainer.imitation.performance import Performance
from backflip_addon.trainer.imitation.reference_track import Track
from backflip_addon.trainer.physics.state import Scene
from backflip_addon.trainer.planning import mpc, search_settings
from backflip_addon.trainer.planning.plan import Plan
from backflip_addon.trainer.runner.plan_files import read_plan

BOTH = ("pybullet", "compiled")
MEASURES = ("landed", "stands_3_s", "slide_cm", "landing_bw", "shake")


def main() -> int:
    parser = common.parser(__doc__)
    parser.add_argument("--seeds", type=int, default=2, help="searches by each engine, one pass each")
    parser.add_argument("--plans", type=Path, nargs="*", default=[], help="files of plans, instead of searches")
    options = parser.parse_args()
    body = common.figure(options)
    reference = humanoid.clip(options.clip, body)
    track = Track(body, reference)
    plans: dict[str, Plan | None] = {"the reference's own": None}
    if options.plans:
        plans |= {file.stem: read_plan(file, track) for file in options.plans}
    else:
        plans |= {
            f"{engine}, seed {seed}": searched(track, options.workers, engine, seed)
            for seed in range(options.seeds)
            for engine in BOTH
        }
    rows = []
    for name, plan in plans.items():
        takes = [performed(track, plan, engine) for engine in BOTH]
        rows.append({"plan": name, **differences(body, *takes), **measured(body, reference, takes)})
        common.table(rows[-1:])
    common.table(rows)
    searched_rows = rows[1:]
    figures = {
        "plans": len(searched_rows),
        "landing_rate": {engine: rate(searched_rows, f"{engine}_landed") for engine in BOTH},
        "standing_rate": {engine: rate(searched_rows, f"{engine}_stands_3_s") for engine in BOTH},
        "same_outcome": rate([{"same": row["same_outcome"]} for row in searched_rows], "same"),
        **{name: common.median([row[name] for row in rows]) for name in ("path_cm", "energy_j", "energy_percent")},
    }
    print(f"{options.clip}: {figures}")
    common.write(options, {"cores": options.workers, **figures, "rows": rows})
    return 0


def searched(track: Track, workers: int, engine: str, seed: int) -> Plan:
    """The plan of one pass of the search, performed in an engine, whether it lands or not."""
    settings = search_settings.SearchSettings()
    with CompiledRollouts(track, settings.lost, workers) as rollouts:
        one = mpc.Search(track, rollouts, settings, seed=seed, engine=engine)
        one.perform(good=lambda take: common.clean(metrics.evaluate_take(track.body, track.reference, take)))
        return one.plan


def performed(track: Track, plan: Plan | None, engine: str) -> Take:
    """A plan, or the reference's own targets, open loop from the reference's first frame, then held for 3 s."""
    offsets = np.zeros((track.steps, track.layout.width)) if plan is None else plan.offsets(0, track.steps)
    performance = Performance(track, Scene(), track.states[0], engine)
    performance.run(track.targets(offsets, 0))
    take = performance.final_take()
    performance.close()
    return take


def differences(body: Body, one: Take, other: Take) -> dict[str, Any]:
    """Until the first touchdown: how far apart the roots come, cm; and the mean difference of the bodies' mechanical
    energies, J and per cent of the greatest that they have over that at the start."""
    frames = min(touchdown(body, one), touchdown(body, other))
    apart = np.linalg.norm(one.motion.position[:frames] - other.motion.position[:frames], axis=1)
    energies = [energy(body, take)[:frames] for take in (one, other)]
    difference = float(np.abs(energies[0] - energies[1]).mean())
    gained = max(float((own - own[0]).max()) for own in energies)
    return {
        "seconds": round(frames / one.motion.rate, 2),
        "path_cm": round(100 * float(apart.max()), 2),
        "energy_j": round(difference, 2),
        "energy_percent": round(100 * difference / max(gained, 1e-9), 2),
    }


def touchdown(body: Body, take: Take) -> int:
    """The frame in which the longest time in the air ends; the last one of a take that never leaves the floor."""
    phases = airborne(Course.of_take(body, take))
    return max(phases, key=lambda phase: phase[1] - phase[0])[1] if phases else take.motion.frames


def energy(body: Body, take: Take) -> np.ndarray:
    """J (F,): of the links' motion, by differences from frame to frame, and of their height."""
    positions, world = body.forward(take.motion.position, take.motion.rotations)
    masses, inertias = (np.array([getattr(link, name) for link in body.links]) for name in ("mass", "inertia"))
    centres = positions + rotations.rotate(world, np.array([link.centre for link in body.links]))
    speeds = np.gradient(centres, axis=0) * take.motion.rate
    turns = rotations.to_rotation_vector(rotations.multiply(rotations.conjugate(world[:-1]), world[1:]))
    spins = np.concatenate([turns[:1], turns]) * take.motion.rate
    kinetic = 0.5 * (masses * (speeds**2).sum(axis=-1) + (inertias * spins**2).sum(axis=-1)).sum(axis=1)
    potential: np.ndarray = GRAVITY * (masses * centres[..., 2]).sum(axis=1)
    return kinetic + potential


def measured(body: Body, reference: Motion, takes: list[Take]) -> dict[str, Any]:
    """The measures of both takes, by engine, and whether the same became of both."""
    row: dict[str, Any] = {}
    outcomes = []
    for engine, take in zip(BOTH, takes, strict=True):
        values = metrics.evaluate_take(body, reference, take).to_json()
        outcomes.append(values["success"] if values["landed"] is None else values["landed"])
        for name in MEASURES:
            value = values[name]
            row[f"{engine}_{name}"] = round(value, 2) if isinstance(value, float) else value
    return {"same_outcome": outcomes[0] == outcomes[1], **row}


def rate(rows: list[dict[str, Any]], name: str) -> float | None:
    """The share of the rows in which something is so; None without a row, or where it isn't known."""
    values = [row[name] for row in rows if row[name] is not None]
    return round(sum(values) / len(values), 3) if values else None


if __name__ == "__main__":
    raise SystemExit(main())
