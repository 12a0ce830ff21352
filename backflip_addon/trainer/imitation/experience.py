# SPDX-License-Identifier: GPL-3.0-or-later
"""What practice leaves behind, for the policy and for feedback to learn from."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass
class Experience:
    """A batch of practice; arrays lead with (T, N).

    failed: the episode ended for good after this step. ended: its time was up, and it would have
    gone on; the critic says how. outcomes (T, N, m): the critic's observations after each step,
    before any restart. steps: the control step of the clip. applied (T, N, width): what the joints'
    targets were turned by, rad, feedback included.
    """

    observations: np.ndarray
    secrets: np.ndarray
    actions: np.ndarray
    likelihoods: np.ndarray
    rewards: np.ndarray
    failed: np.ndarray
    ended: np.ndarray
    outcomes: np.ndarray
    steps: np.ndarray
    applied: np.ndarray
