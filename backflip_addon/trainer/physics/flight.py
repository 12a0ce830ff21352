# SPDX-License-Identifier: GPL-3.0-or-later
"""A body in flight, whose momentum changes by gravity alone, in an engine that knows it by its links.

Why, and the same in the compiled step: compiled/momentum.py.
"""

from __future__ import annotations

import dataclasses
from functools import cached_property

import numpy as np

from ...core import rotations
from ...core.arrays import Array


@dataclasses.dataclass(frozen=True)
class Moving:
    """Links (L) in motion, the root first, world frame: masses (L,), kg; inertias (L, 3), kg m^2, about the axes of
    their own frames; positions (L, 3) of their centres, m; turns (L, 4) as (x, y, z, w); velocity, m/s, and spin,
    rad/s (L, 3)."""

    masses: Array
    inertias: Array
    positions: Array
    turns: Array
    velocity: Array
    spin: Array

    @cached_property
    def centre(self) -> Array:
        """Of mass of all (3,), m."""
        centre: Array = self.masses @ self.positions / self.masses.sum()
        return centre

    @cached_property
    def _arms(self) -> Array:
        """From the centre of mass of all to the links' (L, 3), m."""
        arms: Array = self.positions - self.centre
        return arms

    @cached_property
    def _moments(self) -> Array:
        """The links' inertias (L, 3, 3), world axes."""
        axes = rotations.to_matrix(self.turns[:, [3, 0, 1, 2]])
        moments: Array = (axes * self.inertias[:, None]) @ axes.swapaxes(1, 2)
        return moments

    @property
    def momentum(self) -> Array:
        """Of all (6,): linear, N s, and angular about the centre of mass, N m s."""
        linear = self.masses[:, None] * self.velocity
        angular = np.cross(self._arms, linear) + (self._moments @ self.spin[:, :, None])[..., 0]
        return np.concatenate([linear.sum(axis=0), angular.sum(axis=0)])

    def change_to(self, momentum: Array) -> tuple[Array, Array]:
        """What the root's velocity, m/s, of its centre, and spin, rad/s, are to change by for that momentum (6,), all
        joints moving as they do."""
        missing, arms = momentum - self.momentum, self._arms
        squares = self.masses @ (arms * arms).sum(axis=1)
        whole = self._moments.sum(axis=0) + squares * np.eye(3) - (self.masses[:, None] * arms).T @ arms
        spin = np.linalg.solve(whole, missing[3:])
        return missing[:3] / self.masses.sum() + np.cross(spin, arms[0]), spin
