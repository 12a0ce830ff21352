# SPDX-License-Identifier: GPL-3.0-or-later
"""Body roles of a skeleton whose names tell nothing: by symmetry, chains, proportions and motion.

Every two pairs of like limbs (core.rigs.limbs) are tried as legs and arms and held against a body: legs
away from the head, knees and elbows halfway, hips near each other, feet lowest. A joint's position is
judged at rest and, of a clip, in its frames. Feet point forward, knees bend forward and elbows
backward, and that tells left from right.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import cached_property

import numpy as np

from .. import rotations
from ..arrays import Array
from . import limbs
from .limbs import Joints, Pair
from .rig import Rig

_MOST_STANCES = 24  # frames of a clip that are looked at
_ARM_TO_LEG, _TRUNK_TO_LEG = 0.72, 0.62  # of adults; cartoons are far off, so these count little
_WIDEST_HIPS = 0.3  # half the distance of the hips, in leg lengths: straddled knees are further apart
_HEAD_HEIGHT = 0.3  # of the head's joint above the shoulders, in lengths of the trunk
_MOST_TRIED = 6  # frames of a clip that are tried as its rest pose
_CLEAR = 3.0  # fitness of what is a body without doubt
_WORST = 1.0  # fitness of what is no body


@dataclasses.dataclass(frozen=True, eq=False)
class _Limb:
    """A pair of limbs as legs or arms. joints: indices into the chains, see limbs.joints. likeness: to a body's."""

    pair: Pair
    joints: Joints
    likeness: float

    @property
    def length(self) -> float:
        """From the limb's first joint to its last, along it, world units."""
        first, _, last = self.joints
        return float(self.pair.along[last] - self.pair.along[first])

    @cached_property
    def toes(self) -> Array:
        """From the ankles to what hangs on the feet (2, 3), see _toes; little where nothing does."""
        toes, sure = _toes(self.pair.rig, self.pair, self.joints[2], self.length)
        return toes if sure else 0.05 * toes

    def at(self, positions: Array) -> Array:
        """The three joints of both limbs (2, 3, 3 or F, 2, 3, 3), where bones' heads are at positions (..., B, 3)."""
        bones = [[chain[min(j, len(chain) - 1)] for j in self.joints] for chain in self.pair.chains]
        return positions[..., bones, :]


@dataclasses.dataclass(frozen=True)
class _Body:
    """Legs and arms that go together."""

    legs: _Limb
    arms: _Limb
    fitness: float


def guess(rig: Rig, positions: Array | None = None, sides: Mapping[str, str] | None = None) -> dict[str, str]:
    """role -> bone name, as far as the skeleton's structure tells; empty where it is no humanoid.

    positions (F, B, 3): the joints in a clip's frames, world. sides: bone name -> "L" or "R" where names tell it.
    """
    stances = _stances(rig, positions)
    body = _best(rig, stances)
    if positions is not None and (body is None or body.fitness < _CLEAR):
        body = max([body, *_in_frames(rig, stances)], key=lambda found: found.fitness if found else -np.inf)
    if body is None:
        return {}
    rig = body.legs.pair.rig
    legs, arms = body.legs, body.arms
    pelvis, chest = legs.pair.node, arms.pair.node
    bones = {"pelvis": pelvis, "chest": chest}
    trunk = rig.chain(pelvis, chest)
    if pelvis in rig.ancestors(chest) and trunk and trunk[0] != chest:
        bones["spine"] = trunk[0]
    up, across = _axes(legs.at(rig.heads), arms.at(rig.heads))
    bones |= _head(rig, body, up, across)
    if "neck" not in bones and _is_neck(rig, body, up, trunk):
        bones |= {"chest": trunk[-2], "neck": chest}
        if bones.get("spine") == trunk[-2]:
            del bones["spine"]
    order = _left_first(rig, body, np.concatenate([rig.heads[None], stances[1:]]), sides or {})
    for limb, names in ((legs, ("thigh", "shin", "foot")), (arms, ("upper_arm", "forearm", "hand"))):
        for side, i in zip("LR", order[limb is arms], strict=True):
            chain = limb.pair.chains[i]
            for name, joint in zip(names, limb.joints, strict=True):
                if joint < len(chain):
                    bones[f"{name}.{side}"] = chain[joint]
            bones |= _ends(rig, limb, i, side, chest if limb is arms else -1)
    return {role: rig.bones[bone] for role, bone in bones.items()}


def _stances(rig: Rig, positions: Array | None) -> Array:
    """The rest pose, and frames of the clip (S, B, 3)."""
    if positions is None or not len(positions):
        return rig.heads[None]
    picked = np.linspace(0, len(positions) - 1, min(_MOST_STANCES, len(positions))).astype(int)
    return np.concatenate([rig.heads[None], positions[picked]])


def _in_frames(rig: Rig, stances: Array) -> list[_Body]:
    """What is found with frames of the clip as the rest pose: some files have all limbs along one axis there."""
    found = []
    lengths = np.linalg.norm(rig.tails - rig.heads, axis=1, keepdims=True)
    parents = np.array(rig.parents)
    for heads in stances[1 :: max(1, len(stances) // _MOST_TRIED)]:
        rest = rig.rest.copy()
        rest[:, :3, 3] = heads
        tails = heads + lengths * rotations.normalise(heads - heads[np.maximum(parents, 0)])
        posed = dataclasses.replace(rig, rest=rest, tails=tails, skin=None)
        body = _best(posed, np.concatenate([heads[None], stances[1:]]))
        if body is not None:
            found.append(body)
    return found


def _best(rig: Rig, stances: Array) -> _Body | None:
    """The legs and arms that are most like a body's."""
    pairs = limbs.pairs(rig)
    bends = [_bends(pair, stances) for pair in pairs]
    legs = [_limb(pair, "leg", 0.0, bend) for pair, bend in zip(pairs, bends, strict=True)]
    best: _Body | None = None
    for leg in legs:
        if leg is None:
            continue
        points = leg.at(rig.heads)
        width = float(np.linalg.norm(points[0, 0] - points[1, 0])) / 2
        bodies = []
        for pair, bend in zip(pairs, bends, strict=True):
            if pair.node == leg.pair.node or pair.node in leg.pair.bones or leg.pair.node in pair.bones:
                continue
            # collar bones begin near the middle of the body, upper arms about as far out as the hips
            arm = _limb(pair, "arm", 0.75 * width, bend)
            if arm is not None:
                bodies.append(_Body(leg, arm, _fitness(rig, leg, arm, stances, best.fitness if best else -np.inf)))
        found = _with_lowest_arms(rig, bodies)
        if found is not None and (best is None or found.fitness > best.fitness):
            best = found
    return best if best is not None and best.fitness > _WORST else None


def _with_lowest_arms(rig: Rig, bodies: list[_Body]) -> _Body | None:
    """The fittest of bodies with the same legs, or a little less fit one: hair and ears branch off above the arms."""
    best = max(bodies, key=lambda body: body.fitness, default=None)
    if best is None:
        return None
    below = rig.ancestors(best.arms.pair.node)[1:]
    for body in bodies:
        if body.arms.pair.node in below and body.fitness > best.fitness - 0.5 and body.arms.likeness > 0.5:
            return _Body(body.legs, body.arms, best.fitness)
    return best


def _limb(pair: Pair, kind: str, least: float, bends: Array | None) -> _Limb | None:
    found = limbs.joints(pair, kind, least, bends)
    return _Limb(pair, *found) if found else None


def _bends(pair: Pair, stances: Array) -> Array | None:
    """How far the limbs bend at each joint over a motion (C,), radians; None where nothing moves."""
    count = len(pair.chains[0])
    if len(stances) < 4:
        return None
    found = np.zeros(count)
    far = 0.02 * pair.reach
    for i in range(1, count):
        before = [j for j in range(i) if pair.along[i] - pair.along[j] > far]
        after = [j for j in range(i + 1, count) if pair.along[j] - pair.along[i] > far]
        if not before or not after:
            continue
        for chain in pair.chains:
            a, b, c = (stances[1:, chain[j]] for j in (before[-1], i, after[0]))
            cosines = np.sum(rotations.normalise(b - a) * rotations.normalise(c - b), axis=1)
            angles = np.arccos(np.clip(cosines, -1.0, 1.0))
            found[i] = max(found[i], float(np.ptp(angles)))
    return found if found.max() > np.radians(10.0) else None


def _axes(legs: Array, arms: Array) -> tuple[Array, Array]:
    """Unit directions (..., 3): up along the trunk, and across it from the second limbs to the first.

    legs, arms (..., 2, 3, 3): joints, see _Limb.at; the arms' order is made the legs'.
    """
    up = rotations.normalise(arms[..., 0, :].mean(axis=-2) - legs[..., 0, :].mean(axis=-2))
    hips = rotations.normalise(legs[..., 0, 0, :] - legs[..., 1, 0, :])
    shoulders = rotations.normalise(arms[..., 0, 0, :] - arms[..., 1, 0, :])
    same = np.sign(np.sum(hips * shoulders, axis=-1, keepdims=True))
    across = hips + shoulders * np.where(same == 0, 1.0, same)
    across = across - up * np.sum(across * up, axis=-1, keepdims=True)
    return up, rotations.normalise(across)


def _fitness(rig: Rig, leg: _Limb, arm: _Limb, stances: Array, best: float) -> float:
    """How much legs and arms are like a body's; a person's are above 3. Rough where it stays below best."""
    size = limbs.size_of(rig)
    legs, arms = leg.at(stances), arm.at(stances)
    up, across = _axes(legs, arms)
    hips, shoulders = legs[..., 0, :].mean(axis=1), arms[..., 0, :].mean(axis=1)
    down = rotations.normalise(legs[..., 2, :].mean(axis=1) - hips)
    apart = (rotations.normalise(limb[:, 0, 0] - limb[:, 1, 0]) for limb in (legs, arms))
    posture = -np.sum(down * up, axis=1) + 0.7 * np.abs(np.sum(np.multiply(*apart), axis=1))
    score = float(max(posture[0], np.median(posture)))
    score += leg.likeness + arm.likeness
    score += 0.6 * float(np.log(leg.length / size)) + 0.25 * float(np.log(arm.length / size))
    trunk = max(float(np.linalg.norm(shoulders[0] - hips[0])), 1e-3 * size)
    score -= min(1.5, 1.0 * float(np.log(arm.length / leg.length / _ARM_TO_LEG)) ** 2)
    score -= min(1.5, 0.3 * float(np.log(trunk / leg.length / _TRUNK_TO_LEG)) ** 2)
    width = float(np.linalg.norm(legs[0, 0, 0] - legs[0, 1, 0])) / 2 / leg.length
    score -= 4.0 * max(0.0, width - _WIDEST_HIPS)
    score -= leg.pair.lopsided + arm.pair.lopsided
    score += 0.4 * any(arm.pair.fans[2:])  # fingers
    score -= 1.5 * (leg.pair.node not in rig.ancestors(arm.pair.node))
    score += _ahead(leg, arm, up[0], across[0])
    if score + 1.0 < best:
        return score
    score += 0.4 * _lowest(rig, leg, hips[0] - shoulders[0])
    return score + 0.6 * bool(_risers(rig, arm.pair, arm.pair.node, up[0], across[0]))


def _lowest(rig: Rig, leg: _Limb, down: Array) -> bool:
    """Whether nothing of the body hangs lower than the feet."""
    down = rotations.normalise(down)
    below = rig.heads[rig.descendants(leg.pair.node)] @ down
    feet = rig.heads[sorted(leg.pair.bones)] @ down
    return bool(feet.max() >= below.max() - 0.05 * leg.length)


def _ahead(leg: _Limb, arm: _Limb, up: Array, across: Array) -> float:
    """How far the arms reach forward of their beginning, in their lengths: wings lie behind the back.

    Without feet or knees that tell forward, 0.
    """
    ahead = np.cross(across, up)
    rig = leg.pair.rig
    forward = float((leg.toes @ ahead).mean() + (_bend(leg.at(rig.heads)) @ ahead).mean()) / leg.length
    if abs(forward) < 0.004:
        return 0.0
    points = arm.pair.points[:, :-1] - rig.heads[arm.pair.node]
    return float(np.sign(forward) * (points @ ahead).mean()) / arm.pair.reach


def _toes(rig: Rig, pair: Pair, last: int, length: float) -> tuple[Array, bool]:
    """From each ankle to the middle of what hangs on the foot (2, 3), world units, and whether something does.

    That is bones, or skin; without them the foot's own tip, which may point anywhere.
    """
    found, sure = [], True
    for chain in pair.chains:
        foot = chain[min(last, len(chain) - 1)]
        below = rig.descendants(foot)[1:]
        far = [b for b in below if np.linalg.norm(rig.heads[b] - rig.heads[foot]) > 0.02 * length]
        middle = rig.heads[far].mean(axis=0) if far else _skin_middle(rig, foot)
        sure = sure and middle is not None
        found.append((rig.tails[foot] if middle is None else middle) - rig.heads[foot])
    return np.array(found), sure


def _skin_middle(rig: Rig, bone: int) -> Array | None:
    """Middle of the skin that hangs on a bone."""
    if rig.skin is not None:
        held = np.where(rig.skin.bones == bone, rig.skin.weights, 0.0).sum(axis=1) > 0.5
        if held.any():
            middle: Array = rig.skin.vertices[held].mean(axis=0)
            return middle
    return None


def _risers(rig: Rig, arms: Pair, chest: int, up: Array, across: Array) -> list[int]:
    """Children of the chest that rise between the arms."""
    size = limbs.size_of(rig)
    base = rig.heads[chest]
    found = []
    for child in rig.children[chest]:
        if child in arms.bones:
            continue
        points = rig.heads[rig.descendants(child)] - base
        if (points @ up).max() <= 0.01 * size or abs((points @ across).mean()) > 0.1 * size:
            continue
        found.append(child)
    return sorted(found, key=lambda child: -float(((rig.heads[rig.descendants(child)] - base) @ up).max()))


def _head(rig: Rig, body: _Body, up: Array, across: Array) -> dict[str, int]:
    """Neck and head: of what rises from between the arms the bone about as high as a head's joint is."""
    legs, arms = body.legs.at(rig.heads), body.arms.at(rig.heads)
    risers = _risers(rig, body.arms.pair, body.arms.pair.node, up, across)
    if not risers:
        return {}
    size = limbs.size_of(rig)
    line = [risers[0]]
    while True:
        at = rig.heads[line[-1]]
        onward = [
            child
            for child in rig.children[line[-1]]
            if abs((rig.heads[child] - at) @ across) < 0.01 * size and (rig.heads[child] - at) @ up > -1e-4 * size
        ]
        if not onward:
            break
        line.append(max(onward, key=lambda child: float((rig.heads[rig.descendants(child)] @ up).max())))
    shoulders = arms[:, 0].mean(axis=0)
    trunk = float((shoulders - legs[:, 0].mean(axis=0)) @ up)

    def unlike(i: int) -> float:
        height = float((rig.heads[line[i]] - shoulders) @ up) / trunk
        far = [c for c in rig.children[line[i]] if np.linalg.norm(rig.heads[c] - rig.heads[line[i]]) > 0.01 * size]
        # face and hair branch off the head; below it is a neck
        return abs(float(np.log(max(height, 0.02) / _HEAD_HEIGHT))) - 0.7 * (len(far) > 1) + 0.5 * (i == 0)

    head = min(range(len(line)), key=unlike)
    return {"neck": line[0], "head": line[head]} if head else {"head": line[0]}


def _is_neck(rig: Rig, body: _Body, up: Array, trunk: list[int]) -> bool:
    """Whether the arms hang on a neck: as high as they, on a trunk of several bones, with the head above it."""
    legs, arms = body.legs.at(rig.heads), body.arms.at(rig.heads)
    shoulders = arms[:, 0].mean(axis=0)
    height = float((shoulders - legs[:, 0].mean(axis=0)) @ up)
    return len(trunk) >= 3 and float((rig.heads[trunk[-1]] - shoulders) @ up) > -0.05 * height


def _ends(rig: Rig, limb: _Limb, i: int, side: str, chest: int) -> dict[str, int]:
    """The collar bone of an arm (chest: what the arms hang on), the toe of a leg (chest: -1)."""
    chain, (first, _, last) = limb.pair.chains[i], limb.joints
    if chest >= 0:
        line = rig.chain(chest, chain[first])
        return {f"shoulder.{side}": line[-2]} if len(line) > 1 else {}
    along = limb.pair.along
    toe = next((j for j in range(last + 1, len(chain)) if along[j] - along[last] > 0.02 * limb.length), None)
    return {f"toe.{side}": chain[toe]} if toe is not None else {}


def _left_first(
    rig: Rig, body: _Body, stances: Array, sides: Mapping[str, str]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Which of the two chains is the left one, and which the right one: of the legs, of the arms."""
    named = [_named_side(rig, limb.pair, sides) for limb in (body.legs, body.arms)]
    legs, arms = body.legs.at(stances), body.arms.at(stances)
    hips, shoulders = legs[:, 0, 0] - legs[:, 1, 0], arms[:, 0, 0] - arms[:, 1, 0]
    # the arms' first chain lies on the side of the legs' first one
    like = float(np.sign(np.sum(hips * shoulders, axis=1)).mean()) >= 0.0
    if named[0] or named[1]:
        total = named[0] + (named[1] if like else -named[1])
        left = total > 0
    else:
        left = _forward_votes(body, stances) >= 0.0
    first, second = ((0, 1), (1, 0)) if left else ((1, 0), (0, 1))
    return first, (first if like else second)


def _named_side(rig: Rig, pair: Pair, sides: Mapping[str, str]) -> int:
    """Above 0 where names say that a pair's first chain is the left one, below 0 that it is the right one."""
    votes = [{"L": 1, "R": -1}.get(sides.get(rig.bones[b], ""), 0) for b in pair.chains[0]]
    votes += [{"L": -1, "R": 1}.get(sides.get(rig.bones[b], ""), 0) for b in pair.chains[1]]
    return sum(votes)


def _forward_votes(body: _Body, stances: Array) -> float:
    """Above 0 where the character looks ahead if the legs' first chain is the left one.

    Where nothing tells, whether it looks to -Y then.
    """
    legs, arms = body.legs.at(stances), body.arms.at(stances)
    up, across = _axes(legs, arms)
    ahead = np.cross(across, up)
    length = body.legs.length
    votes = float((body.legs.toes @ ahead[0]).mean()) / length
    for limb, sign in ((legs, 1.0), (arms, -0.7)):
        bend = _bend(limb)  # (S, 2, 3)
        along = np.sum(bend * ahead[:, None], axis=-1).mean(axis=1) / length
        votes += sign * (float(along[0]) + 2.0 * float(along[1:].mean() if len(along) > 1 else 0.0))
    # hands are mostly held before the body
    hands = np.sum((arms[..., 2, :] - arms[..., 0, :]).mean(axis=1) * ahead, axis=-1) / length
    votes += 0.15 * float(hands[0]) + 0.3 * float(hands[1:].mean() if len(hands) > 1 else 0.0)
    return votes if abs(votes) > 0.003 else -float(ahead[0, 1]) - 1e-3 * float(ahead[0, 0])


def _bend(limb: Array) -> Array:
    """From the line between a limb's ends to its middle joint (..., 2, 3), at right angles to the line."""
    first, middle, last = limb[..., 0, :], limb[..., 1, :], limb[..., 2, :]
    line = rotations.normalise(last - first)
    off = middle - first
    bend: Array = off - line * np.sum(off * line, axis=-1, keepdims=True)
    return bend
