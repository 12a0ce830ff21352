# SPDX-License-Identifier: GPL-3.0-or-later
"""How far something is that goes on in the background, and what a failing disk means to a user."""

from __future__ import annotations

import dataclasses
import errno
from pathlib import Path
from typing import Literal

State = Literal["running", "done", "failed", "cancelled"]

DISK_FULL = "The disk is full; free some gigabytes and try again."
# No room, none left of one's share, no file may be as large; Windows' numbers are translated by Python.
_FULL = {getattr(errno, name) for name in ("ENOSPC", "EDQUOT", "EFBIG") if hasattr(errno, name)}


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a work is. fraction: 0..1. message: one sentence or line for the user.

    remark: what the user should know of a work that is done, in a sentence; "" for nothing. step: which of how many
    steps is at work; (0, 0) where there are none.
    """

    state: State
    fraction: float
    message: str
    remark: str = ""
    step: tuple[int, int] = (0, 0)

    def in_words(self) -> str:
        """The message, with the step before it."""
        return f"{self.step[0]} of {self.step[1]}: {self.message}" if self.step[1] else self.message


def error_words(error: OSError, folder: Path) -> str:
    """The sentence for what kept us from working in a folder."""
    if error.errno in _FULL:
        return DISK_FULL
    if isinstance(error, PermissionError) and error.filename2:  # Windows renames nothing that is open
        return f"{folder} is in use or cannot be written; stop the training that uses it and try again."
    return f"{folder} cannot be written: {error.strerror or error}."
