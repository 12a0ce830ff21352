# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes of three clips from fixed seeds, as hashes: `python -m tests.trainer.same_takes`, with --record to file.

Floating-point sums depend on the instructions that numpy, BLAS and the C library pick for a processor, so a
record holds for the platform facts under which it was made.
"""

from __future__ import annotations

import os

from backflip_addon.trainer.threads import ONE_THREAD

if __name__ == "__main__":  # read when numpy is imported: how threads share a sum changes its last bits
    os.environ.update(ONE_THREAD)

import ctypes
import hashlib
import importlib.metadata
import json
import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np

from backflip_addon.core.clips import deepmimic
from backflip_addon.core.motion import Motion, Take
from backflip_addon.core.motions import retarget
from backflip_addon.trainer.imitation.compiled_rollouts import CompiledRollouts
from backflip_addon.trainer.imitation.reference_track import Track
from backflip_addon.trainer.lane_count import LANES
from backflip_addon.trainer.physics.state import Scene
from backflip_addon.trainer.planning.mpc import Search
from backflip_addon.trainer.planning.search_settings import Refining, SearchSettings
from tests.core import performances

RECORDS = Path(__file__).with_suffix(".json")
COMMAND = "python -m tests.trainer.same_takes --record"
# Clip -> the part that is searched, in s: enough steps for contacts, flight and several windows
CLIPS = {"walk": (0.0, 0.4), "jump": (0.2, 0.6), "backflip": (0.4, 0.8)}
FEW = Refining(samples=8, rounds=2)
SETTINGS = SearchSettings(horizon=6, refining=FEW, grounded=FEW, caught=FEW, first_rounds=2)
SEED = 3
HOLD = 0.1  # s that the last pose is held
BODY = performances.body()


def clip(name: str) -> Motion:
    import pybullet_data

    file = Path(pybullet_data.getDataPath()) / "data" / "motions" / f"humanoid3d_{name}.txt"
    motion, leg = deepmimic.load(file)
    return retarget.adapt(motion, leg, BODY).trimmed(*CLIPS[name])


def digest(take: Take) -> str:
    """SHA-256 of every number of a take."""
    parts = (take.motion.position, take.motion.rotations, take.contacts, take.torque, take.assist)
    return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()


def searched(rollouts: CompiledRollouts) -> str:
    search = Search(rollouts.track, rollouts, SETTINGS, Scene(), SEED)
    return digest(search.perform().take())


def takes(name: str) -> dict[str, str]:
    """How a clip's take was made -> its hash: twice by the same two threads, then by one."""
    track = Track(BODY, clip(name), HOLD)
    with CompiledRollouts(track, SETTINGS.lost, 2) as rollouts:
        hashes = {"two threads": searched(rollouts), "again": searched(rollouts)}
    with CompiledRollouts(track, SETTINGS.lost, 1) as rollouts:
        return {**hashes, "one thread": searched(rollouts)}


def facts() -> dict[str, Any]:
    """What decides the last bits of a sum on this machine."""
    core = getattr(np, "_core", None) or np.core
    return {
        "numpy": np.__version__,
        "pybullet": importlib.metadata.version("pybullet"),
        "system": platform.system(),
        "machine": platform.machine(),
        "libc": " ".join(platform.libc_ver()),
        "blas": _blas_kernels(),
        "lanes": LANES,
        "cpu": sorted(name for name, has in core._multiarray_umath.__cpu_features__.items() if has),
    }


def _blas_kernels() -> str:
    """The processor for which the OpenBLAS inside numpy's wheel has chosen its kernels, or "unknown"."""
    package = Path(np.__file__).parent
    for library in sorted([*package.parent.glob("numpy.libs/*openblas*"), *package.glob(".dylibs/*openblas*")]):
        loaded = ctypes.CDLL(str(library))
        for name in ("openblas_get_corename64_", "scipy_openblas_get_corename64_", "openblas_get_corename"):
            if hasattr(loaded, name):
                corename = getattr(loaded, name)
                corename.restype = ctypes.c_char_p
                return str(corename().decode())
    return "unknown"


def records() -> list[dict[str, Any]]:
    return json.loads(RECORDS.read_text(encoding="utf-8")) if RECORDS.exists() else []


def recorded_anew(known: list[dict[str, Any]], recorded: dict[str, Any]) -> list[dict[str, Any]]:
    """The records with a new one. Where this machine's takes were others before, so were those of the other machines:
    their records would call takes wrong that nobody has made yet."""
    before = [record for record in known if record["facts"] == recorded["facts"]]
    changed = any(record["takes"] != recorded["takes"] for record in before)
    return [recorded] if changed else [*(record for record in known if record not in before), recorded]


def main() -> None:
    made = {"facts": facts(), "takes": {name: takes(name) for name in CLIPS}}
    if sys.argv[1:] == ["--record"]:
        recorded = {"facts": made["facts"], "takes": {name: one["two threads"] for name, one in made["takes"].items()}}
        RECORDS.write_text(json.dumps(recorded_anew(records(), recorded), indent=1) + "\n", encoding="utf-8")
    print("TAKES", json.dumps(made))


if __name__ == "__main__":
    main()
