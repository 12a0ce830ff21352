# SPDX-License-Identifier: GPL-3.0-or-later
"""What rollouts leave behind, for the policy and for feedback to learn from."""

from __future__ import annotations

import dataclasses

from ...core.arrays import Array, BoolArray, Float32Array, IntArray


@dataclasses.dataclass
class Experience:
    """A batch of rollouts; arrays lead with (T, N).

    terminated: the episode ended for good after this step. truncated: its time was up, and it would
    have gone on; the critic says how. bootstrap_observations (T, N, m): the critic's observations after each step,
    before any restart. steps: the control step of the clip. applied (T, N, width): what the joints'
    targets were turned by, rad, feedback included.

    values, next_values (T, N): what the critic says of each step and of what it led to, where a worker has asked it;
    then bootstrap_observations and applied are empty, (T, N, 0).
    """

    observations: Float32Array
    privileged: Float32Array
    actions: Float32Array
    log_probs: Float32Array
    rewards: Array
    terminated: BoolArray
    truncated: BoolArray
    bootstrap_observations: Float32Array
    steps: IntArray
    applied: Array
    values: Float32Array | None = None
    next_values: Float32Array | None = None
