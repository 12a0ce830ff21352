# SPDX-License-Identifier: GPL-3.0-or-later
"""The figure that is laid over a person in a video: a body's links with a standard adult's proportions, in torch.

Lengths are for a height of 1 m; the fit scales the whole and, within limits, its parts. The neutral pose is
core.body's: upright, facing -Y, left +X, limbs hanging. Landmarks of the network are points fixed to links.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ...core.arrays import Array
from ...core.body import LINK_NAMES, LINK_PARENTS
from ...core.rigs.anthropometry import CENTRE_SHARE, MASS_SHARE, part_of

NUMBER = torch.float64
INDEX = {name: i for i, name in enumerate(LINK_NAMES)}
PARENTS = [-1 if (parent := LINK_PARENTS[name]) is None else INDEX[parent] for name in LINK_NAMES]
L = len(LINK_NAMES)

# Shares of the standing height: Drillis and Contini 1966, as in Winter 2009, "Biomechanics and Motor Control of Human
# Movement", figure 4.1. Where the spine bends and where joint centres lie across the body is not told there: they are
# those of the mean adult of core.clips.smpl's skeleton.
HIP_HEIGHT, ANKLE_HEIGHT = 0.530, 0.039
_THIGH, _SHIN, _UPPER_ARM, _FOREARM = 0.245, 0.246, 0.186, 0.146
_HALF_HIPS, _HALF_SHOULDERS = 0.050, 0.105
_WAIST, _SHOULDER, _NECK = 0.110, 0.178, 0.205

_OFFSETS: dict[str, tuple[float, float, float]] = {
    "pelvis": (0.0, 0.0, 0.0),
    "chest": (0.0, 0.0, _WAIST),
    "head": (0.0, 0.0, _NECK),
    "thigh": (_HALF_HIPS, 0.0, 0.0),
    "shin": (0.0, 0.0, -_THIGH),
    "foot": (0.0, 0.0, -_SHIN),
    "upper_arm": (_HALF_SHOULDERS, 0.0, _SHOULDER),
    "forearm": (0.0, 0.0, -_UPPER_ARM),
    "hand": (0.0, 0.0, -_FOREARM),
}
_CENTRES: dict[str, tuple[float, float, float]] = {
    "pelvis": (0.0, 0.0, 0.040),
    "chest": (0.0, 0.0, 0.090),
    "head": (0.0, -0.010, 0.075),
    "thigh": (0.0, 0.0, -CENTRE_SHARE["thigh"] * _THIGH),
    "shin": (0.0, 0.0, -CENTRE_SHARE["shin"] * _SHIN),
    "foot": (0.0, -0.035, -0.020),
    "upper_arm": (0.0, 0.0, -CENTRE_SHARE["upper_arm"] * _UPPER_ARM),
    "forearm": (0.0, 0.0, -CENTRE_SHARE["forearm"] * _FOREARM),
    "hand": (0.0, 0.0, -0.045),
}

# Landmark -> part, place on it, and how far from there (sigma) a person's may lie; even numbers above 10 are right.
# Where the network puts joints off those of rigs: means over four figures drawn in four known motions each (a MakeHuman
# figure, Neo, Cesium Man, our mannequin), by least squares in the parts' axes.
_MARKERS: dict[int, tuple[str, tuple[float, float, float], float]] = {
    0: ("head", (0.0, -0.068, 0.080), 0.018),
    7: ("head", (0.046, 0.0, 0.092), 0.012),
    11: ("upper_arm", (-0.003, -0.004, 0.010), 0.018),
    13: ("forearm", (-0.002, -0.003, -0.005), 0.009),
    15: ("hand", (-0.002, -0.005, -0.008), 0.009),
    23: ("thigh", (-0.003, -0.003, 0.017), 0.024),
    25: ("shin", (-0.002, 0.010, 0.005), 0.009),
    27: ("foot", (-0.004, -0.003, 0.013), 0.009),
    29: ("foot", (0.0, 0.034, -0.028), 0.012),
    31: ("foot", (0.0, -0.093, -0.031), 0.012),
}
# Parts that are longer or shorter together, on both sides: links whose offset they scale
GROUPS: dict[str, tuple[str, ...]] = {
    "thigh": ("shin",),
    "shin": ("foot",),
    "upper_arm": ("forearm",),
    "forearm": ("hand",),
    "waist": ("chest",),
    "trunk": ("upper_arm", "head"),
    "hips": ("thigh",),
}


def _sided(part: str, place: tuple[float, float, float], right: bool) -> tuple[float, float, float]:
    return (-place[0], place[1], place[2]) if right else place


def _links(values: dict[str, tuple[float, float, float]]) -> Array:
    return np.array([_sided(part_of(name), values[part_of(name)], name.endswith(".R")) for name in LINK_NAMES])


def _all_markers() -> list[tuple[int, int, tuple[float, float, float], float]]:
    """Landmark, link, place, sigma, in the landmarks' order."""
    found = []
    for mark, (part, place, sigma) in _MARKERS.items():
        single = part in INDEX
        found.append((mark, INDEX[part if single else f"{part}.L"], place, sigma))
        if mark:
            link = INDEX[part if single else f"{part}.R"]
            found.append((mark + 1, link, _sided(part, place, right=True), sigma))
    return sorted(found)


MARKERS = _all_markers()
MARKS = [mark for mark, _link, _place, _sigma in MARKERS]
ROW = {mark: row for row, mark in enumerate(MARKS)}
MARKER_LINKS = [link for _mark, link, _place, _sigma in MARKERS]
# The links that landmarks turn with: those of hips and shoulders with the trunk, not with the limb
MARKER_FRAMES = [
    PARENTS[link] if part_of(LINK_NAMES[link]) in ("thigh", "upper_arm") else link for link in MARKER_LINKS
]
MARKER_PLACES = np.array([place for _mark, _link, place, _sigma in MARKERS])
MARKER_SIGMAS = np.array([sigma for _mark, _link, _place, sigma in MARKERS])

OFFSETS, CENTRES = _links(_OFFSETS), _links(_CENTRES)
MASSES = np.array([MASS_SHARE[part_of(name)] for name in LINK_NAMES])
MASSES /= MASSES.sum()
MEMBERS = np.array([[float(part_of(name) in parts) for parts in GROUPS.values()] for name in LINK_NAMES])
HINGES = [INDEX[name] for name in LINK_NAMES if part_of(name) in ("shin", "forearm")]


def _levels() -> list[list[int]]:
    depth = [0] * L
    for i, parent in enumerate(PARENTS):
        depth[i] = depth[parent] + 1 if parent >= 0 else 0
    return [[i for i in range(L) if depth[i] == level] for level in range(1, max(depth) + 1)]


_LEVELS = _levels()


def tensor(values: Any) -> Any:
    """An array as torch's, in double precision."""
    return torch.as_tensor(np.asarray(values), dtype=NUMBER)


_T_OFFSETS, _T_CENTRES, _T_MASSES, _T_MEMBERS = (tensor(x) for x in (OFFSETS, CENTRES, MASSES, MEMBERS))


def places(root: Any, turns: Any, height: Any, lengths: Any) -> tuple[Any, Any]:
    """Link origins (F, L, 3) and orientations (F, L, 3, 3) in the world.

    root (F, 3): metres. turns (F, L, 3, 3): each link in its parent. height: m. lengths (G,): logarithms of factors.
    """
    offsets = _T_OFFSETS * height * torch.exp(_T_MEMBERS @ lengths)[:, None]
    origins, orientations = [root] * L, [turns[:, 0]] * L
    for level in _LEVELS:
        above = [PARENTS[i] for i in level]
        parents = torch.stack([orientations[p] for p in above], 1)
        turned = parents @ turns[:, level]
        moved = torch.stack([origins[p] for p in above], 1) + (parents @ offsets[level][None, ..., None])[..., 0]
        for k, i in enumerate(level):
            orientations[i], origins[i] = turned[:, k], moved[:, k]
    return torch.stack(origins, 1), torch.stack(orientations, 1)


def markers(origins: Any, orientations: Any, height: Any, marker_places: Any) -> Any:
    """Where the landmarks are (F, M, 3), in the order of MARKS. marker_places (M, 3): shares of the height."""
    local = (marker_places * height)[None, ..., None]
    return origins[:, MARKER_LINKS] + (orientations[:, MARKER_FRAMES] @ local)[..., 0]


def centre_of_mass(origins: Any, orientations: Any, height: Any) -> Any:
    """(F, 3)."""
    centres = origins + (orientations @ (_T_CENTRES * height)[None, ..., None])[..., 0]
    return (centres * _T_MASSES[None, :, None]).sum(1)


def turns_of(vectors: Any) -> Any:
    """Rotation matrices (..., 3, 3) of rotation vectors (..., 3): Rodrigues' formula, smooth at zero."""
    square = (vectors * vectors).sum(-1, keepdim=True) + 1e-18
    angle = square.sqrt()
    x, y, z = vectors.unbind(-1)
    zero = torch.zeros_like(x)
    skew = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*vectors.shape[:-1], 3, 3)
    a, b = (angle.sin() / angle)[..., None], ((1 - angle.cos()) / square)[..., None]
    return torch.eye(3, dtype=vectors.dtype) + a * skew + b * (skew @ skew)
