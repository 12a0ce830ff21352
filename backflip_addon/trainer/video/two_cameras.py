# SPDX-License-Identifier: GPL-3.0-or-later
"""One performance filmed by two cameras at the same time, fitted together.

Each video is fitted by itself first. What lies between the beginnings of both is told, or it is that at which limbs
rise and fall most alike. The turn about the vertical and the shift that bring one motion onto the other say where the
second camera stands to the first. Then motion, person and both cameras are looked for at once, and what is left of the
delay: begun once as the first video has it and once as the second.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch

from ...core import rotations
from ...core.arrays import Array, IntArray
from . import losses, reconstruction
from .figure import INDEX, tensor
from .landmarks import Landmarks
from .losses import Problem, Shown, Unknowns
from .reconstruction import Floor, Outcome, Stage, Told

ITERATIONS = (60, 120, 120)
LEAST_TOGETHER = 0.5  # of the shorter video: so much of it both must show, or a delay is none
FEWEST_TOGETHER = 8  # frames
_NAMES = (*reconstruction.PERSON, "focal", "heading", "spot", "delay")
_LIMBS = [INDEX[f"{part}.{side}"] for part in ("forearm", "hand", "thigh", "shin", "foot") for side in "LR"]


@dataclasses.dataclass(frozen=True)
class Together:
    """outcome: as of the first video alone. delay: by how many seconds the second video began later than the first.
    second: what was seen in it, at the first one's frames. off (F,): how far the motion is from that, m."""

    outcome: Outcome
    delay: float
    second: Landmarks
    off: Array


def reconstruct(
    first: Landmarks,
    second: Landmarks,
    height: float,
    delay: float | None = None,
    told: Told = lambda _share: None,
    iterations: tuple[int, ...] = ITERATIONS,
    floor: Floor | None = None,
    alone: tuple[int, ...] = reconstruction.STAGES,
) -> Together:
    """The motion that both show, of a person of about that height, m. delay: by how many seconds the second video began
    later; None where it is to be found. Raises ValueError where they have too little in common. floor: of the first
    one's picture, where somebody has put it. alone, iterations: of each video by itself, and of both."""
    parts = _Parts(told, (*2 * (sum(alone),), *2 * iterations[:1], *iterations[1:]))
    ones = [_alone(first, height, alone, parts, floor), _alone(second, height, alone, parts)]
    times = [np.arange(len(one.origins)) / one.problem.rate for one in ones]
    if delay is None:
        delay = _delay(ones[0].origins, times[0], ones[1].origins, times[1])
    rows = _both(times[0], times[1], delay)
    if rows.sum() < FEWEST_TOGETHER:
        raise ValueError("the two videos show nothing at the same time")
    turn, shift = _laid_on(ones[0].origins[rows], _at(ones[1].origins, times[1], times[0][rows] - delay))
    begun = [_joined(ones, turn, shift)]
    begun.append(_as_the_other_moves(begun[0], ones[1], np.flatnonzero(rows), delay, turn, shift))
    tried = [_go_on(*one, second, delay, iterations[0], parts) for one in begun]
    _cost, problem, unknowns, pose, delay = min(tried, key=lambda one: one[0])
    for count in iterations[1:]:
        _cost, problem, unknowns, pose, delay = _go_on(problem, unknowns, second, delay, count, parts)
    off = reconstruction.off_by(problem, unknowns, pose, 1)
    return Together(reconstruction.outcome(problem, unknowns, pose), delay, problem.views[1].landmarks, off)


class _Parts:
    """Tells how far the whole is, of parts that take about so long each."""

    def __init__(self, told: Told, sizes: tuple[int, ...]) -> None:
        self._told, self._sizes, self._part = told, sizes, 0

    def begin(self) -> Told:
        """Another part; returns what is called with the share of it that is done."""
        before, own, whole = sum(self._sizes[: self._part]), self._sizes[self._part], sum(self._sizes)
        self._part += 1
        return lambda share: self._told((before + own * share) / whole)


@dataclasses.dataclass(frozen=True)
class _Alone:
    """What one video comes to by itself."""

    problem: Problem
    unknowns: Unknowns
    origins: Array


def _alone(
    landmarks: Landmarks, height: float, iterations: tuple[int, ...], parts: _Parts, floor: Floor | None = None
) -> _Alone:
    problem, unknowns = reconstruction.begin(landmarks, height, floor)
    stages = reconstruction.stages_of(landmarks, iterations)
    pose = reconstruction.fit(problem, unknowns, stages, parts.begin())
    return _Alone(problem, unknowns, pose.origins.detach().numpy())


_Tried = tuple[float, Problem, Unknowns, Shown, float]


def _go_on(
    problem: Problem, unknowns: Unknowns, second: Landmarks, delay: float, iterations: int, parts: _Parts
) -> _Tried:
    """Look further from a joint problem, with the second video's landmarks at the times that the delay so far says."""
    late = second.at(np.arange(len(problem.root)) / problem.rate - delay, problem.rate)
    problem.views = (problem.views[0], dataclasses.replace(problem.views[1], landmarks=late))
    pose = reconstruction.fit(problem, unknowns, [Stage(_NAMES, iterations, flights=True)], parts.begin())
    with torch.no_grad():
        cost = float(sum(losses.all_terms(problem, unknowns, pose).values()))
    delay += float(unknowns.delay[1]) / problem.rate
    unknowns.delay = torch.zeros_like(unknowns.delay)
    return cost, problem, unknowns, pose, delay


def _joined(alone: Sequence[_Alone], turn: float, shift: Array) -> tuple[Problem, Unknowns]:
    """The first video's problem with the second one's view, turned and shifted in the world."""
    (problem, unknowns), other = (alone[0].problem, alone[0].unknowns), alone[1]
    cameras = {
        name: torch.cat([getattr(unknowns, name), getattr(other.unknowns, name)])
        for name in ("focal", "pitch", "roll", "camera")
    }
    place = {"heading": tensor([0.0, turn]), "spot": tensor([[0.0, 0.0], shift[:2]])}
    none = {"lean": tensor([0.0, 0.0]), "delay": tensor([0.0, 0.0])}
    views = problem.views + other.problem.views
    return dataclasses.replace(problem, views=views), dataclasses.replace(unknowns, **cameras, **place, **none)


def _as_the_other_moves(
    joined: tuple[Problem, Unknowns], other: _Alone, rows: IntArray, delay: float, turn: float, shift: Array
) -> tuple[Problem, Unknowns]:
    """The joint problem begun with the pose that the second video came to, at frames (K,) that it shows."""
    problem, unknowns = joined
    theirs = np.rint((rows / problem.rate - delay) * other.problem.rate).astype(int)
    theirs = np.clip(theirs, 0, len(other.problem.root) - 1)
    about = rotations.from_axis_angle([0.0, 0.0, 1.0], turn)
    pose, root, angles = problem.pose.copy(), problem.root.copy(), problem.angles.copy()
    pose[rows], angles[rows] = other.problem.pose[theirs], other.problem.angles[theirs]
    pose[rows, 0] = rotations.to_matrix(about) @ pose[rows, 0]
    root[rows] = rotations.rotate(about, other.problem.root[theirs]) + shift
    return dataclasses.replace(problem, pose=pose, root=root, angles=angles), dataclasses.replace(unknowns)


def _both(first: Array, second: Array, delay: float) -> Array:
    """At which of the first video's times the second shows something as well."""
    late = first - delay
    found: Array = (late > -1e-6) & (late < second[-1] + 1e-6)
    return found


def _delay(own: Array, own_times: Array, seen: Array, seen_times: Array) -> float:
    """By how many seconds the second video began later: that at which limbs rise and fall most alike."""
    step = own_times[1] - own_times[0]
    least = max(LEAST_TOGETHER * min(len(own_times) * step, seen_times[-1]), FEWEST_TOGETHER * step)
    tried: list[tuple[float, float]] = []
    for n in range(-round(seen_times[-1] / step), len(own_times)):
        rows = _both(own_times, seen_times, n * step)
        if rows.sum() * step < least:
            continue
        tried.append((_unlike(own[rows], _at(seen, seen_times, own_times[rows] - n * step)), n * step))
    if not tried:
        raise ValueError("the two videos have too little in common")
    return min(tried)[1]


def _unlike(a: Array, b: Array) -> float:
    """How differently two motions' limbs (F, L, 3) rise and fall, 0 to 1: cameras see that alike from everywhere."""
    one, other = (np.diff(places[:, _LIMBS, 2], axis=0) for places in (a, b))
    return float(np.abs(one - other).sum() / max(np.abs(one).sum() + np.abs(other).sum(), 1e-6))


def _laid_on(a: Array, b: Array) -> tuple[float, Array]:
    """The turn about the vertical, rad, and the level shift (3,) that bring b (F, L, 3) nearest to a."""
    a, b = a[:, _LIMBS].reshape(-1, 3), b[:, _LIMBS].reshape(-1, 3)
    centres = a.mean(axis=0), b.mean(axis=0)
    a, b = b - centres[1], a - centres[0]
    turn = float(np.arctan2((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum(), (a[:, :2] * b[:, :2]).sum()))
    moved = rotations.rotate(rotations.from_axis_angle([0.0, 0.0, 1.0], turn), centres[1])
    return turn, (centres[0] - moved) * [1.0, 1.0, 0.0]


def _at(places: Array, times: Array, wanted: Array) -> Array:
    """Places (F, L, 3) at other times, linear between frames."""
    flat = places.reshape(len(places), -1)
    found = np.stack([np.interp(wanted, times, column) for column in flat.T], axis=1)
    return found.reshape(len(wanted), *places.shape[1:])
