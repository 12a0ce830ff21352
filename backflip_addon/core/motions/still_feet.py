# SPDX-License-Identifier: GPL-3.0-or-later
"""Feet that stay where they were put down: captured feet glide over the floor, or hover, by centimetres.

A foot that is low is held on the floor in one place, the middle of where its sole glides to, for as long as it is low;
it may roll from heel to toe. Knee and hip follow; where the leg would be too short the heel rises, and what is lacking
then the hips come down. A foot that goes further is left alone: it swings low, or is meant to slide.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from .. import rotations
from ..arrays import Array, BoolArray
from ..body import Body
from ..motion import Motion
from .foot_planting import ease, runs, sole_points
from .limb_reach import SIDES, Limb

LOW = 0.04  # m over the floor: a foot that is lower may bear
DOWN = 0.015  # m: one that is so low bears
FAST = 1.2  # m/s of its sole at a low phase's ends: it is only coming down, or leaves
RISING = 0.3  # m/s up or down: so does that
SLOW = 0.4  # m/s: where a foot goes far while it is low, it bears while it is slower
SHORTEST = 0.08  # s for which a foot bears
FARTHEST = 0.3  # m: a sole that glides further does not bear in one place
BLEND, LIFT = 0.15, 0.06  # s in which a foot comes to its place, and leaves it: along the floor, and up and down
MOST_RAISED = np.radians(25)  # of a heel
STRETCHED = 0.995  # of a leg's length: farther it reaches only where the clip does, or the knee would snap
CLOSE = 0.003  # m over the floor that a foot may stay where its leg is too short: it bends a straight knee by 5 degrees
_UP = np.array([0.0, 0.0, 1.0])


def held(body: Body, motion: Motion, where_put_down: bool = False) -> Motion:
    """The motion with the feet that bear held in place, and the hips no higher than the legs are long for it.

    where_put_down: hold them where they come down, not in the middle of their glide.
    """
    positions, turns = body.forward(motion.position, motion.rotations)
    legs = [Limb.leg(body, side) for side in SIDES]
    corrections = [_correction(body, positions, turns, side, motion.rate, where_put_down) for side in SIDES]
    for leg, side, correction in zip(legs, SIDES, corrections, strict=True):
        _rise_on_toes(body, positions, turns, leg, side, correction, motion.rate)
    lacks = [_lack(body, positions, leg, way) for leg, way in zip(legs, corrections, strict=True)]
    drop = _covering(np.maximum(np.max(lacks, axis=0) - CLOSE, 0.0), motion.rate)[:, None] * _UP
    for leg, correction in zip(legs, corrections, strict=True):
        goal = positions[:, leg.end] - positions[:, leg.upper] + correction + drop
        away = goal * np.minimum(_reach(body, positions, leg) / np.linalg.norm(goal, axis=1), 1.0)[:, None]
        upper, lower = leg.reaching(body, turns[:, leg.upper], turns[:, leg.lower], away)
        moves = (np.linalg.norm(correction, axis=1) > 1e-6) | (drop[:, 2] > 1e-6)
        turns[moves, leg.upper], turns[moves, leg.lower] = upper[moves], lower[moves]
    local = rotations.continuous(body.local_rotations(turns))
    return dataclasses.replace(motion, position=motion.position - drop, rotations=local)


def _rise_on_toes(
    body: Body, positions: Array, turns: Array, leg: Limb, side: str, correction: Array, rate: float
) -> None:
    """Where a leg is too short for its foot to be where it is to be along the floor, raise the heel, the toes in
    place: the foot's orientations, and how far (F, 3) it is to move, are changed. Over the floor, the hips are."""
    lack = _covering(_lack(body, positions, leg, correction * [1.0, 1.0, 0.0]), rate)
    toe = sole_points(body, positions, turns, side)[0][:, 1] - positions[:, leg.end]
    length = np.maximum(np.linalg.norm(toe, axis=1), 1e-9)  # of a foot without toes
    before = np.arcsin(np.clip(toe[:, 2] / length, -1, 1))
    after = np.maximum(np.arcsin(np.clip((toe[:, 2] - lack) / length, -1, 1)), before - MOST_RAISED)
    turns[:, leg.end] = rotations.multiply(
        turns[:, leg.end], rotations.from_rotation_vector((before - after)[:, None] * [1.0, 0.0, 0.0])
    )
    correction += toe - (sole_points(body, positions, turns, side)[0][:, 1] - positions[:, leg.end])


def _correction(body: Body, positions: Array, turns: Array, side: str, rate: float, where_put_down: bool) -> Array:
    """How far (F, 3) a foot is to move."""
    way = _sole_way(body, positions, turns, side)
    low = body.lowest_points(positions, turns, [body.index(f"foot.{side}")])[:, 0]
    return _corrections(way, low, bearing(low, way, rate), rate, where_put_down)


def _lack(body: Body, positions: Array, leg: Limb, correction: Array) -> Array:
    """How far (F,) the hips are too high for a foot to be where it is to be, m."""
    goal = positions[:, leg.end] - positions[:, leg.upper] + correction
    level = np.linalg.norm(goal[:, :2], axis=1)
    above = np.sqrt(np.maximum(_reach(body, positions, leg) ** 2 - level**2, 0.0))
    lack: Array = np.maximum(-goal[:, 2] - above, 0.0)
    return np.where(np.linalg.norm(correction, axis=1) > 1e-6, lack, 0.0)


def _reach(body: Body, positions: Array, leg: Limb) -> Array:
    """How far (F,) a leg may reach, m."""
    own = np.linalg.norm(positions[:, leg.end] - positions[:, leg.upper], axis=1)
    reach: Array = np.maximum(leg.longest(body) * STRETCHED, own)
    return reach


def _covering(heights: Array, rate: float) -> Array:
    """A smooth track (F,) nowhere under heights (F,): their greatest within BLEND, averaged over as much."""
    reach = max(int(round(BLEND / 2 * rate)), 1)
    padded = np.pad(heights, 2 * reach, mode="edge")
    greatest = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).max(axis=1)
    window = np.hanning(2 * reach + 3)[1:-1]
    return np.convolve(greatest, window / window.sum(), mode="valid")


def bearing(low: Array, way: Array, rate: float) -> list[tuple[int, int]]:
    """First frame and the frame after the last of each phase in which a foot bears in one place.

    low (F,): height of its lowest point, m. way (F, 2): where its sole has glided to, m.
    """
    speed = np.linalg.norm(np.gradient(way, 1 / rate, axis=0), axis=1) if len(way) > 1 else np.zeros(len(way))
    phases = []
    rising = np.abs(np.gradient(low, 1 / rate)) if len(low) > 1 else np.zeros(len(low))
    down = ((speed < FAST) & (rising < RISING)) | (low < DOWN)
    down[[0, -1]] = True
    for start, end in runs(low < LOW):
        whole = _trimmed(start, end, down)
        if _glide(way, *whole) <= FARTHEST:
            phases.append(whole)
        else:
            parts = [(start + a, start + b) for a, b in runs(speed[start:end] < SLOW)]
            phases += [part for part in parts if _glide(way, *part) <= FARTHEST]
    return [(start, end) for start, end in phases if end - start >= SHORTEST * rate]


def _trimmed(start: int, end: int, down: BoolArray) -> tuple[int, int]:
    """A phase without the frames at its ends in which a foot isn't down yet, or any more."""
    inside = np.flatnonzero(down[start:end])
    return (start + int(inside[0]), start + int(inside[-1]) + 1) if len(inside) else (start, start)


def _glide(way: Array, start: int, end: int) -> float:
    """How far a sole gets in a phase, m."""
    return float(np.linalg.norm(np.ptp(way[start:end], axis=0))) if end > start else 0.0


def _sole_way(body: Body, positions: Array, turns: Array, side: str) -> Array:
    """Level way (F, 2) of a sole since the first frame, m: of the end that carries it."""
    points, weights = sole_points(body, positions, turns, side)
    steps = np.einsum("fp,fpk->fk", (weights[1:] + weights[:-1]) / 2, np.diff(points, axis=0))[:, :2]
    return np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])


def _corrections(way: Array, low: Array, phases: list[tuple[int, int]], rate: float, where_put_down: bool) -> Array:
    """How far (F, 3) a foot is to move so that it stays where it bears; eased in and out between."""
    correction, known = np.zeros((len(way), 3)), np.zeros(len(way), dtype=bool)
    for start, end in phases:
        middle = (way[start:end].min(axis=0) + way[start:end].max(axis=0)) / 2
        place = way[start] if where_put_down else middle
        correction[start:end, :2], correction[start:end, 2] = place - way[start:end], -low[start:end]
        known[start:end] = True
    blends = np.maximum(np.array([BLEND, BLEND, LIFT]) * rate, 1.0)
    for start, end in runs(~known):
        t = np.arange(1, end - start + 1)[:, None]
        before = correction[start - 1] if start else np.zeros(3)
        after = correction[end] if end < len(way) else np.zeros(3)
        lengths = np.minimum(blends, end - start + 1)
        correction[start:end] = before * ease(1 - t / lengths) + after * ease(1 - (end - start + 1 - t) / lengths)
    return correction
