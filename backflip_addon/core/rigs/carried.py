# SPDX-License-Identifier: GPL-3.0-or-later
"""Bones that no role names and none of the body's bones carries, but that hold skin: they go with the part they
belong to, or their skin would stay behind.

Such bones hang beside or above the mapped ones (a "Body" over hips and thighs, a belly on the root), or follow
control bones that a take leaves at rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import numpy as np

from ..arrays import Array, IntArray
from ..body import LINK_NAMES, LINK_PARENTS
from .rig import Rig, Skin

LEAST = 1e-3  # a bone that holds no vertex by more than this weight shows nothing
_FAR = 0.5  # leg lengths: skin farther than this from the body is a thing beside it
_TOUCHING = 0.02  # leg lengths: and skin farther than this from the feet a thing on the floor
_SAMPLES = (64, 4096)  # vertices of a bone and of the body whose distances are looked at
# Links that lie along a line from their joint to that of the next, where twist bones lie beside the bone itself.
_NEXT = {"upper_arm": "forearm", "forearm": "hand", "thigh": "shin", "shin": "foot"}
_LIMBS = {f"{part}.{side}": f"{after}.{side}" for part, after in _NEXT.items() for side in "LR"}
_BESIDE = 0.15  # of a limb's length: a twist bone and its skin lie no farther from the limb's line


_T = TypeVar("_T", Array, IntArray)


def carry(rig: Rig, owners: IntArray, driven: Iterable[int], joints: dict[str, Array]) -> tuple[IntArray, set[int]]:
    """Owners (B,) and driven bones with those added that hold skin and would not move with the body.

    owners: index into LINK_NAMES, -1 for none. joints: link -> joint at rest, world.
    """
    driven = set(driven)
    if rig.skin is None or not len(rig.skin.vertices):
        return owners, driven
    owners = _twists(rig, _followed(rig, owners), driven, joints)
    lengths = [np.linalg.norm(joints[f"{_NEXT[part]}.L"] - joints[f"{part}.L"]) for part in ("thigh", "shin")]
    holds = _heaviest(rig) > LEAST
    for bone in range(len(rig.bones)):
        if not holds[bone]:
            continue
        if owners[bone] < 0:
            owners = _with(owners, bone, _part_of(rig, bone, owners, driven, float(np.sum(lengths))))
        if owners[bone] >= 0 and not _moves(rig, bone, driven, owners, set()):
            driven.add(bone)
    return owners, driven


def _with(owners: IntArray, bone: int, link: int) -> IntArray:
    owners = owners.copy()
    owners[bone] = link
    return owners


def _skin(rig: Rig) -> Skin:
    """The skin of a rig that has one."""
    assert rig.skin is not None
    return rig.skin


def _heaviest(rig: Rig) -> Array:
    """The greatest weight (B,) by which each bone holds a vertex."""
    skin, heaviest = _skin(rig), np.zeros(len(rig.bones) + 1)
    np.maximum.at(heaviest, skin.bones.ravel(), skin.weights.ravel())  # bone -1 writes the last entry
    return heaviest[:-1]


def _followed(rig: Rig, owners: IntArray) -> IntArray:
    """Owners with those of bones that follow others, such as deforming bones that copy controls."""
    owners = owners.copy()
    for bone, followed in rig.follows.items():
        known = {owners[target] for target in followed if target >= 0 and owners[target] >= 0}
        if owners[bone] < 0 and len(known) == 1:
            owners[bone] = known.pop()
    return owners


def _moves(rig: Rig, bone: int, driven: set[int], owners: IntArray, seen: set[int]) -> bool:
    """Whether a bone moves with its own part of the body once the driven bones do."""
    if bone in driven:
        return True
    if bone < 0 or bone in seen:
        return False
    seen = seen | {bone}
    if bone in rig.follows:
        return all(_moves(rig, target, driven, owners, seen) for target in rig.follows[bone])
    parent = rig.parents[bone]
    return parent >= 0 and owners[parent] == owners[bone] and _moves(rig, parent, driven, owners, seen)


def _part_of(rig: Rig, bone: int, owners: IntArray, driven: set[int], leg: float) -> int:
    """The link that a bone with skin belongs to: by hierarchy, else by skin; -1 for a thing beside the body."""
    stand_ins = _stand_ins(rig, owners, driven)
    for start in (bone, *(target for target in rig.follows.get(bone, ()) if target >= 0)):
        for above in rig.ancestors(start):
            if owners[above] >= 0 or above in stand_ins:
                return int(owners[above]) if owners[above] >= 0 else stand_ins[above]
    below = {LINK_NAMES[owners[b]] for b in rig.descendants(bone) if b in driven and owners[b] >= 0}
    if not below:
        return _by_skin(rig, bone, owners, leg)
    link = _common(below)
    parent = LINK_PARENTS[link]
    if parent is None:
        return LINK_NAMES.index(link)
    # what leads to a link's bone is of the link or of the one before it
    candidates = [LINK_NAMES.index(link), LINK_NAMES.index(parent)]
    found = _by_skin(rig, bone, np.where(np.isin(owners, candidates), owners, -1), np.inf)
    return found if found >= 0 else candidates[1]


def _stand_ins(rig: Rig, owners: IntArray, driven: set[int]) -> dict[int, int]:
    """Control bone -> link of the driven bone that follows it: what hangs on the one belongs to the other's part."""
    return {
        target: int(owners[bone])
        for bone, followed in rig.follows.items()
        for target in followed
        if bone in driven and target >= 0 and owners[target] < 0
    }


def _common(links: set[str]) -> str:
    """The link that carries all of several."""
    lines = [_line(link) for link in links]
    return next(link for link in lines[0] if all(link in line for line in lines))


def _line(link: str | None) -> list[str]:
    """A link and those that carry it."""
    line = []
    while link is not None:
        line.append(link)
        link = LINK_PARENTS[link]
    return line


def _by_skin(rig: Rig, bone: int, owners: IntArray, leg: float) -> int:
    """The link whose skin a bone's skin is shared with, else lies nearest to, no farther than _FAR; -1 for none."""
    shares = _shares(rig, bone, owners)
    if shares.max() > LEAST:
        return _most(shares)
    link_of = _vertex_links(rig, owners)
    vertices = _skin(rig).vertices
    own = _thinned(vertices[_weight_of(rig, bone) > LEAST], _SAMPLES[0])
    others = _thinned(np.flatnonzero(link_of >= 0), _SAMPLES[1])
    if not len(others) or not len(own):
        return -1
    away = np.linalg.norm(own[:, None] - vertices[others][None], axis=-1)
    votes = np.bincount(link_of[others[away.argmin(axis=1)]], minlength=len(LINK_NAMES))
    foot = LINK_NAMES[int(votes.argmax())].startswith("foot")
    return _most(votes) if away.min() < (_TOUCHING if foot else _FAR) * leg else -1


def _most(shares: Array | IntArray) -> int:
    """The link with the greatest share (L,); of two sides of the body that share alike, the one that carries both."""
    best = int(shares.argmax())
    part, _, side = LINK_NAMES[best].partition(".")
    other = f"{part}.{'R' if side == 'L' else 'L'}" if side else part
    if other in LINK_NAMES and side and shares[LINK_NAMES.index(other)] > 0.5 * shares[best]:
        return LINK_NAMES.index(_common({LINK_NAMES[best], other}))
    return best


def _thinned(items: _T, most: int) -> _T:
    """At most so many of an array's items, evenly spread."""
    return items[:: -(-len(items) // most)] if len(items) > most else items


def _weight_of(rig: Rig, bone: int) -> Array:
    """Weight (V,) by which a bone holds each vertex."""
    skin = _skin(rig)
    weight: Array = np.where(skin.bones == bone, skin.weights, 0.0).sum(axis=1)
    return weight


def _shares(rig: Rig, bone: int, owners: IntArray) -> Array:
    """How much (L,) of each link's other skin weighs on the vertices that a bone holds."""
    weight = _weight_of(rig, bone)
    held = weight > 0.0
    skin = _skin(rig)
    bones, weights = skin.bones[held], skin.weights[held] * weight[held, None]
    links = np.append(owners, -1)[bones]
    counted = (links >= 0) & (bones != bone)
    return np.bincount(links[counted], weights=weights[counted], minlength=len(LINK_NAMES)).astype(float)


def _vertex_links(rig: Rig, owners: IntArray) -> IntArray:
    """The link (V,) of each vertex's heaviest bone, -1 for none."""
    skin = _skin(rig)
    heaviest = np.take_along_axis(skin.bones, skin.weights.argmax(axis=1)[:, None], axis=1)[:, 0]
    links: IntArray = np.append(owners, -1)[heaviest]
    return links


def _twists(rig: Rig, owners: IntArray, driven: set[int], joints: dict[str, Array]) -> IntArray:
    """Owners with those of twist bones that hang beside a limb's bone instead of on it: they go with the limb.

    Such a bone carries none, lies along the limb, and holds skin that it shares with the limb's bone most of all.
    """
    holds = _heaviest(rig) > LEAST
    for bone in np.flatnonzero(holds & (owners >= 0)).tolist():
        if bone in driven or any(holds[child] for child in rig.children[bone]):
            continue
        carrier = LINK_NAMES[owners[bone]]
        limbs = [limb for limb in _LIMBS if LINK_PARENTS[limb] == carrier and _lies_along(rig, bone, limb, joints)]
        if not limbs:
            continue
        shares = _shares(rig, bone, owners)
        best = LINK_NAMES[int(shares.argmax())]
        if best in limbs and shares.max() > LEAST and shares.max() > 2.0 * np.partition(shares, -2)[-2]:
            owners = _with(owners, bone, LINK_NAMES.index(best))
    return owners


def _lies_along(rig: Rig, bone: int, limb: str, joints: dict[str, Array]) -> bool:
    """Whether a bone begins on a limb's line and the middle of its skin lies beside the limb."""
    start, line = joints[limb], joints[_LIMBS[limb]] - joints[limb]
    weight = _weight_of(rig, bone)
    middle = weight @ _skin(rig).vertices / weight.sum()
    along = [float((point - start) @ line / (line @ line)) for point in (rig.heads[bone], middle)]
    away = [np.linalg.norm(p - start - line * t) for p, t in zip((rig.heads[bone], middle), along, strict=True)]
    near = max(away) < _BESIDE * np.linalg.norm(line)
    return bool(near and -_BESIDE < along[0] < 1.0 and 0.15 < along[1] < 1.0)
