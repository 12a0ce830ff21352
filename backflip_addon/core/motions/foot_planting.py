# SPDX-License-Identifier: GPL-3.0-or-later
"""Feet that stay planted where the source's are.

A body of other proportions than the source's slides a little over its planted feet. The slide is
taken out by moving the whole body along (limbs keep their directions); the little that is then left
between two planted feet is taken up by the legs, within a few degrees.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from .. import rotations
from ..arrays import Array, BoolArray
from ..body import Body
from ..motion import Motion
from .limb_reach import SIDES, Limb

_STILL = 0.25  # leg lengths a second: a foot slower than this may be planted
_LOW = 0.06  # leg lengths above the foot's usual lowest height
_SHORTEST = 0.06  # s: a shorter touch is none, a shorter gap is none
_BLEND = 0.15  # s in which a leg's correction comes and goes
_SMOOTHING = 0.03  # s
_MOST_BEND = np.radians(2.6)  # the legs' directions are kept to this
_FASTEST_SLIP = 1.5  # m/s
_QUIET = 0.01  # leg lengths a second: joints slower than this are equally still
_BALL = 0.7  # where the ball of the foot lies, from heel to tip
_DEEPEST = 0.05  # m: what sinks in deeper is meant, or wrong in a way that raising would not mend
_LEVEL_TILT = np.radians(40)  # a mean tilt above this is a pose, not a crooked rest pose


def planted(ankle: Array, toe: Array, leg: float, rate: float) -> BoolArray:
    """Frames (F,) in which a foot with these joints (F, 3) rests on the floor.

    leg: hip to ankle in the joints' unit. rate: frames/s.
    """
    resting = np.zeros(len(ankle), dtype=bool)
    for joint in (ankle, toe):
        floor = np.quantile(joint[:, 2], 0.05)
        resting |= (joint[:, 2] < floor + _LOW * leg) & (_speed(joint, rate) < _STILL * leg)
    fewest = max(int(round(_SHORTEST * rate)), 1)
    return _without_short(~_without_short(~resting, fewest), fewest + 1)


def holds(ankle: Array, toe: Array, leg: float, rate: float) -> Array:
    """How much (F, 2) a planted foot turns about its ankle and about its ball: about the stiller of the two."""
    speeds = np.stack([_speed(joint * [1.0, 1.0, 0.0], rate) for joint in (ankle, toe)], axis=1) / leg
    weights = (speeds**2 + _QUIET**2) ** -8.0
    shares: Array = weights / weights.sum(axis=1, keepdims=True)
    return shares


def _speed(points: Array, rate: float) -> Array:
    """Speed (F,) over a thirtieth of a second, before each frame or after it, whichever is less."""
    span = min(max(int(round(rate / 30)), 1), len(points) - 1)
    if span < 1:
        return np.zeros(len(points))
    steps = np.linalg.norm(points[span:] - points[:-span], axis=1) * rate / span
    after = np.concatenate([steps, np.full(span, np.inf)])
    before = np.concatenate([np.full(span, np.inf), steps])
    # in a clip shorter than two spans the middle has neither
    return np.where(np.isfinite(np.minimum(after, before)), np.minimum(after, before), steps.mean())


def _without_short(mask: BoolArray, fewest: int) -> BoolArray:
    """The mask without runs of fewer frames."""
    kept = mask.copy()
    for start, end in runs(mask):
        if end - start < fewest:
            kept[start:end] = False
    return kept


def runs(mask: BoolArray) -> list[tuple[int, int]]:
    """First frame and the frame after the last of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(int)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def level(orientations: Array, ankle: Array, resting: BoolArray) -> Array:
    """Foot orientations (F, 4) corrected by a constant so that the resting foot's sole is level.

    For sources without a mesh, whose rest pose does not tell where the sole is. ankle (F, 3).
    """
    if resting.sum() < 5:
        return orientations
    # the flattest moments are those in which the ankle is lowest
    low = resting & (ankle[:, 2] <= np.quantile(ankle[resting, 2], 0.5))
    upward = rotations.rotate(rotations.conjugate(orientations[low]), np.array([0.0, 0.0, 1.0]))
    mean = upward.mean(axis=0)
    steady = np.linalg.norm(mean)
    tilt = np.arccos(np.clip(mean[2] / max(steady, 1e-9), -1.0, 1.0))
    if steady < 0.95 or tilt > _LEVEL_TILT:
        return orientations
    return rotations.multiply(orientations, rotations.between_vectors([0.0, 0.0, 1.0], mean))


def plant(motion: Motion, body: Body, resting: BoolArray, held: Array | None = None) -> Motion:
    """The motion with its resting feet (F, 2: left, right) held still on the floor.

    held (F, 2: left, right, 2): see holds(); without it a foot is held by that of its heel and its tip
    that carries it.
    """
    if not resting.any() or motion.frames < 3:
        return motion
    shift = _root_shift(motion, body, resting, held)
    motion = dataclasses.replace(motion, position=motion.position + shift)
    positions, orientations = body.forward(motion.position, motion.rotations)
    world = orientations.copy()
    for i, side in enumerate(SIDES):
        hold = None if held is None else held[:, i]
        correction = _foot_correction(motion, body, positions, orientations, resting[:, i], side, hold)
        _bend_leg(body, positions, world, correction, side)
    return _raised(dataclasses.replace(motion, rotations=body.local_rotations(world)), body)


def _raised(motion: Motion, body: Body) -> Motion:
    """The motion raised where it still sinks into the floor, by no more than _DEEPEST."""
    lowest = body.lowest_points(*body.forward(motion.position, motion.rotations)).min(axis=1)
    depth = np.clip(-lowest - 0.002, 0.0, _DEEPEST)
    reach = int(np.ceil(3 * _SMOOTHING * motion.rate))
    padded = np.pad(depth, reach, mode="edge")
    # the greatest depth around each frame first: then smoothing leaves nothing in the floor
    widest = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).max(axis=1)
    lift = np.zeros((motion.frames, 3))
    lift[:, 2] = _smooth(widest[:, None], motion.rate)[:, 0]
    return dataclasses.replace(motion, position=motion.position + lift)


def sole_points(body: Body, positions: Array, orientations: Array, side: str) -> tuple[Array, Array]:
    """Heel and toe of the sole (F, 2, 3), world, and how much each carries (F, 2)."""
    index = body.index(f"foot.{side}")
    box = next((shape for shape in body.links[index].shapes if shape.kind == "box"), None)
    if box is None:
        points = positions[:, None, index].repeat(2, axis=1)
    else:
        _, length, height = box.size
        corners = np.array(box.position) + [[0.0, length, -height], [0.0, -length, -height]]
        points = positions[:, None, index] + rotations.rotate(orientations[:, None, index], corners)
    above = points[..., 2] - points[..., 2].min(axis=1, keepdims=True)
    weights = np.exp(-above / 0.01)
    return points, weights / weights.sum(axis=1, keepdims=True)


def _held_points(
    body: Body, positions: Array, orientations: Array, side: str, hold: Array | None
) -> tuple[Array, Array]:
    """Points (F, 2, 3) of a foot, world, and how much it is held by each (F, 2)."""
    if hold is None:
        return sole_points(body, positions, orientations, side)
    index = body.index(f"foot.{side}")
    link = body.links[index]
    box = next((shape for shape in link.shapes if shape.kind == "box"), None)
    ball = np.array(link.ball or (0.0, 0.0, 0.0))
    if link.ball is None and box is not None:
        ball[1:] = box.position[1] + (1 - 2 * _BALL) * box.size[1], box.position[2] - 0.6 * box.size[2]
    points = positions[:, None, index] + rotations.rotate(orientations[:, None, index], np.stack([np.zeros(3), ball]))
    return points, hold


def _slips(points: Array, weights: Array, resting: BoolArray, rate: float) -> tuple[Array, BoolArray]:
    """Level way (F-1, 2) the sole slips from each frame to the next, and where it rests in both."""
    way = np.einsum("fp,fpk->fk", (weights[1:] + weights[:-1]) / 2, np.diff(points, axis=0))[:, :2]
    # a leap, such as from a T-pose in front of the clip, is no slip
    both = resting[1:] & resting[:-1] & (np.linalg.norm(way, axis=1) * rate < _FASTEST_SLIP)
    return np.where(both[:, None], way, 0.0), both


def _root_shift(motion: Motion, body: Body, resting: BoolArray, held: Array | None) -> Array:
    """How far (F, 3) to move the body so that its resting feet neither slip nor hover."""
    positions, orientations = body.forward(motion.position, motion.rotations)
    total, count = np.zeros((motion.frames - 1, 2)), np.zeros(motion.frames - 1)
    height = np.full(motion.frames, np.inf)
    for i, side in enumerate(SIDES):
        points, weights = _held_points(body, positions, orientations, side, None if held is None else held[:, i])
        way, both = _slips(points, weights, resting[:, i], motion.rate)
        total += way
        count += both
        low = body.lowest_points(positions, orientations)[:, body.index(f"foot.{side}")]
        height = np.where(resting[:, i], np.minimum(height, low), height)
    step = -total / np.maximum(count, 1)[:, None]
    step = _smooth(step, motion.rate)
    shift = np.zeros((motion.frames, 3))
    shift[1:, :2] = np.cumsum(step, axis=0)
    shift[:, 2] = _lift(height, body.lowest_points(positions, orientations).min(axis=1), motion.rate)
    return shift


def _lift(height: Array, lowest: Array, rate: float) -> Array:
    """How far (F,) to raise the body: resting feet come to the floor, and nothing sinks into it in between.

    height (F,): of the lower resting foot, inf where none rests. lowest (F,): of the body's lowest point.
    """
    frames = np.arange(len(height))
    lift = np.zeros(len(height))
    for _ in range(3):  # what the last interpolation sank is held from then on
        known = np.isfinite(height)
        lift = np.interp(frames, frames[known], -height[known])
        sunk = lowest + lift < -0.002
        height = np.where(sunk & ~known, lowest, height)
    return _smooth(lift[:, None], rate)[:, 0]


def _smooth(values: Array, rate: float) -> Array:
    """Values (F, k) under a Gaussian of _SMOOTHING seconds."""
    sigma = _SMOOTHING * rate
    reach = int(np.ceil(3 * sigma))
    if reach < 1 or len(values) < 2:
        return values
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    padded = np.concatenate([values[:1].repeat(reach, 0), values, values[-1:].repeat(reach, 0)])
    return np.stack([np.convolve(padded[:, k], kernel, "valid") for k in range(values.shape[1])], axis=1)


def _foot_correction(
    motion: Motion,
    body: Body,
    positions: Array,
    orientations: Array,
    resting: BoolArray,
    side: str,
    hold: Array | None,
) -> Array:
    """How far (F, 3) to move one ankle so that its resting foot stays put on the floor."""
    points, weights = _held_points(body, positions, orientations, side, hold)
    way, _ = _slips(points, weights, resting, motion.rate)
    low = body.lowest_points(positions, orientations)[:, body.index(f"foot.{side}")]
    correction = np.zeros((motion.frames, 3))
    spans = runs(resting)
    for start, end in spans:
        slid = np.concatenate([np.zeros((1, 2)), np.cumsum(way[start : end - 1], axis=0)])
        correction[start:end, :2] = slid.mean(axis=0) - slid
        correction[start:end, 2] = -low[start:end]
    blend = max(int(round(_BLEND * motion.rate)), 1)
    edges = [(0, 0), *spans, (motion.frames, motion.frames)]
    for (_, left), (right, _) in zip(edges[:-1], edges[1:], strict=True):
        gap = right - left
        if gap <= 0:
            continue
        length = min(blend, gap + 1)
        t = np.arange(1, gap + 1)
        before = correction[left - 1] if left > 0 else np.zeros(3)
        after = correction[right] if right < motion.frames else np.zeros(3)
        fade = ease(1 - t / length)[:, None]
        rise = ease(1 - (gap + 1 - t) / length)[:, None]
        correction[left:right] = before * fade + after * rise
    # a foot on its way must not pass through the floor; deeper ones are the clip's own business
    sunk = np.clip(-low, 0.0, _DEEPEST)
    correction[:, 2] = np.where(resting, correction[:, 2], np.maximum(correction[:, 2], sunk))
    return correction


def ease(t: Array) -> Array:
    """From 0 to 1 as t does, with no speed at either end."""
    t = np.clip(t, 0.0, 1.0)
    return t * t * (3 - 2 * t)


def _bend_leg(body: Body, positions: Array, world: Array, correction: Array, side: str) -> None:
    """Move an ankle by correction (F, 3), or as far that way as the leg's directions may change.

    world (F, L, 4) gets the leg's new orientations; the foot keeps its own.
    """
    thigh, shin = world[:, body.index(f"thigh.{side}")], world[:, body.index(f"shin.{side}")]
    level = correction * [1.0, 1.0, 0.0]
    # a foot that slides is seen before one that hovers: the level part comes first
    aside = level * _fitting_part(body, positions, thigh, shin, np.zeros_like(level), level, side)[:, None]
    way = (
        aside
        + (correction - level) * _fitting_part(body, positions, thigh, shin, aside, correction - level, side)[:, None]
    )
    upper, lower = _reaching(body, positions, thigh, shin, way, side)
    kept = (np.linalg.norm(way, axis=1) > 1e-9)[:, None]
    world[:, body.index(f"thigh.{side}")] = np.where(kept, upper, thigh)
    world[:, body.index(f"shin.{side}")] = np.where(kept, lower, shin)


def _fitting_part(
    body: Body, positions: Array, thigh: Array, shin: Array, start: Array, way: Array, side: str
) -> Array:
    """The largest part (F,), up to 1, of a way (F, 3) on from start (F, 3) that hardly turns the leg."""
    least, most = np.zeros(len(way)), (np.linalg.norm(way, axis=1) > 1e-6).astype(float)
    part = most
    for _ in range(7):  # bisection; the first round tries all of it
        upper, lower = _reaching(body, positions, thigh, shin, start + way * part[:, None], side)
        fits = np.maximum(_turn_of_down(thigh, upper), _turn_of_down(shin, lower)) <= _MOST_BEND
        most = np.where(fits, most, part)
        least = np.where(fits, part, least)
        part = (least + most) / 2
    return least


def _reaching(
    body: Body, positions: Array, thigh: Array, shin: Array, correction: Array, side: str
) -> tuple[Array, Array]:
    """Orientations (F, 4) of thigh and shin that move the ankle by correction (F, 3), in the leg's own plane."""
    leg = Limb.leg(body, side)
    away = positions[:, leg.end] + correction - positions[:, leg.upper]
    return leg.reaching(body, thigh, shin, away)


def _turn_of_down(a: Array, b: Array) -> Array:
    """Angle (F,) between the limb directions of two orientations (F, 4)."""
    a, b = (rotations.rotate(q, np.array([0.0, 0.0, -1.0])) for q in (a, b))
    angle: Array = np.arctan2(np.linalg.norm(np.cross(a, b), axis=-1), np.sum(a * b, axis=-1))
    return angle
