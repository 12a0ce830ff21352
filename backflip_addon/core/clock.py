# SPDX-License-Identifier: GPL-3.0-or-later
"""A clock for work: it stands still while the computer sleeps. Standard library alone."""

from __future__ import annotations

import sys
import time

TICKS_A_SECOND = 10_000_000  # of Windows' interrupt time


def awake_seconds() -> float:
    """Seconds that the computer was awake, from any point in time.

    On Linux (CLOCK_MONOTONIC) and macOS (mach_absolute_time) Python's monotonic clock stands still in sleep; on Windows
    it goes on, and a night's sleep would end a training. QueryUnbiasedInterruptTime "does not include time the system
    spends in sleep or hibernation" (Microsoft).
    """
    if sys.platform == "win32":
        import ctypes

        ticks = ctypes.c_ulonglong()
        if ctypes.windll.kernel32.QueryUnbiasedInterruptTime(ctypes.byref(ticks)):
            return ticks.value / TICKS_A_SECOND
    return time.monotonic()
