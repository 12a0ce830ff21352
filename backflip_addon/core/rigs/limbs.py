# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairs of like limbs in a skeleton, found by the lengths of their bones, and the three joints of a limb.

Lengths are measured along the bones: they are the same in every pose, whatever the rest pose is like.
"""

from __future__ import annotations

import dataclasses
from functools import cached_property

import numpy as np

from ..arrays import Array
from .rig import Rig

Joints = tuple[int, int, int]

LIKENESS = 0.2  # two bones of a pair differ in length by less than this part
_SHORTEST = 0.08  # of the skeleton's extent: the reach of a limb worth looking at
_MOST_PAIRS = 40
_RATIO_SPREAD = 0.3  # of ln(lower part / upper part) of limbs


@dataclasses.dataclass(frozen=True, eq=False)
class Pair:
    """Two like chains of bones that branch off one bone (node).

    chains: as many bones in each, from the first below the node on. along (C + 1,): way from the node
    to each joint, mean of both; the last is the tip of the last bone.
    """

    rig: Rig
    node: int
    chains: tuple[tuple[int, ...], tuple[int, ...]]
    along: Array

    @property
    def reach(self) -> float:
        """Way from the node to the last joint."""
        return float(self.along[-2])

    @cached_property
    def bones(self) -> frozenset[int]:
        """Everything that hangs on the two chains."""
        return frozenset(b for chain in self.chains for b in self.rig.descendants(chain[0]))

    @cached_property
    def points(self) -> Array:
        """Joints at rest and the tips (2, C + 1, 3)."""
        return np.stack([np.vstack([self.rig.heads[list(c)], self.rig.tails[c[-1]]]) for c in self.chains])

    @cached_property
    def widths(self) -> Array:
        """Half the distance of the two limbs' joints and tips from each other (C + 1,)."""
        half: Array = np.linalg.norm(self.points[0] - self.points[1], axis=1) / 2
        return half

    @cached_property
    def fans(self) -> tuple[bool, ...]:
        """Whether several bones leave a joint in different directions, as fingers leave a hand."""
        return tuple(all(_fans(self.rig, chain, i) for chain in self.chains) for i in range(len(self.chains[0])))

    @cached_property
    def lopsided(self) -> float:
        """How far the joints are from lying apart in one direction, as those of a leg and a tail are; 0 to 1."""
        apart = self.points[0, :-1] - self.points[1, :-1]
        lengths = np.linalg.norm(apart, axis=1)
        clear = lengths > 0.05 * self.reach
        if not clear.any():
            return 1.0
        across = apart[int(np.argmax(lengths))] / lengths.max()
        return float(min(1.0, 3.0 * (1.0 - np.abs(apart[clear] @ across) / lengths[clear]).mean()))


def size_of(rig: Rig) -> float:
    """The body's largest extent at rest, world units: without a root that lies apart."""
    top = max((b for b, parent in enumerate(rig.parents) if parent < 0), key=lambda b: len(rig.descendants(b)))
    while len(rig.children[top]) == 1:
        top = rig.children[top][0]
    return float(np.ptp(rig.heads[rig.descendants(top)], axis=0).max()) or 1.0


def steps(rig: Rig) -> Array:
    """Distance (B,) of each joint from its parent's, 0 for roots."""
    parents = np.array(rig.parents)
    return np.where(parents >= 0, np.linalg.norm(rig.heads - rig.heads[parents], axis=1), 0.0)


def reaches(rig: Rig, step: Array) -> Array:
    """The longest way down from each bone's parent (B,)."""
    reach = np.zeros(len(rig.bones))
    for bone in range(len(rig.bones) - 1, -1, -1):
        reach[bone] = step[bone] + max((reach[child] for child in rig.children[bone]), default=0.0)
    return reach


def pairs(rig: Rig) -> list[Pair]:
    """Pairs of like limbs of at least three bones (or two and a tip), those that reach farthest first."""
    step, size = steps(rig), size_of(rig)
    reach = reaches(rig, step)
    found = []
    for node in range(len(rig.bones)):
        if reach[node] - step[node] < _SHORTEST * size:
            continue
        limbs = [bone for bone in _below(rig, node, step, 1e-3 * size) if reach[bone] > _SHORTEST * size]
        for i, a in enumerate(limbs):
            for b in limbs[i + 1 :]:
                if rig.common_ancestor(a, b) != node:
                    continue
                chains = _like_chains(rig, a, b, reach, step, size)
                if len(chains[0]) >= 2 and _apart(rig, node, chains, size):
                    found.append(Pair(rig, node, chains, _along(rig, node, chains, step)))
    found.sort(key=lambda pair: -pair.reach)
    return found[:_MOST_PAIRS]


def _below(rig: Rig, node: int, step: Array, near: float) -> list[int]:
    """A bone's children; below those that lie in its joint, theirs too."""
    found = []
    for child in rig.children[node]:
        found.append(child)
        if step[child] < near:
            found += _below(rig, child, step, near)
    return found


def _like_chains(
    rig: Rig, a: int, b: int, reach: Array, step: Array, size: float
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Bones down from a and b as long as there are like ones on both sides: what one hand holds is no arm."""

    def unlike(x: int, y: int) -> float:
        return float(abs(step[x] - step[y]) / max(step[x], step[y], 0.02 * size))

    if unlike(a, b) > LIKENESS:
        return (), ()
    chains = ([a], [b])
    while True:
        ends = [
            (min(reach[x], reach[y]) * (1.0 - unlike(x, y)), x, y)
            for x in rig.children[chains[0][-1]]
            for y in rig.children[chains[1][-1]]
            if unlike(x, y) < LIKENESS
        ]
        if not ends:
            return tuple(chains[0]), tuple(chains[1])
        _, x, y = max(ends)
        chains[0].append(x)
        chains[1].append(y)


def _apart(rig: Rig, node: int, chains: tuple[tuple[int, ...], tuple[int, ...]], size: float) -> bool:
    """Whether two limbs go apart from their node equally far."""
    ends = [rig.heads[list(chain)].mean(axis=0) for chain in chains]
    apart = float(np.linalg.norm(ends[0] - ends[1]))
    away = [float(np.linalg.norm(end - rig.heads[node])) for end in ends]
    return apart > 0.02 * size and abs(away[0] - away[1]) < LIKENESS * max(away)


def _along(rig: Rig, node: int, chains: tuple[tuple[int, ...], tuple[int, ...]], step: Array) -> Array:
    ways = []
    for chain in chains:
        line = rig.chain(node, chain[0])
        first = float(sum(step[bone] for bone in line))
        tip = float(np.linalg.norm(rig.tails[chain[-1]] - rig.heads[chain[-1]]))
        ways.append(np.cumsum([first, *step[list(chain[1:])], tip]))
    along: Array = np.mean(ways, axis=0)
    return along


def _fans(rig: Rig, chain: tuple[int, ...], at: int) -> bool:
    """Whether three bones, or two that go on, leave a joint of a chain in different directions.

    Helpers along the chain's bone do not count.
    """
    bone = chain[at]
    if at + 1 == len(chain):
        return len(rig.children[bone]) >= 3
    way = rig.heads[chain[at + 1]] - rig.heads[bone]
    length = float(np.linalg.norm(way))
    if length < 1e-3 * size_of(rig):
        return len(rig.children[bone]) >= 2  # a palm and a thumb, each without a length
    aside = []
    for child in rig.children[bone]:
        off = rig.heads[child] - rig.heads[bone]
        off = off - way * (off @ way) / length**2
        if child != chain[at + 1] and float(np.linalg.norm(off)) > 0.12 * length:
            aside.append(child)
    return len(aside) >= 2 or any(len(rig.descendants(child)) >= 2 for child in aside)


def joints(pair: Pair, kind: str, least: float = 0.0, bends: Array | None = None) -> tuple[Joints, float] | None:
    """A limb's three joints, such as hip, knee and ankle, as indices into a pair's chains; their likeness to a body's.

    kind: "leg" or "arm". An arm without a hand ends at the tip of its last bone; its third index is then
    the chains' length. least: half the least distance of the first joints from each other.
    bends (C,): how far the limb bends at each joint over a motion, radians, where one is known.
    Bones between the joints (twist bones) are passed over. None where there are no three joints.
    """
    count = len(pair.chains[0])
    along, points = pair.along, pair.points
    widths = pair.widths
    fans = [i for i in range(2, count) if pair.fans[i]]
    lasts = range(2, count + (kind == "arm"))
    best, most = None, 0.0
    for last in lasts:
        for first in range(last - 1):
            for middle in range(first + 1, last):
                upper, lower = along[middle] - along[first], along[last] - along[middle]
                if min(upper, lower) < 0.02 * pair.reach:
                    continue
                likeness = _likeness(points[:, [first, middle, last]], upper, lower)
                if widths[first] < max(least, 0.02 * (upper + lower)):
                    likeness *= 0.15
                if kind == "arm" and fans and last != fans[0]:
                    likeness *= 0.35  # fingers branch off the hand
                if last == count:
                    likeness *= 0.5  # a bone's tip is where software puts it
                if kind == "leg" and _skips(pair, first, last):
                    likeness *= 0.2
                if bends is not None:
                    likeness *= 0.3 + 0.7 * min(1.0, float(bends[middle]) / np.radians(30.0))
                worth = likeness * float(np.sqrt(upper + lower))
                if worth > most * 1.0001:
                    best, most = ((first, middle, last), likeness), worth
    return best


def _skips(pair: Pair, first: int, last: int) -> bool:
    """Whether a long part of a limb lies before its first joint: then that is a knee."""
    start = next((i for i in range(first) if pair.widths[i] > 0.02 * pair.reach), first)
    part, limb = pair.along[first] - pair.along[start], pair.along[last] - pair.along[first]
    if part < 0.3 * limb:
        return False
    before = pair.points[:, first] - pair.points[:, start]
    after = pair.points[:, last] - pair.points[:, first]
    cosines = np.sum(before * after, axis=1) / np.maximum(
        np.prod(np.linalg.norm([before, after], axis=2), axis=0), 1e-12
    )
    return bool(cosines.mean() > 0.7)


def _likeness(points: Array, upper: float, lower: float) -> float:
    """How much a limb is like a body's: two parts of about the same length, each without a bend; 0 to 1.

    points (2, 3, 3): the three joints of both limbs.
    """
    off = np.log(lower / upper) / _RATIO_SPREAD
    chords = np.linalg.norm(np.diff(points, axis=1), axis=2).mean(axis=0)
    straight = min(1.0, float((chords / [upper, lower]).min()))
    return float(1.0 / (1.0 + off**2)) * straight**5
