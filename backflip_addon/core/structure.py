# SPDX-License-Identifier: GPL-3.0-or-later
"""Body roles of a skeleton whose names tell nothing: by symmetry, chains and heights.

Legs and arms are the two pairs of like chains that reach farthest from where they branch off; the
legs branch off nearer the root. Feet point forward, and that tells left from right.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from . import rotations
from .rig import Rig
from .rotations import Array

_LIKENESS = 0.2  # two limbs of a pair differ in length by less than this part


@dataclasses.dataclass(frozen=True)
class _Pair:
    """Two like chains of bones that branch off the same bone (node); reach: their mean length."""

    node: int
    chains: tuple[list[int], list[int]]
    reach: float


def guess(rig: Rig) -> dict[str, str]:
    """role -> bone name, as far as the skeleton's structure tells; empty where it is no humanoid."""
    limbs = _limb_pairs(rig)
    if limbs is None:
        return {}
    legs, arms = limbs
    leg_start = [_upper_bone(rig, chain) for chain in legs.chains]
    arm_start = [_upper_bone(rig, chain) for chain in arms.chains]
    trunk = rig.chain(legs.node, arms.node)
    if None in leg_start or None in arm_start or arms.node == legs.node or not trunk:
        return {}
    bones = {"pelvis": legs.node, "chest": arms.node}
    if trunk[0] != arms.node:
        bones["spine"] = trunk[0]
    hips, chest = _middle(rig, legs, leg_start), _middle(rig, arms, arm_start)
    up = rotations.normalise(chest - hips)
    bones |= _head(rig, arms, up)
    left = np.cross(up, forward(rig, legs, leg_start, up))
    for pair, starts, names, before in (
        (legs, leg_start, ("thigh", "shin", "foot", "toe"), None),
        (arms, arm_start, ("upper_arm", "forearm", "hand"), "shoulder"),
    ):
        sides = [float(rig.heads[chain[start + 1]] @ left) for chain, start in zip(pair.chains, starts, strict=True)]
        for i, (chain, start) in enumerate(zip(pair.chains, starts, strict=True)):
            side = "L" if sides[i] > sides[1 - i] else "R"
            bones |= {f"{name}.{side}": bone for name, bone in zip(names, chain[start:], strict=False)}
            if before and start > 0:
                bones[f"{before}.{side}"] = chain[start - 1]
    return {role: rig.bones[bone] for role, bone in bones.items()}


def _limb_pairs(rig: Rig) -> tuple[_Pair, _Pair] | None:
    """The pairs of legs and arms."""
    reach = _reaches(rig)
    pairs = []
    for node, below in enumerate(rig.children):
        limbs = [(child, reach[child]) for child in below if reach[child] > 0]
        for i, (a, reach_a) in enumerate(limbs):
            for b, reach_b in limbs[i + 1 :]:
                if abs(reach_a - reach_b) > _LIKENESS * max(reach_a, reach_b) or not _mirrored(rig, node, a, b):
                    continue
                chains = _main_chain(rig, a, reach), _main_chain(rig, b, reach)
                if min(map(len, chains)) >= 3:
                    pairs.append(_Pair(node, chains, (reach_a + reach_b) / 2))
    pairs.sort(key=lambda pair: -pair.reach)
    for i, first in enumerate(pairs):
        for second in pairs[i + 1 :]:
            if second.reach < 0.3 * first.reach:
                break  # fingers, not arms
            # one chain of a pair must not hold the other pair
            inside = {bone for pair in (first, second) for chain in pair.chains for bone in chain[:1]}
            if len(inside) < 4 or any(second.node in rig.descendants(c[0]) for c in first.chains):
                continue
            if first.node in rig.ancestors(second.node):
                return first, second
            if second.node in rig.ancestors(first.node):
                return second, first
    return None


def _reaches(rig: Rig) -> Array:
    """Length of the longest way down from each bone's head, its parent's way to it included."""
    reach = np.zeros(len(rig.bones))
    for bone in range(len(rig.bones) - 1, -1, -1):
        below = max((reach[child] for child in rig.children[bone]), default=0.0)
        parent = rig.parents[bone]
        step = np.linalg.norm(rig.heads[bone] - rig.heads[parent]) if parent >= 0 else 0.0
        reach[bone] = below + step
    return reach


def _main_chain(rig: Rig, bone: int, reach: Array) -> list[int]:
    """Bones from a limb's first down its longest way."""
    chain = [bone]
    while rig.children[chain[-1]]:
        chain.append(max(rig.children[chain[-1]], key=lambda child: reach[child]))
    return chain


def _mirrored(rig: Rig, node: int, a: int, b: int) -> bool:
    """Whether two limbs go apart from their node, rather than side by side as fingers do."""
    ends = [rig.heads[rig.descendants(bone)].mean(axis=0) for bone in (a, b)]
    apart = np.linalg.norm(ends[0] - ends[1])
    sizes = [np.linalg.norm(end - rig.heads[node]) for end in ends]
    return bool(apart > 1e-6 and abs(sizes[0] - sizes[1]) < _LIKENESS * max(sizes))


def _upper_bone(rig: Rig, chain: list[int]) -> int | None:
    """Place in a chain of the bone that begins the limb's two long parts (thigh, upper arm)."""
    heads = rig.heads[chain]
    lengths = np.linalg.norm(np.diff(heads, axis=0), axis=1)
    if len(lengths) < 2:
        return None
    return int(np.argmax(np.minimum(lengths[:-1], lengths[1:])))


def _middle(rig: Rig, pair: _Pair, starts: list[int | None]) -> Array:
    """Midpoint (3,) between a pair's upper bones."""
    return np.mean([rig.heads[chain[s or 0]] for chain, s in zip(pair.chains, starts, strict=True)], axis=0)


def _head(rig: Rig, arms: _Pair, up: Array) -> dict[str, int]:
    """Neck and head: what rises from between the arms."""
    others = [child for child in rig.children[arms.node] if child not in (arms.chains[0][0], arms.chains[1][0])]
    base = rig.heads[arms.node]

    def rise(child: int) -> float:
        return float(((rig.heads[rig.descendants(child)] - base) @ up).max())

    others = [child for child in others if rise(child) > 0]
    if not others:
        return {}
    reach = _reaches(rig)
    chain = _main_chain(rig, max(others, key=rise), reach)
    if len(chain) == 1:
        return {"head": chain[0]}
    if len(chain) >= 3:
        steps = np.linalg.norm(np.diff(rig.heads[chain[:3]], axis=0), axis=1)
        if steps[1] <= 1.5 * steps[0]:
            return {"neck": chain[0], "head": chain[2]}  # two bones of neck
    return {"neck": chain[0], "head": chain[1]}


def forward(rig: Rig, legs: _Pair, starts: list[int | None], up: Array) -> Array:
    """The direction (3,) the feet point to; where they do not tell, -Y."""
    total = np.zeros(3)
    for chain, start in zip(legs.chains, starts, strict=True):
        hip, knee, ankle = (rig.heads[bone] for bone in chain[(start or 0) : (start or 0) + 3])
        foot = chain[(start or 0) + 2]
        ends = rig.heads[rig.descendants(foot)[1:]]
        toe = ends.mean(axis=0) - ankle if len(ends) else _skin_middle(rig, foot) - ankle
        # a knee points forward, too
        line = rotations.normalise(ankle - hip)
        bend = (knee - hip) - line * ((knee - hip) @ line)
        total += toe + bend
    total -= up * (total @ up)
    size = float(np.ptp(rig.heads, axis=0).max())
    return rotations.normalise(total) if np.linalg.norm(total) > 0.01 * size else np.array([0.0, -1.0, 0.0])


def _skin_middle(rig: Rig, bone: int) -> Array:
    """Middle of the skin that hangs on a bone, else the bone's head."""
    if rig.skin is not None:
        held = np.where(rig.skin.bones == bone, rig.skin.weights, 0.0).sum(axis=1) > 0.5
        if held.any():
            return rig.skin.vertices[held].mean(axis=0)
    return rig.heads[bone]
