# SPDX-License-Identifier: GPL-3.0-or-later
"""The two engines that can perform, and which of them does.

What is performed is recorded and judged: a search's performances, the trials of a policy, shots. That is the work of

    "pybullet"  PyBullet (pybullet_batch.py), wherever the trainer's Python has it, or
    "compiled"  the compiled step (compiled/recorded_batch.py), in which candidates and policies are tried anyhow.

Both keep to RewindingSimulator and take the same steps (simulator.py), so that nothing else needs to know which one it
is. A take says it: "engine" in its meta.
"""

from __future__ import annotations

import functools
import logging
from typing import TypeAlias

from ...core.body import Body
from ...jobs.messages import ENGINES, Engine
from .recording import RewindingSimulator

logger = logging.getLogger(__name__)

AUTO: Engine = "auto"  # PyBullet where it is there, else the compiled step
EngineName: TypeAlias = str  # of ENGINES


def chosen(engine: EngineName) -> EngineName:
    """The engine that performs where this one is asked for: "pybullet" or "compiled".

    Raises ValueError with a sentence on one that is not known, or not there.
    """
    if engine not in ENGINES:
        raise ValueError(f"There is no engine called {str(engine)[:40]}; there are {', '.join(ENGINES)}.")
    if engine == "compiled":
        return engine
    why = _why_no_pybullet()
    if not why:
        return "pybullet"
    if engine == "pybullet":
        raise ValueError(
            f'PyBullet was asked for, and the trainer\'s Python does not have it ({why}): choose the engine "auto", '
            "or add it in the preferences."
        )
    return "compiled"


def new_simulator(body: Body, count: int, engine: EngineName = AUTO) -> RewindingSimulator:
    """count bodies in the engine that is asked for; to be closed. Raises ValueError as chosen() does."""
    if chosen(engine) == "pybullet":
        from .pybullet_batch import PyBulletBatch

        return PyBulletBatch(body, count)
    from .compiled.recorded_batch import RecordedBatch

    return RecordedBatch(body, count)


@functools.cache
def _why_no_pybullet() -> str:
    """Why PyBullet can't be imported, "" where it can."""
    try:
        from . import pybullet_batch  # noqa: F401
    except Exception as error:  # what a library that does not fit raises is not told anywhere
        why = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        logger.info("PyBullet is not there (%s): the compiled step performs", why)
        return why
    return ""
