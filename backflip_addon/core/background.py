# SPDX-License-Identifier: GPL-3.0-or-later
"""How a program is started behind Blender's window: hidden, and at low priority where it works for long. Standard
library alone."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Sequence
from typing import Any

_WINDOWS = os.name == "nt"

# Windows' process creation flags (Microsoft, "Process Creation Flags"); subprocess has them there alone
CREATE_NEW_PROCESS_GROUP = 0x00000200
BELOW_NORMAL_PRIORITY_CLASS = 0x00004000
CREATE_BREAKAWAY_FROM_JOB = 0x01000000
CREATE_NO_WINDOW = 0x08000000

HIDDEN = CREATE_NO_WINDOW if _WINDOWS else 0  # creationflags of whatever a Blender starts: no console shows
NICENESS = 5  # Blender's window comes first


def start(command: Sequence[str], outlives: bool = False, **options: Any) -> subprocess.Popen[bytes]:
    """Start a program hidden, at low priority, in a session (on Windows: process group) of its own.

    outlives: it goes on when Blender has ended. Elsewhere a session does it. On Windows a launcher (Steam, some shells)
    may have put Blender into a job object that ends all its programs with itself: the program leaves it where it may.

    options: of subprocess.Popen. Raises OSError.
    """
    if not _WINDOWS:
        process = subprocess.Popen(command, start_new_session=True, **options)
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, process.pid, max(NICENESS, os.getpriority(os.PRIO_PROCESS, 0)))
        return process
    flags = CREATE_NEW_PROCESS_GROUP | CREATE_NO_WINDOW | BELOW_NORMAL_PRIORITY_CLASS
    if outlives:
        with contextlib.suppress(PermissionError):
            return subprocess.Popen(command, creationflags=flags | CREATE_BREAKAWAY_FROM_JOB, **options)
    return subprocess.Popen(command, creationflags=flags, **options)
