# SPDX-License-Identifier: GPL-3.0-or-later
"""An armature at rest as plain arrays, with the skin that hangs on it.

World frame: z up; lengths in Blender's units, whatever they mean for the character (scale is found
by core.rigs.fit). Bones are ordered parents first.
"""

from __future__ import annotations

import dataclasses
from functools import cached_property

import numpy as np

from ..arrays import Array, IntArray

# pelvis, chest, head, two arms of two bones, two legs of three
FEWEST_BONES = 13


class RigError(Exception):
    """A rig that cannot be used; the message is one sentence for the user."""


@dataclasses.dataclass(frozen=True)
class Skin:
    """All bound meshes as one: vertices (V, 3) world, at rest; per vertex K bones and weights.

    bones (V, K) int: index into Rig.bones, -1 where unused. weights (V, K), 0 where unused.
    """

    vertices: Array
    bones: IntArray
    weights: Array


@dataclasses.dataclass(frozen=True)
class Rig:
    """An armature at rest.

    parents: index of each bone's parent, -1 for a root; a parent comes before its children.
    rest (B, 4, 4): world rest matrices without scale: a rotation and the bone's head.
    tails (B, 3): world. deform: the bone moves the skin.
    hints: role -> bone name that the file itself tells (VRM's humanoid map); may be empty.
    follows: bone -> bones that its constraints have it move with, in place of its parent or beside it; -1 stands for
        something outside the rig.
    """

    name: str
    bones: tuple[str, ...]
    parents: tuple[int, ...]
    rest: Array
    tails: Array
    deform: tuple[bool, ...]
    skin: Skin | None = None
    hints: dict[str, str] = dataclasses.field(default_factory=dict)
    follows: dict[int, tuple[int, ...]] = dataclasses.field(default_factory=dict)

    @cached_property
    def bone_index(self) -> dict[str, int]:
        """Index of each bone by name."""
        return {name: i for i, name in enumerate(self.bones)}

    @cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """Indices of each bone's children."""
        found: list[list[int]] = [[] for _ in self.bones]
        for i, parent in enumerate(self.parents):
            if parent >= 0:
                found[parent].append(i)
        return tuple(tuple(c) for c in found)

    @property
    def heads(self) -> Array:
        """Heads (B, 3) of the bones: the joints, world."""
        return self.rest[:, :3, 3]

    def index(self, name: str) -> int:
        """Index of the bone called name. Raises KeyError."""
        return self.bone_index[name]

    def ancestors(self, bone: int) -> list[int]:
        """The bone itself, its parent, and so on up to its root."""
        line = []
        while bone >= 0:
            line.append(bone)
            bone = self.parents[bone]
        return line

    def root_of(self, bone: int) -> int:
        """The root of the tree that the bone belongs to."""
        return self.ancestors(bone)[-1]

    def chain(self, top: int, bone: int) -> list[int]:
        """Bones from top (left out) down to bone (included); [bone] where top is no ancestor."""
        line = self.ancestors(bone)
        return line[: line.index(top)][::-1] if top in line else [bone]

    def common_ancestor(self, a: int, b: int) -> int:
        """The nearest bone above (or equal to) both a and b; -1 in different trees."""
        above = set(self.ancestors(a))
        return next((bone for bone in self.ancestors(b) if bone in above), -1)

    def descendants(self, bone: int) -> list[int]:
        """The bone and everything below it, parents first."""
        below = [bone]
        for i in below:  # grows while it is walked
            below.extend(self.children[i])
        return below

    def part(self, bones: list[int]) -> Rig:
        """A rig of some bones alone, given parents first; without skin."""
        new_index = {bone: i for i, bone in enumerate(bones)}
        return Rig(
            self.name,
            tuple(self.bones[bone] for bone in bones),
            tuple(new_index.get(self.parents[bone], -1) for bone in bones),
            self.rest[bones],
            self.tails[bones],
            tuple(self.deform[bone] for bone in bones),
        )


def check_sound(rig: Rig) -> None:
    """Raises RigError with one sentence when the rig's numbers cannot be worked with."""
    count = len(rig.bones)
    if not count:
        raise RigError(f"{rig.name} has no bones: pick an armature with a humanoid skeleton.")
    if len(set(rig.bones)) != count or len(rig.parents) != count or rig.rest.shape != (count, 4, 4):
        raise RigError(f"{rig.name} could not be read: its bones and their parents do not fit together.")
    if any(not -1 <= parent < i for i, parent in enumerate(rig.parents)):
        raise RigError(f"{rig.name} could not be read: a bone comes before its parent.")
    broken = ~(np.isfinite(rig.rest).all(axis=(1, 2)) & np.isfinite(rig.tails).all(axis=1))
    if broken.any():
        bone = rig.bones[int(np.argmax(broken))]
        raise RigError(
            f"The bone {bone} of {rig.name} has a position that is not a finite number: repair or remove it."
        )
    if rig.skin is not None and not (np.isfinite(rig.skin.vertices).all() and np.isfinite(rig.skin.weights).all()):
        raise RigError(f"The mesh of {rig.name} has vertices or weights that are not finite numbers: repair it first.")
    if count < FEWEST_BONES:
        raise RigError(
            f"{rig.name} has only {count} bones. A character needs at least {FEWEST_BONES}: "
            "hips, chest, head, and elbows, knees and feet on both sides."
        )
    _check_lengths(rig)
    _check_rest_rotations(rig)


def _check_lengths(rig: Rig) -> None:
    size = float(np.ptp(rig.heads, axis=0).max())
    if size < 1e-7:
        raise RigError(f"All bones of {rig.name} have zero length or lie in one point: check the object's scale.")
    lengths = np.linalg.norm(rig.tails - rig.heads, axis=1)
    ends = np.array([not below for below in rig.children])
    # joints without length are common helpers in motion capture; a bone that deforms is none
    empty = (lengths < 1e-7 * size) & ~ends & np.array(rig.deform, dtype=bool)
    stuck = [i for i in np.flatnonzero(empty) if all(_apart(rig, i, c) < 1e-7 * size for c in rig.children[i])]
    if len(stuck) > len(rig.bones) // 2:
        raise RigError(f"{rig.name} has {len(stuck)} bones of zero length: give its bones a length first.")


def _apart(rig: Rig, a: int, b: int) -> float:
    return float(np.linalg.norm(rig.heads[a] - rig.heads[b]))


def _check_rest_rotations(rig: Rig) -> None:
    orientations = rig.rest[:, :3, :3]
    error = np.abs(np.swapaxes(orientations, 1, 2) @ orientations - np.eye(3)).max(axis=(1, 2))
    if (error > 1e-3).any():
        bone = rig.bones[int(np.argmax(error))]
        raise RigError(
            f"The bone {bone} of {rig.name} is sheared or scaled unevenly at rest. Its object, or a parent of that, "
            "is scaled differently along its axes: apply that first (Object > Apply > Scale, Ctrl+A)."
        )
    if (np.linalg.det(orientations) < 0).any():
        raise RigError(f"{rig.name} is mirrored by a negative scale: apply it first (Object > Apply > Scale, Ctrl+A).")
