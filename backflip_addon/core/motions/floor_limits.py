# SPDX-License-Identifier: GPL-3.0-or-later
"""What a floor can give a body that stands, lies or hangs on it, and what a motion takes.

A floor presses and does not pull; it grips within its cone of friction; and what it gives acts from within the hull of
what touches it (Vukobratovic and Borovac 2004, "Zero-moment point - thirty five years of its life").
"""

from __future__ import annotations

import dataclasses

import numpy as np

from .. import rotations
from ..arrays import Array, BoolArray, IntArray
from ..body import Body
from ..constants import FRICTION, GRAVITY
from ..convex_hull import hull_corners
from . import inverse_dynamics
from .shifted_body import CHANGES, Poses, ShiftedBody, Slopes, State
from .spline_fit import Bounds

TRUNK = ("pelvis", "chest", "head", "thigh.L", "thigh.R", "upper_arm.L", "upper_arm.R")
LYING_TOUCH = 0.1  # m: as inverse_dynamics.TOUCH, where one of these is so low: which parts bear is seen less well
DOWN = 0.03  # m: a body whose lowest point is lower bears weight
# Body weights that the floor gives a body that is down, and one that has come down from a flight. With less the least
# error is a hop, and what bears little slides
LEAST, LEAST_LANDED = 0.3, 0.7
GRIP = 0.9  # share of the floor's friction that is drawn on
CONE_SIDES = 8  # of the pyramid inside the cone of friction
MIDDLE = 0.3  # of a hull's length and width, about its middle
PATCH = 0.01  # m around a point within which what it bears may act
STRETCHED = 0.995  # of a limb's length: farther it reaches only where the clip does
HOLDS = 0.9  # a limb's end that is held by so much must stay within its reach
# What a quantity may miss its bounds by, at the cost of one: force, body weights; moment about the edge of what
# touches, metres times body weights; reach, m
FORCE, PLACE, REACH = 0.01, 0.01, 0.002
TOLERANT = 3.0  # of PLACE: leaning farther than that costs evenly more


@dataclasses.dataclass(frozen=True)
class Support:
    """What bears a body, per frame (F,), from its poses.

    bears (F,): something is near the floor. down (F,): so near that it must bear. normals (F, E, 2) inward and
    limits (F, E): the edges of the hull of what is near; points p inside have normals . p > limits. 0 where none.
    middles (F, 2): of the hulls. rests (F,): its own centre of mass is to be inside as well. least: body weights that
    what is down gets.
    """

    bears: BoolArray
    down: BoolArray
    normals: Array
    limits: Array
    middles: Array
    rests: BoolArray
    least: float = LEAST

    @staticmethod
    def of(body: Body, poses: Poses) -> Support:
        """Of poses (F, L, ...)."""
        lows = body.lowest_points(poses.positions, poses.orientations)
        lying = lows[:, [body.index(name) for name in TRUNK]].min(axis=1) < LYING_TOUCH
        touch = np.where(lying, LYING_TOUCH, inverse_dynamics.TOUCH)[:, None]
        points, _links, near = inverse_dynamics.contact_points(body, poses.positions, poses.orientations, touch)
        patch = PATCH * np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
        hulls = [hull_corners((p[n, None, :2] + patch).reshape(-1, 2)) for p, n in zip(points, near, strict=True)]
        most = max(1, *(len(hull) for hull in hulls))
        normals, limits = np.zeros((len(hulls), most, 2)), np.full((len(hulls), most), -1.0)
        middles = np.zeros((len(hulls), 2))
        for f in np.flatnonzero(near.any(axis=1)):
            hull = hulls[f]
            edges = np.roll(hull, -1, axis=0) - hull
            inward = rotations.normalise(np.stack([-edges[:, 1], edges[:, 0]], axis=1))
            normals[f, : len(hull)], limits[f, : len(hull)] = inward, np.sum(inward * hull, axis=1)
            middles[f] = (hull.min(axis=0) + hull.max(axis=0)) / 2
        return Support(
            near.any(axis=1), lows.min(axis=1) < DOWN, normals, limits, middles, np.zeros(len(hulls), dtype=bool)
        )

    def at_rest(self, share: Array, moved: float) -> Support:
        """For a body that comes to rest, by a share (F,): over the hulls, and as far as it moved before (0 to 1) over
        their MIDDLE."""
        middle = np.einsum("fex,fx->fe", self.normals, self.middles)
        inward = middle + (self.limits - middle) * (1 - (1 - MIDDLE) * moved * share[:, None])
        limits = np.where(self.normals.any(axis=2), inward, self.limits)
        return dataclasses.replace(self, limits=limits, rests=share >= 1)


@dataclasses.dataclass(frozen=True)
class Reaction:
    """What the world gives a body, at frames (F,): force (F, 3) in body weights, moment (F, 3) about the centre of mass
    (F, 3) in metres times body weights; and slopes (F, 3, 3, 6) of all three by a change, its rate and its second
    derivative."""

    centre: Array
    force: Array
    moment: Array
    centre_slopes: Array
    force_slopes: Array
    moment_slopes: Array

    @staticmethod
    def of(
        centre: Array, momentum: Array, slopes: Slopes | None, frames: IntArray, rate: float, weight: float
    ) -> Reaction:
        """From the centre of mass (F, 3) and the angular momentum (F, 3) of all frames, at some that have neighbours.

        rate: frames/s. weight: the body's, N. Without slopes the reaction's are zero.
        """
        falling = (centre[frames + 1] - 2 * centre[frames] + centre[frames - 1]) * rate**2
        force = falling / GRAVITY + [0.0, 0.0, 1.0]
        moment = (momentum[frames + 1] - momentum[frames - 1]) * (rate / 2 / weight)
        by = np.zeros((3, len(frames), 3, 3, CHANGES))
        if slopes is not None:
            first = np.gradient(slopes.centre, 1 / rate, axis=0)
            second = np.gradient(first, 1 / rate, axis=0)
            by[0, :, :, 0] = slopes.centre[frames]
            by[1] = np.stack([second[frames], 2 * first[frames], slopes.centre[frames]], axis=2) / GRAVITY
            of_value = np.gradient(slopes.momentum, 1 / rate, axis=0)
            of_rate = slopes.momentum + np.gradient(slopes.momentum_rate, 1 / rate, axis=0)
            by[2] = np.stack([of_value[frames], of_rate[frames], slopes.momentum_rate[frames]], axis=2) / weight
        return Reaction(centre[frames], force, moment, *by)

    def about_floor(self) -> tuple[Array, Array]:
        """Centre of pressure times the force's vertical part (F, 2), and its slopes (F, 2, 3, 6)."""
        c, f, n = self.centre, self.force, self.moment
        sign = np.array([-1.0, 1.0])
        place = c[:, :2] * f[:, 2:] - c[:, 2:] * f[:, :2] + sign * n[:, 1::-1]
        dc, df, dn = self.centre_slopes, self.force_slopes, self.moment_slopes
        slopes = _times(f[:, 2:], dc[:, :2]) + _times(c[:, :2], df[:, 2:])
        slopes -= _times(c[:, 2:], df[:, :2]) + _times(f[:, :2], dc[:, 2:])
        return place, slopes + _times(sign[None], dn[:, 1::-1])


def _times(factors: Array, slopes: Array) -> Array:
    """Factors (F, n) times slopes (F, m, 3, 6), n or m broadcast."""
    product: Array = factors[:, :, None, None] * slopes
    return product


def bounds(support: Support, reaction: Reaction) -> Bounds:
    """What the floor can give, as bounds of what is taken from it; free where nothing is near the floor."""
    parts = [_pressing(support, reaction), _gripping(support, reaction), _balancing(support, reaction)]
    return Bounds.joined([*parts, _resting(support, reaction)] if support.rests.any() else parts)


def _pressing(support: Support, reaction: Reaction) -> Bounds:
    least = np.where(support.bears, np.where(support.down, support.least, 0.0), -np.inf)
    return _bounds(reaction.force[:, 2:], reaction.force_slopes[:, 2:], least[:, None], FORCE, np.inf)


def _gripping(support: Support, reaction: Reaction) -> Bounds:
    angles = 2 * np.pi * np.arange(CONE_SIDES) / CONE_SIDES
    inward = np.stack([-np.cos(angles), -np.sin(angles)], axis=1)
    steep = np.full((CONE_SIDES, 1), GRIP * FRICTION * np.cos(np.pi / CONE_SIDES))
    sides = np.concatenate([inward, steep], axis=1)
    value, slopes = reaction.force @ sides.T, np.einsum("sx,fxok->fsok", sides, reaction.force_slopes)
    return _bounds(value, slopes, np.where(support.bears, 0.0, -np.inf)[:, None], FORCE, np.inf)


def _balancing(support: Support, reaction: Reaction) -> Bounds:
    place, by = reaction.about_floor()
    value = np.einsum("fex,fx->fe", support.normals, place) - support.limits * reaction.force[:, 2:]
    slopes = np.einsum("fex,fxok->feok", support.normals, by) - _times(support.limits, reaction.force_slopes[:, 2:])
    edges = support.normals.any(axis=2)
    return _bounds(value, slopes, np.where(edges, 0.0, -np.inf), PLACE, TOLERANT)


def _resting(support: Support, reaction: Reaction) -> Bounds:
    """The centre of mass of what rests is over what bears it."""
    value = np.einsum("fex,fx->fe", support.normals, reaction.centre[:, :2])
    slopes = np.einsum("fex,fxok->feok", support.normals, reaction.centre_slopes[:, :2])
    low = np.where(support.normals.any(axis=2) & support.rests[:, None], support.limits, -np.inf)
    return _bounds(value, slopes, low, PLACE, TOLERANT)


def _bounds(value: Array, slopes: Array, low: Array, unit: float, tolerant: float) -> Bounds:
    low = np.broadcast_to(low, value.shape) / unit
    return Bounds(value / unit, slopes / unit, low, np.full(value.shape, np.inf), np.full(value.shape[1], tolerant))


def reach_bounds(shifted: ShiftedBody, state: State, frames: IntArray) -> Bounds:
    """That at these frames limbs can hold their ends where they are held."""
    value = np.zeros((len(frames), len(shifted.limbs)))
    slopes = np.zeros((len(frames), len(shifted.limbs), 3, CHANGES))
    high = np.full(value.shape, np.inf)
    for i, limb in enumerate(shifted.limbs):
        root = state.poses.positions[frames, limb.upper]
        goal, base = shifted.base.positions[frames, limb.end], shifted.base.positions[frames, limb.upper]
        value[:, i] = np.linalg.norm(root - goal, axis=1)
        away = rotations.normalise(root - goal)
        slopes[:, i, 0] = np.concatenate([away, rotations.cross(root - state.centre[frames], away)], axis=1)
        longest = np.maximum(STRETCHED * limb.longest(shifted.body), np.linalg.norm(base - goal, axis=1))
        high[:, i] = np.where(shifted.held[frames, i] > HOLDS, longest, np.inf)
    none = np.full(value.shape, -np.inf)
    return Bounds(value / REACH, slopes / REACH, none, high / REACH, np.full(value.shape[1], np.inf))
