# SPDX-License-Identifier: GPL-3.0-or-later
"""How many bodies the compiled physics takes side by side."""

from __future__ import annotations

import os

MOST_LANES = 16  # on any machine


def lane_count(processors: int) -> int:
    """Bodies in a vector on a machine of so many processors.

    8 are 256 bits, which every x86-64 since 2013 has (two vectors where there are 128, arm64). 16 are two of these,
    whose steps don't wait for one another: a third more for each core. But a window's 32 candidates are then
    two groups, work for two cores and no more.
    """
    return MOST_LANES if processors <= 2 else MOST_LANES // 2


# Of the machine, not of the processors that a process may use: what is compiled for one is used by all
LANES = lane_count(os.cpu_count() or 1)
