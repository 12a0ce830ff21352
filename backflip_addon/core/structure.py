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

_Joints = tuple[int, int, int]

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
    legs, candidates = limbs
    leg_joints = _joints(rig, legs, 0.5 * max(_half_widths(rig, legs)))
    if leg_joints is None:
        return {}
    hips = _middle(rig, legs, leg_joints)
    arms = _arms(rig, legs, leg_joints, candidates, hips)
    # collar bones begin near the middle of the body, upper arms at least as far out as the hips
    arm_joints = _joints(rig, arms, 0.75 * _half_widths(rig, legs)[leg_joints[0]])
    trunk = rig.chain(legs.node, arms.node)
    if arm_joints is None or not trunk:
        return {}
    bones = {"pelvis": legs.node, "chest": arms.node}
    if trunk[0] != arms.node:
        bones["spine"] = trunk[0]
    up = rotations.normalise(_middle(rig, arms, arm_joints) - hips)
    bones |= _head(rig, arms, up)
    left = np.cross(up, forward(rig, legs, leg_joints, up))
    for pair, joints, names, before in (
        (legs, leg_joints, ("thigh", "shin", "foot"), None),
        (arms, arm_joints, ("upper_arm", "forearm", "hand"), "shoulder"),
    ):
        first, middle, last = joints
        sides = [float(rig.heads[chain[middle]] @ left) for chain in pair.chains]
        for i, chain in enumerate(pair.chains):
            side = "L" if sides[i] > sides[1 - i] else "R"
            bones |= {f"{name}.{side}": chain[joint] for name, joint in zip(names, joints, strict=True)}
            if before and first > 0:
                bones[f"{before}.{side}"] = chain[first - 1]
            if not before and last + 1 < len(chain):
                bones[f"toe.{side}"] = chain[last + 1]
    return {role: rig.bones[bone] for role, bone in bones.items()}


def _limb_pairs(rig: Rig) -> tuple[_Pair, list[_Pair]] | None:
    """The pair of legs, and the pairs that may be the arms: wings may reach farther than these."""
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
    pairs.sort(key=lambda pair: (not _symmetric(rig, pair), -pair.reach))
    for i, first in enumerate(pairs):
        for second in pairs[i + 1 :]:
            if second.reach < 0.3 * first.reach:
                continue  # fingers, not arms
            # legs and arms branch off different bones, and one pair must not hold the other
            if second.node == first.node or any(second.node in rig.descendants(c[0]) for c in first.chains):
                continue
            for legs, arms in ((first, second), (second, first)):
                if legs.node in rig.ancestors(arms.node):
                    return legs, [arms, *_like_arms(rig, legs, arms, pairs)]
    return None


def _symmetric(rig: Rig, pair: _Pair) -> bool:
    """Whether all joints of a pair lie apart in one direction, as a leg and a tail do not."""
    apart = np.array([rig.heads[a] - rig.heads[b] for a, b in zip(*pair.chains, strict=False)])
    lengths = np.linalg.norm(apart, axis=1)
    clear = lengths > 0.05 * pair.reach
    if not clear.any():
        return False
    across = apart[int(np.argmax(lengths))] / lengths.max()
    return bool((np.abs(apart[clear] @ across) > 0.9 * lengths[clear]).all())


def _like_arms(rig: Rig, legs: _Pair, arms: _Pair, pairs: list[_Pair]) -> list[_Pair]:
    """Other pairs above the legs that may be arms: their bones are none of these, and not much shorter."""
    taken = {bone for pair in (legs, arms) for chain in pair.chains for bone in rig.descendants(chain[0])}
    return [
        pair
        for pair in pairs
        if pair.reach > 0.25 * arms.reach
        and pair.node != legs.node
        and legs.node in rig.ancestors(pair.node)
        and not {pair.node, pair.chains[0][0], pair.chains[1][0]} & taken
    ]


def _arms(rig: Rig, legs: _Pair, leg_joints: _Joints, candidates: list[_Pair], hips: Array) -> _Pair:
    """Of pairs that may be arms the one that has fingers, or lies least far behind the back."""
    if len(candidates) == 1:
        return candidates[0]
    up = rotations.normalise(rig.heads[candidates[0].node] - hips)
    ahead = forward(rig, legs, leg_joints, up)

    def fitness(pair: _Pair) -> float:
        points = rig.heads[[bone for chain in pair.chains for bone in chain]] - rig.heads[pair.node]
        spread = max(len(rig.children[bone]) for chain in pair.chains for bone in chain[1:])
        above = pair.node not in rig.ancestors(candidates[0].node)  # hair branches off above the arms
        return float((points @ ahead).mean()) / pair.reach + 0.5 * (spread >= 3) - 0.3 * above

    return max(candidates, key=fitness)


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


def _half_widths(rig: Rig, pair: _Pair) -> list[float]:
    """Half the distance of a pair's bones from each other, joint by joint."""
    return [float(np.linalg.norm(rig.heads[a] - rig.heads[b])) / 2 for a, b in zip(*pair.chains, strict=False)]


def _joints(rig: Rig, pair: _Pair, width: float) -> _Joints | None:
    """Places in a pair's chains of a limb's three joints, such as hip, knee and ankle; None where there are none.

    Bones between them (twist bones) are passed over: the two parts of a limb are about equally long.
    width: half the least distance of the first joints from each other.
    """
    widths = _half_widths(rig, pair)
    start = next((i for i, w in enumerate(widths) if w >= 0.98 * width), 0)
    best, joints = 0.0, None
    heads = np.mean([_distances(rig, chain[: len(widths)]) for chain in pair.chains], axis=0)
    # a chain that begins too late to hold a limb is taken from its beginning
    first = start if len(widths) - start >= 3 else 0
    # fingers branch off the hand
    hands = [i for i in range(first + 2, len(widths)) if min(len(rig.children[c[i]]) for c in pair.chains) >= 3]
    for last in hands[:1] or range(first + 2, len(widths)):
        for middle in range(first + 1, last):
            upper, lower = heads[first, middle], heads[middle, last]
            if min(upper, lower) <= 0.0:
                continue
            balance = 1.0 - abs(upper - lower) / (upper + lower)
            worth = balance**4 * (upper + lower)
            if worth > best * 1.0001:
                best, joints = worth, (first, middle, last)
    return joints


def _distances(rig: Rig, chain: list[int]) -> Array:
    """Distances (C, C) of a chain's joints from each other."""
    heads = rig.heads[chain]
    return np.linalg.norm(heads[:, None] - heads[None], axis=-1)


def _middle(rig: Rig, pair: _Pair, joints: _Joints) -> Array:
    """Midpoint (3,) between a pair's first joints."""
    return np.mean([rig.heads[chain[joints[0]]] for chain in pair.chains], axis=0)


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
    if len(chain) == 1 or len(rig.children[chain[0]]) >= 3:
        return {"head": chain[0]}  # hair and face branch off the head
    if len(chain) >= 3 and len(rig.children[chain[1]]) < 3:
        steps = np.linalg.norm(np.diff(rig.heads[chain[:3]], axis=0), axis=1)
        if steps[1] <= 1.5 * steps[0]:
            return {"neck": chain[0], "head": chain[2]}  # two bones of neck
    return {"neck": chain[0], "head": chain[1]}


def forward(rig: Rig, legs: _Pair, joints: _Joints, up: Array) -> Array:
    """The direction (3,) the feet point to; where they do not tell, -Y."""
    total = np.zeros(3)
    for chain in legs.chains:
        foot = chain[joints[2]]
        hip, knee, ankle = (rig.heads[chain[joint]] for joint in joints)
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
