# SPDX-License-Identifier: GPL-3.0-or-later
"""Which parts of a body can meet, and how deep they are in one another.

For this every shape is a capsule, a segment with a radius: a sphere's has no length, a box's lies along its longest
side and is as thick as the box is thin.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from . import rotations
from .arrays import Array, IntArray
from .body import Body
from .shapes import Shape

REST_OVERLAP = 0.005  # m: parts that are deeper in one another in the neutral pose overlap by their fit, and may


@dataclasses.dataclass(frozen=True)
class Capsules:
    """A body's parts for contacts between them.

    links (C,); starts, ends (C, 3) in the link's frame and radii (C,), m.
    """

    links: IntArray
    starts: Array
    ends: Array
    radii: Array


def capsules(body: Body) -> Capsules:
    """One for each shape of each link, in their order."""
    owned = [(i, *capsule(shape)) for i, link in enumerate(body.links) for shape in link.shapes]
    links, starts, ends, radii = zip(*owned, strict=True)
    return Capsules(np.array(links), np.array(starts), np.array(ends), np.array(radii))


def capsule(shape: Shape) -> tuple[Array, Array, float]:
    """A shape as a segment, start and end (3,) in the link's frame, and its radius, m."""
    centre, half = np.array(shape.position), np.zeros(3)
    radius = float(min(shape.size)) if shape.kind == "box" else shape.size[0]
    if shape.kind == "capsule":
        half[2] = shape.size[1] / 2
    elif shape.kind == "box":
        longest = int(np.argmax(shape.size))
        half[longest] = shape.size[longest] - radius
    along = rotations.rotate(np.array(shape.rotation), half)
    return centre - along, centre + along, radius


@functools.lru_cache(maxsize=16)
def pairs(body: Body) -> tuple[tuple[int, int], ...]:
    """Pairs of links that collide: all but neighbours and those that overlap at rest; the smaller index first."""
    neutral = np.broadcast_to(rotations.IDENTITY, (len(body.links), 4))
    positions, orientations = body.forward(np.zeros(3), neutral)
    having = [i for i, link in enumerate(body.links) if link.shapes]
    every = [(i, j) for i in having for j in having if i < j and not _neighbours(body, i, j)]
    if not every:
        return ()
    overlaps = depths(body, positions[None], orientations[None], tuple(every))[0]
    return tuple(pair for pair, depth in zip(every, overlaps, strict=True) if depth <= REST_OVERLAP)


def _neighbours(body: Body, i: int, j: int) -> bool:
    """Whether one hangs on the other, a link that is fixed to its parent being a part of it."""

    def carrier(link: int) -> int:
        return carrier(body.links[link].parent) if body.links[link].joint == "fixed" else link

    a, b = carrier(i), carrier(j)
    return a == b or body.links[a].parent == b or body.links[b].parent == a


def depths(
    body: Body, positions: Array, orientations: Array, which: tuple[tuple[int, int], ...] | None = None
) -> Array:
    """How deep the links of each pair (K,) are in one another (F, K), m; negative: how far apart.

    positions (F, L, 3), orientations (F, L, 4): link frames, world. which: the pairs; None: pairs().
    """
    solids, chosen = capsules(body), pairs(body) if which is None else which
    starts = positions[:, solids.links] + rotations.rotate(orientations[:, solids.links], solids.starts)
    ends = positions[:, solids.links] + rotations.rotate(orientations[:, solids.links], solids.ends)
    result = np.full((len(positions), len(chosen)), -np.inf)
    for k, (i, j) in enumerate(chosen):
        for a in np.flatnonzero(solids.links == i):
            for b in np.flatnonzero(solids.links == j):
                apart = segment_distance(starts[:, a], ends[:, a], starts[:, b], ends[:, b])
                result[:, k] = np.maximum(result[:, k], solids.radii[a] + solids.radii[b] - apart)
    return result


def segment_distance(p: Array, q: Array, r: Array, s: Array) -> Array:
    """Least distance (F,) between segments from p to q and from r to s, all (F, 3).

    Ericson, "Real-Time Collision Detection" (2005), section 5.1.9.
    """
    along, other, between = q - p, s - r, p - r
    a, e = np.sum(along**2, -1), np.sum(other**2, -1)
    b, c, f = (np.sum(x * y, -1) for x, y in ((along, other), (along, between), (other, between)))
    tiny = 1e-12  # m^2: a segment of no length is a point
    wide = np.maximum(a * e - b * b, tiny)
    share = np.where(a * e - b * b > tiny, np.clip((b * f - c * e) / wide, 0, 1), 0.0)
    on_other = np.where(e > tiny, np.clip((b * share + f) / np.maximum(e, tiny), 0, 1), 0.0)
    share = np.where(a > tiny, np.clip((b * on_other - c) / np.maximum(a, tiny), 0, 1), 0.0)
    gap: Array = np.linalg.norm(between + share[:, None] * along - on_other[:, None] * other, axis=-1)
    return gap
