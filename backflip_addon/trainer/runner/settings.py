# SPDX-License-Identifier: GPL-3.0-or-later
"""A job's settings, and what job.json says of the body, checked."""

from __future__ import annotations

import dataclasses
from typing import Any

from ...core import body as bodies
from ...core.body import Body
from ...jobs.folder import JobError
from ..physics.state import FRICTION

MOST_WORKERS = 512
MOST_MINUTES = 10_000_000.0  # 19 years
MOST_FRICTION = 10.0
MOST_SEED = 2**63 - 1  # torch takes no larger one
MODES = ("auto", "search", "scratch")
DAMAGED = "The job's settings are damaged: minutes, seed, workers, friction or mode make no sense."


@dataclasses.dataclass(frozen=True)
class Settings:
    """A job's settings, checked. workers 0: one a core."""

    minutes: float = 10.0
    seed: int = 0
    workers: int = 0
    mode: str = "auto"
    stop_when_landed: bool = False
    friction: float = FRICTION

    @staticmethod
    def of(data: dict[str, Any]) -> Settings:
        """Raises JobError with a sentence on settings that make no sense."""
        known = {field.name for field in dataclasses.fields(Settings)}
        settings = Settings(**{key: value for key, value in data.items() if key in known})
        sound = is_number(settings.minutes, 0, MOST_MINUTES) and settings.minutes > 0
        sound = sound and is_number(settings.friction, 0, MOST_FRICTION)
        sound = sound and is_whole(settings.seed, MOST_SEED) and is_whole(settings.workers, MOST_WORKERS)
        if not sound or settings.mode not in MODES or not isinstance(settings.stop_when_landed, bool):
            raise JobError(DAMAGED)
        return settings


def is_number(value: Any, least: float, most: float) -> bool:
    """Whether value is a number, no mere truth value, from least to most."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value <= most


def is_whole(value: Any, most: int) -> bool:
    """Whether value is a whole number from 0 to most."""
    return isinstance(value, int) and is_number(value, 0, most)


def body_of(data: dict[str, Any]) -> Body:
    """The job's body. Raises JobError with a sentence."""
    try:
        body = bodies.from_json(data)
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        words = str(error) if isinstance(error, ValueError) else f"{type(error).__name__} in its numbers"
        raise JobError(f"The job's body is damaged: {words}.") from error
    if body.names != bodies.LINK_NAMES:
        raise JobError("The job's body is damaged: it has not all the parts of a humanoid.")
    return body
