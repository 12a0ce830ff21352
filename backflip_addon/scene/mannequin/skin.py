# SPDX-License-Identifier: GPL-3.0-or-later
"""The mannequin's skin as numbers: vertices, faces, materials and weights, lofted from its shells (shape).

And, without Blender as well, its skeleton and the body that is fitted to that. Everything is in armature space, m.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from ...core.arrays import Array, IntArray
from ...core.body import Body
from ...core.rigs import fit, roles
from ...core.rigs.rig import Rig
from .shape import ACCENT_LEFT, ACCENT_RIGHT, AXES, BONES, NAME, PARTS, Bone, Part

_FIRST_RING = 0.22  # where on a rounded end's quarter turn its first ring lies
_SPACING = 0.042  # m between the rings of a part's middle, at most
_LARGE_CAP = 0.05  # m; a rounded end that is longer gets more rings
_SEAM, _BAND_GAP = 0.003, 0.009  # m: rings beside a band's edge hold the shading; others keep away from it


def _rings(part: Part) -> tuple[Array, Array]:
    """Points (R, S, 3) of the part's R rings, and where along its axis they lie (R,), m."""
    table = np.array(part.rings)
    along = _stations(part, table[:, 0])
    radii = np.stack([_hermite(table[:, 0], column, along) for column in table[:, 1:].T], axis=1)
    # A ring's front minus back sets its centre; only the half depth shrinks in a rounded end.
    middle = (radii[:, 2] - radii[:, 3]) / 2
    depth = (radii[:, 2] + radii[:, 3]) / 2
    round_off = _rounding(along, part.caps)[:, None]
    angles = np.arange(part.segments) * (2 * np.pi / part.segments)
    power = 2.0 / part.power
    across = np.sign(np.cos(angles)) * np.abs(np.cos(angles)) ** power
    ahead = np.sign(np.sin(angles)) * np.abs(np.sin(angles)) ** power
    side = np.where(across > 0, radii[:, :1], radii[:, 1:2]) * across * round_off
    front = middle[:, None] + depth[:, None] * ahead * round_off
    axes = np.array(AXES[part.axis], dtype=float)
    points = (
        np.array(part.origin) + along[:, None, None] * axes[0] + side[..., None] * axes[1] + front[..., None] * axes[2]
    )
    if part.floor:
        points[..., 2] = np.maximum(points[..., 2], 0.0)
    return points, along


def _poles(part: Part, points: Array, along: Array) -> Array:
    """The tips (2, 3) of a part's rounded ends."""
    ahead = np.array(AXES[part.axis][0], dtype=float)
    reach = np.array([part.rings[0][0] - along[0], part.rings[-1][0] - along[-1]])
    tips: Array = points[[0, -1]].mean(axis=1) + reach[:, None] * ahead
    return tips


def _stations(part: Part, knots: Array) -> Array:
    """Where along its axis a part gets rings: dense in the rounded ends, and exact at band edges."""
    first, last = knots[0], knots[-1]
    start, end = part.caps
    steps = [np.linspace(_FIRST_RING, 1.0, 7 if cap > _LARGE_CAP else 4) * (np.pi / 2) for cap in part.caps]
    head: Array = first + start * (1 - np.cos(steps[0]))
    tail: Array = last - end * (1 - np.cos(steps[1]))
    span = (last - end) - (first + start)
    count = max(int(np.ceil(span / _SPACING)), 1)
    body = np.linspace(first + start, last - end, count + 1)[1:-1]
    edges = np.array([edge for band in part.bands for edge in band[:2] if first + start < edge < last - end])
    if len(edges):
        body = body[np.min(np.abs(body[:, None] - edges), axis=1) > _BAND_GAP]
        edges = np.concatenate([edges, edges + _SEAM, edges - _SEAM])
    along: Array = np.unique(np.round(np.concatenate([head, body, edges, tail]), 6))
    return along


def _rounding(along: Array, caps: tuple[float, float]) -> Array:
    """Factor (R,) by which rings shrink towards the ends, an ellipse over each cap's length."""
    first = along[0] - caps[0] * (1 - np.cos(_FIRST_RING * np.pi / 2))
    last = along[-1] + caps[1] * (1 - np.cos(_FIRST_RING * np.pi / 2))
    into = np.minimum((along - first) / caps[0], (last - along) / caps[1])
    factor: Array = np.sqrt(1 - (1 - np.clip(into, 0, 1)) ** 2)
    return factor


def _hermite(x: Array, y: Array, at: Array) -> Array:
    """A smooth curve through (x, y), at some points of x: cubic pieces whose slopes never overshoot.

    The slope at a knot is the harmonic mean of its neighbours' (Fritsch and Butland 1984,
    SIAM J. Sci. Stat. Comput. 5).
    """
    step = np.diff(x)
    slope = np.diff(y) / step
    inner = np.where(
        slope[1:] * slope[:-1] > 0,
        2 * slope[1:] * slope[:-1] / np.where(slope[1:] + slope[:-1] == 0, 1, slope[1:] + slope[:-1]),
        0.0,
    )
    tangent = np.concatenate([slope[:1], inner, slope[-1:]])
    i = np.clip(np.searchsorted(x, at) - 1, 0, len(x) - 2)
    t = (at - x[i]) / step[i]
    curve: Array = (
        y[i] * (1 + 2 * t) * (1 - t) ** 2
        + tangent[i] * step[i] * t * (1 - t) ** 2
        + y[i + 1] * t**2 * (3 - 2 * t)
        + tangent[i + 1] * step[i] * t**2 * (t - 1)
    )
    return curve


def _part_weights(part: Part, along: Array) -> dict[str, Array]:
    """Weight (R,) of each ring on each of the part's bones; they sum to one."""
    weights = {bone: np.zeros(len(along)) for _, bone in part.bones}
    weights[part.bones[0][1]] += 1.0
    for (start, before), (end, after) in zip(part.bones, part.bones[1:], strict=False):
        t = np.clip((along - start) / (end - start), 0, 1)
        share = t * t * (3 - 2 * t)
        weights[after] += weights[before] * share
        weights[before] *= 1 - share
    return weights


def right_name(name: str) -> str:
    """The right-hand partner's name; a bone of the middle keeps its own."""
    return name[:-2] + ".R" if name.endswith(".L") else name


@dataclasses.dataclass
class Skin:
    """The shells gathered so far, as one mesh's lists."""

    vertices: list[Array] = dataclasses.field(default_factory=list)
    faces: list[tuple[int, ...]] = dataclasses.field(default_factory=list)
    materials: list[int] = dataclasses.field(default_factory=list)
    weights: list[tuple[str, IntArray, Array]] = dataclasses.field(default_factory=list)
    count: int = 0

    def add(self, part: Part, mirror: bool) -> None:
        """Append a part, or its mirror image on the right."""
        points, along = _rings(part)
        rings, segments = points.shape[:2]
        vertices = np.concatenate([points.reshape(-1, 3), _poles(part, points, along)])
        weights = _part_weights(part, np.concatenate([np.repeat(along, segments), along[[0, -1]]]))
        # Two of the frames are left-handed and a mirror image is too: those turn their faces round.
        flip = (np.linalg.det(np.array(AXES[part.axis])) < 0) != mirror
        name = right_name if mirror else str
        if mirror:
            vertices = vertices * (-1, 1, 1)
        faces, rows = _tube_faces(rings, segments)
        first = self.count
        self.faces += [tuple([first + i for i in (face[::-1] if flip else face)]) for face in faces]
        of_row = [_mirrored_material(_ring_material(part, along, row), mirror) for row in range(rings - 1)]
        self.materials += [of_row[row] for row in rows]
        for bone, values in weights.items():
            indices = np.flatnonzero(values > 1e-6)
            self.weights.append((name(bone), self.count + indices, values[indices]))
        self.vertices.append(vertices)
        self.count += len(vertices)


@functools.lru_cache(maxsize=64)
def _tube_faces(rings: int, segments: int) -> tuple[list[tuple[int, ...]], list[int]]:
    """Faces of a closed tube with a pole vertex at each end, and the ring that each starts from."""
    faces: list[tuple[int, ...]] = []
    rows: list[int] = []
    bottom, top = rings * segments, rings * segments + 1
    for s in range(segments):
        t = (s + 1) % segments
        faces.append((bottom, t, s))
        rows.append(0)
        for r in range(rings - 1):
            a, b = r * segments, (r + 1) * segments
            faces.append((a + s, a + t, b + t, b + s))
            rows.append(r)
        faces.append((top, (rings - 1) * segments + s, (rings - 1) * segments + t))
        rows.append(rings - 2)
    return faces, rows


def _ring_material(part: Part, along: Array, row: int) -> int:
    middle = (along[row] + along[row + 1]) / 2
    for start, end, material in part.bands:
        if start < middle < end:
            return material
    return part.material


def _mirrored_material(material: int, mirror: bool) -> int:
    return ACCENT_RIGHT if mirror and material == ACCENT_LEFT else material


def build_skin() -> Skin:
    """The whole skin, both sides, in armature space, m."""
    skin = Skin()
    for part in PARTS:
        skin.add(part, mirror=False)
        if any(bone.endswith(".L") for _, bone in part.bones) or part.origin[0] > 0:
            skin.add(part, mirror=True)
    return skin


@functools.cache
def figure() -> Body:
    """A body of the mannequin's measures; of the usual girth, since it has no skin here."""
    rig = skeleton()
    return fit.fit_body(rig, roles.guess(rig))[0]


def skeleton() -> Rig:
    """The mannequin's bones at rest. Their own axes are the world's: a body needs no other."""
    bones = [*BONES, *(_mirrored(bone) for bone in BONES if bone.name.endswith(".L"))]
    names = [bone.name for bone in bones]
    rest = np.tile(np.eye(4), (len(bones), 1, 1))
    rest[:, :3, 3] = [bone.head for bone in bones]
    parents = tuple(names.index(bone.parent) if bone.parent else -1 for bone in bones)
    tails = np.array([bone.tail for bone in bones], dtype=float)
    return Rig(NAME, tuple(names), parents, rest, tails, (True,) * len(bones))


def _mirrored(bone: Bone) -> Bone:
    """The bone of the other side."""
    (x, y, z), (tail_x, tail_y, tail_z) = bone.head, bone.tail
    parent = right_name(bone.parent) if bone.parent else None
    return Bone(right_name(bone.name), parent, (-x, y, z), (-tail_x, tail_y, tail_z), bone.connected)
