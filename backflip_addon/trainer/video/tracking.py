# SPDX-License-Identifier: GPL-3.0-or-later
"""One person through all frames, upside down as well: candidates of each frame, and the likeliest way through them.

The networks know upright persons, so a person is looked for on four turns of the picture, and followed forwards and
backwards with a region that turns along. Which of a frame's candidates is right, and whether it has left and right
exchanged, a single frame can't say; the cheapest path through all frames does (Viterbi 1967).

Then the person of each frame is looked at again, turned and in a mirror.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ...core.arrays import Array
from .pictures import Pictures, Region
from .pose_net import Detector, Landmarker, Sighting

MOST_PER_TURN = 3  # persons of a turned picture that are looked at
LEAST_SCORE = 0.3  # of a sighting that is kept
REFINE_TURN, REFINE_SIZE, REFINE_WAY = math.radians(12), 0.2, 0.08  # a region that was off by more is looked at again
LOOK_BACK = 6  # frames: a path may jump over gaps so long
GAP_COST = 3.0  # of a frame without a candidate
MOST_TURN, MOST_WAY = 0.5, 0.1  # rad, share of the region: how far a track is carried on from frame to frame

BODY = np.array([*range(11, 17), *range(23, 33)])  # landmarks that say which way a body lies
_FACE_ON = np.arange(11, 33)

Told = Callable[[float], None]

TURNED = math.radians(20)  # of more looks at a person
LOOKS = ((0.0, True), (TURNED, False), (-TURNED, False), (TURNED, True), (-TURNED, True))  # turned, mirrored


def look(
    pictures: Pictures, detect: Detector, mark: Landmarker, frames: Sequence[int], told: Told
) -> list[list[Sighting]]:
    """Candidates of each of the frames. told: is called with the share that is done; may raise to end it."""
    found: list[list[Sighting]] = []
    with ThreadPoolExecutor(2) as pool:
        try:
            jobs = [pool.submit(_detected, pictures[frame], detect, mark) for frame in frames]
            for n, job in enumerate(jobs):
                found.append(job.result())
                told(0.7 * (n + 1) / len(frames))
            ways = [pool.submit(list, _followed(pictures, mark, frames, found, step)) for step in (1, -1)]
            tracks = [way.result() for way in ways]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    for n, sighting in (one for track in tracks for one in track):
        found[n].append(sighting)
    told(1.0)
    return found


def _detected(picture: object, detect: Detector, mark: Landmarker) -> list[Sighting]:
    seen: list[Sighting] = []
    for regions in detect(picture):
        for region in regions[:MOST_PER_TURN]:
            if any(_alike(region, other.region) for other in seen):
                continue
            if (sighting := _marked(picture, mark, region)) is not None:
                seen.append(sighting)
    return seen


def _marked(picture: object, mark: Landmarker, region: Region) -> Sighting | None:
    """The person in a region, looked at again where the region turns out to be off."""
    first = mark(picture, region)
    if first.score <= LEAST_SCORE:
        return None
    again = first.following
    off = abs(_turn(again.angle, region.angle)) > REFINE_TURN or abs(math.log(again.size / region.size)) > REFINE_SIZE
    if not off and math.dist((again.x, again.y), (region.x, region.y)) <= REFINE_WAY * region.size:
        return first
    second = mark(picture, again)
    return second if second.score >= first.score - 0.1 else first


def _followed(
    pictures: Pictures, mark: Landmarker, frames: Sequence[int], found: list[list[Sighting]], step: int
) -> Iterator[tuple[int, Sighting]]:
    """A track through the frames (step 1: forwards, -1: backwards), begun anew where it is lost."""
    last: Sighting | None = None
    before: Region | None = None
    order = range(len(frames))[::step]
    for n, previous in zip(order[1:], order[:-1], strict=True):
        if last is None:
            best = [one for one in found[previous] if one.region.size]
            if not best:
                continue
            last = max(best, key=lambda one: one.score * float(one.visible[_FACE_ON].mean()))
        region = last.following
        sighting = _marked(pictures[frames[n]], mark, _carried_on(region, before))
        before, last = (region, sighting) if sighting is not None else (None, None)
        if sighting is not None:
            yield n, sighting


def _carried_on(region: Region, before: Region | None) -> Region:
    """Where a region will be in the next frame, by how it came from the one before."""
    if before is None:
        return region
    turn = float(np.clip(_turn(region.angle, before.angle), -MOST_TURN, MOST_TURN))
    way = np.clip([region.x - before.x, region.y - before.y], -MOST_WAY * region.size, MOST_WAY * region.size)
    return Region(region.x + float(way[0]), region.y + float(way[1]), region.size, region.angle + turn)


def _turn(a: float, b: float) -> float:
    """The angle from b to a, -pi to pi."""
    return (a - b + math.pi) % (2 * math.pi) - math.pi


def _alike(a: Region, b: Region) -> bool:
    near = math.dist((a.x, a.y), (b.x, b.y)) < 0.1 * a.size
    return near and abs(_turn(a.angle, b.angle)) < 0.35 and abs(math.log(a.size / b.size)) < 0.2


# The path


@dataclasses.dataclass(frozen=True)
class _Candidates:
    """The candidates of one frame, each as it was seen and with left and right exchanged, as arrays (C, ...)."""

    all: list[Sighting]
    cost: Array
    weight: Array  # (C, 16)
    xy: Array
    world: Array

    @classmethod
    def of(cls, seen: list[Sighting]) -> _Candidates:
        both = [*seen, *(one.swapped() for one in seen)]
        visible = np.array([one.visible[BODY] for one in both]).reshape(-1, len(BODY))
        swap = np.repeat([0.0, 0.15], len(seen))
        cost = 2.0 * (1 - np.array([one.score for one in both])) + 2.5 * (1 - visible.mean(axis=1)) + swap
        xy = np.array([one.xy[BODY] for one in both]).reshape(-1, len(BODY), 2)
        world = np.array([one.world[BODY] for one in both]).reshape(-1, len(BODY), 3)
        return cls(both, cost, np.clip(visible, 0.05, 1.0), xy, world)


def _change(a: _Candidates, b: _Candidates, size: float) -> Array:
    """What it costs to come from each of a to each of b (A, B): how far landmarks move, in the picture and in space."""
    weight = np.sqrt(a.weight[:, None] * b.weight[None])
    way = np.linalg.norm(a.xy[:, None] - b.xy[None], axis=-1) / size
    turn = np.linalg.norm(a.world[:, None] - b.world[None], axis=-1) / 0.5
    moved = 2.0 * np.minimum(way, 1.5) + 1.2 * np.minimum(turn, 1.5)
    cost: Array = (weight * moved).sum(axis=-1) / weight.sum(axis=-1)
    return cost


def likeliest(found: list[list[Sighting]]) -> list[Sighting | None]:
    """One candidate a frame, or none, so that the whole costs least.

    A candidate costs by its score and by what of it is hidden; a change between two by how far landmarks move, less
    where frames lie between them; a frame without any, GAP_COST.
    """
    sizes = [one.region.size for seen in found for one in seen]
    if not sizes:
        return [None] * len(found)
    size = float(np.median(sizes)) / 2.5  # about half a body
    frames = [_Candidates.of(seen) for seen in found]
    totals: list[Array] = []
    backs: list[list[tuple[int, int] | None]] = []
    for i, own in enumerate(frames):
        best = own.cost + GAP_COST * i
        back: list[tuple[int, int] | None] = [None] * len(own.all)
        for j in range(max(0, i - LOOK_BACK), i):
            if not frames[j].all or not own.all:
                continue
            gap = i - j - 1
            cost = totals[j][:, None] + _change(frames[j], own, size) / (1 + 0.5 * gap) + own.cost + GAP_COST * gap
            choice = cost.argmin(axis=0)
            for k in np.flatnonzero(cost.min(axis=0) < best):
                best[k], back[k] = cost[choice[k], k], (j, int(choice[k]))
        totals.append(best)
        backs.append(back)
    ends = [
        (total[k] + GAP_COST * (len(frames) - 1 - i), i, k) for i, total in enumerate(totals) for k in range(len(total))
    ]
    chosen: list[Sighting | None] = [None] * len(frames)
    _cost, i, k = min(ends)
    state: tuple[int, int] | None = (i, k)
    while state is not None:
        i, k = state
        chosen[i] = frames[i].all[k]
        state = backs[i][k]
    return chosen


def persons(seen: list[Sighting]) -> int:
    """How many different persons a frame's candidates are: those that lie apart and are no far-off small ones."""
    sure = [one for one in seen if one.score > 0.6]
    largest = max((one.region.size for one in sure), default=0.0)
    apart: list[Region] = []
    for region in (one.following for one in sure):
        if region.size > 0.6 * largest and all(
            math.dist((region.x, region.y), (other.x, other.y)) > 0.35 * max(region.size, other.size) for other in apart
        ):
            apart.append(region)
    return len(apart)


def looked_again(
    pictures: Pictures,
    mark: Landmarker,
    frames: Sequence[int],
    chosen: Sequence[Sighting | None],
    told: Told,
) -> list[Sighting | None]:
    """What was chosen in each of the frames, joined with more looks at the same person. told: the share that is done;
    may raise to end it."""
    found: list[Sighting | None] = []
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(_joined, pictures, mark, frame, one) for frame, one in zip(frames, chosen, strict=True)]
        try:
            for n, job in enumerate(jobs):
                found.append(job.result())
                told((n + 1) / len(jobs))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return found


def _joined(pictures: Pictures, mark: Landmarker, frame: int, first: Sighting | None) -> Sighting | None:
    if first is None:
        return None
    around = first.following
    looks = [first]
    for turned, mirrored in LOOKS:
        seen = mark(pictures[frame], Region(around.x, around.y, around.size, around.angle + turned), mirrored)
        if seen.score > LEAST_SCORE:
            looks.append(_as_sided(seen, first))
    return dataclasses.replace(
        first,
        xy=np.median([one.xy for one in looks], axis=0),
        world=np.mean([one.world for one in looks], axis=0),
        visible=np.mean([one.visible for one in looks], axis=0),
    )


def _as_sided(seen: Sighting, first: Sighting) -> Sighting:
    """A sighting with left and right as the first has them."""
    other = seen.swapped()
    off, swapped = (np.linalg.norm(one.xy[BODY] - first.xy[BODY], axis=-1).sum() for one in (seen, other))
    return seen if off <= swapped else other
