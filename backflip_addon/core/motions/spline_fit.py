# SPDX-License-Identifier: GPL-3.0-or-later
"""The smallest and smoothest spline that keeps to bounds, as well as it can."""

from __future__ import annotations

import dataclasses

import numpy as np

from ..arrays import Array, IntArray
from ..batched_linalg import BandedMatrix

NEWTON_STEPS = 8
GAIN = 3e-3  # share of the cost that a step of Newton's must take off to be followed by another
SMALLEST_STEP = 0.1  # of Newton's step
REACH = 4  # control points that a point of a cubic spline depends on
_TINY = 1e-6  # keeps a control point that nothing depends on from being undetermined


@dataclasses.dataclass(frozen=True)
class Basis:
    """A cubic spline at T times: the first of the control points (T,) of each, and the weights (T, 4) of its value,
    its rate and its second derivative."""

    first: IntArray
    orders: tuple[Array, Array, Array]

    def at(self, times: IntArray) -> Basis:
        """Of some of the times."""
        value, rate, bend = self.orders
        return Basis(self.first[times], (value[times], rate[times], bend[times]))

    def of(self, controls: Array, order: int = 0) -> Array:
        """The spline's value or derivative (T, K) at control points (N, K)."""
        gathered = controls[self.first[:, None] + np.arange(REACH)]
        values: Array = np.einsum("tc,tck->tk", self.orders[order], gathered)
        return values


class Spline:
    """A uniform cubic spline over so many seconds, with a knot about every knot seconds; controls: how many points
    control it."""

    def __init__(self, seconds: float, knot: float) -> None:
        self.intervals = max(round(seconds / knot), REACH)
        self.controls = self.intervals + REACH - 1
        self._width = seconds / self.intervals

    def basis(self, times: Array) -> Basis:
        """At times (T,), s; before its start and past its end it goes on as there."""
        first = np.clip((times / self._width).astype(int), 0, self.intervals - 1)
        u = times / self._width - first
        value = np.stack([(1 - u) ** 3, 3 * u**3 - 6 * u**2 + 4, -3 * u**3 + 3 * u**2 + 3 * u + 1, u**3], axis=1) / 6
        rate = np.stack([-((1 - u) ** 2), 3 * u**2 - 4 * u, -3 * u**2 + 2 * u + 1, u**2], axis=1) / 2
        bend = np.stack([1 - u, 3 * u - 2, 1 - 3 * u, u], axis=1)
        return Basis(first, (value, rate / self._width, bend / self._width**2))


@dataclasses.dataclass(frozen=True)
class Bounds:
    """Quantities (T, R) that should lie between low and high (T, R), each in units of what it may miss them by.

    slopes (T, R, 3, K): by the spline's value, rate and second derivative. tolerant (R,): how far past its bounds a
    quantity costs the square of that; from there on it costs evenly more, so that what can't be mended pulls no harder.
    """

    value: Array
    slopes: Array
    low: Array
    high: Array
    tolerant: Array

    @staticmethod
    def joined(parts: list[Bounds]) -> Bounds:
        """All of the parts' quantities."""
        value, low, high = (
            np.concatenate([getattr(part, name) for part in parts], axis=1) for name in ("value", "low", "high")
        )
        slopes = np.concatenate([part.slopes for part in parts], axis=1)
        return Bounds(value, slopes, low, high, np.concatenate([part.tolerant for part in parts]))

    def excess(self, value: Array) -> Array:
        """How far quantities (T, R) are past their bounds (T, R), signed."""
        over: Array = value - np.clip(value, self.low, self.high)
        return over

    def cost(self, value: Array) -> float:
        """Of quantities (T, R), see tolerant (Huber 1964)."""
        over = np.abs(self.excess(value))
        return float(np.where(over <= self.tolerant, over**2, self.tolerant * (2 * over - self.tolerant)).sum() / 2)


@dataclasses.dataclass(frozen=True)
class Tie:
    """At one time (a Basis of one) a map (M, K) of the spline's value (order 0) or rate (1) should be goal (M,);
    weight (M,): of the squares of what they miss it by."""

    basis: Basis
    order: int
    map: Array
    goal: Array
    weight: Array


@dataclasses.dataclass(frozen=True)
class Fit:
    """What a spline of count control points is fitted to, at the times of basis.

    near (T, K), even (K,): weights of the squares of its values and of its second derivatives.
    """

    basis: Basis
    count: int
    near: Array
    even: Array

    def cost(self, controls: Array) -> float:
        """Of control points (N, K) for being far from zero and uneven."""
        return float(np.sum(self.near * self.basis.of(controls) ** 2 + self.even * self.basis.of(controls, 2) ** 2)) / 2

    def solve(self, bounds: Bounds | None, ties: list[Tie], start: Array) -> Array:
        """Control points (N, K) of least cost: by Newton's method from start (N, K), where bounds' values are.

        The cost is convex and its slope piecewise linear, so that a few steps end at its least.
        """
        close = self._closeness()
        if bounds is None:
            return self._step(close, np.zeros((len(close), close.shape[1])), ties)
        times, rows = bounds.value.shape
        maps = sum(b[:, None, :, None] * bounds.slopes[:, :, None, o] for o, b in enumerate(self.basis.orders))
        maps = np.asarray(maps).reshape(times, rows, -1)
        gather = self.basis.first[:, None] + np.arange(REACH)
        rest = bounds.value - np.einsum("tri,ti->tr", maps, start[gather].reshape(times, -1))

        def quantities(controls: Array) -> Array:
            values: Array = rest + np.einsum("tri,ti->tr", maps, controls[gather].reshape(times, -1))
            return values

        controls, cost, excess = start, np.inf, bounds.excess(bounds.value)
        for _ in range(NEWTON_STEPS):
            weight = np.minimum(1.0, bounds.tolerant / np.maximum(np.abs(excess), 1e-9)) * (excess != 0)
            weighted = maps * weight[..., None]
            goal = np.where(excess > 0, bounds.high, np.where(excess < 0, bounds.low, 0.0)) - np.where(
                excess, rest, 0.0
            )
            right = np.einsum("tri,tr->ti", weighted, goal)
            new = self._step(close + np.swapaxes(weighted, 1, 2) @ maps, right, ties)
            size, before = 1.0, cost
            while size > SMALLEST_STEP:
                tried = controls + size * (new - controls)
                values = quantities(tried)
                cost = self.cost(tried) + bounds.cost(values)
                if cost < before:
                    break
                size /= 2
            if cost >= before:
                break
            controls, excess = tried, bounds.excess(values)
            if before - cost < GAIN * cost:
                break
        return controls

    def _closeness(self) -> Array:
        """What near and even weigh (T, 4 K, 4 K), by pairs of a time's control points' numbers."""
        value, _, bend = self.basis.orders
        times, width = self.near.shape
        pairs = np.zeros((times, REACH, width, REACH, width))
        own = np.arange(width)
        pairs[:, :, own, :, own] = np.einsum("ta,tb,tk->ktab", value, value, self.near) + np.einsum(
            "ta,tb,k->ktab", bend, bend, self.even
        )
        return pairs.reshape(times, REACH * width, REACH * width)

    def _step(self, grams: Array, right: Array, ties: list[Tie]) -> Array:
        """The least of a quadratic cost: per time its second derivatives (T, 4 K, 4 K) and slope (T, 4 K), and ties."""
        width = self.near.shape[1]
        matrix = BandedMatrix(self.count * width, REACH * width - 1, width)
        starts, at = np.unique(self.basis.first, return_index=True)
        matrix.add_blocks(starts * width, np.add.reduceat(grams, at, axis=0))
        matrix.add_to_diagonal(np.full(self.count * width, _TINY))
        total = np.zeros((self.count, width))
        np.add.at(total, self.basis.first[:, None] + np.arange(REACH), right.reshape(-1, REACH, width))
        for tie in ties:
            row, first = tie.basis.orders[tie.order][0], int(tie.basis.first[0])
            weighted = tie.map.T * tie.weight
            block = np.asarray(np.kron(np.outer(row, row), weighted @ tie.map), dtype=float)
            matrix.add_blocks(np.array([first * width]), block[None])
            total[first : first + REACH] += row[:, None] * (weighted @ tie.goal)
        return matrix.solve(total.ravel()).reshape(-1, width)
