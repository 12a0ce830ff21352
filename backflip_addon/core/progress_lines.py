# SPDX-License-Identifier: GPL-3.0-or-later
"""How a program tells another how far it is: a line of JSON on its output for each step. Standard library alone.

Its other lines (warnings of a library, an error at the end) are nobody's progress and are passed over.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Told:
    """How far a work is. fraction: 0 to 1; seconds_left: an estimate, None where there is none yet."""

    fraction: float
    message: str
    seconds_left: float | None = None

    def to_line(self) -> str:
        return json.dumps({"progress": dataclasses.asdict(self)})

    def in_words(self) -> str:
        """The message, with the time left where it is known."""
        if self.seconds_left is None:
            return self.message
        return f"{self.message}, {max(self.seconds_left, 1.0):.0f} s left"


def last_told(output: str) -> Told | None:
    """What the last whole line says that tells of progress, None where there is none."""
    for line in reversed(output.split("\n")[:-1]):
        if line.startswith('{"progress"'):
            with contextlib.suppress(ValueError, KeyError, TypeError):
                return from_fields(json.loads(line)["progress"])
    return None


def from_fields(fields: Mapping[str, Any]) -> Told:
    """What the fields of a Told say. Raises ValueError, KeyError and TypeError on any others."""
    left = fields["seconds_left"]
    told = Told(float(fields["fraction"]), str(fields["message"]), None if left is None else float(left))
    if not 0.0 <= told.fraction <= 1.0 or not math.isfinite(told.seconds_left or 0.0):
        raise ValueError("no progress")
    return told
