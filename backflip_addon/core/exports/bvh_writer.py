# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing a skeleton's motion in Biovision's BVH format, y up, as most programs read it.

Every joint is unturned at rest, so its channels tell how far its bone has turned from there, whatever axes the
bone has. The root's position is in its channels alone: with no offset, programs that add the two and programs
that take the channels for the whole agree.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from .. import batched_linalg
from ..arrays import Array, BoolArray

_TO_Y_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
_POSITION, _ROTATION = "Xposition Yposition Zposition", "Zrotation Yrotation Xrotation"
_SLIDES = 1e-4  # of the skeleton's size: a joint that moves more against its parent has its position written, too
Plan = list[tuple[int, bool]]  # joints in the order in which they are written, and whether their position is


def local_rotations(rest: Array, matrices: Array, parents: Sequence[int]) -> Array:
    """Rotations (F, B, 3, 3) of the joints against their parents, y up, the identity at rest.

    rest (B, 4, 4), matrices (F, B, 4, 4): world, z up, without scale. A root has parent -1.
    """
    world = matrices[..., :3, :3] @ np.swapaxes(rest[:, :3, :3], -1, -2)
    world = _TO_Y_UP @ world @ _TO_Y_UP.T
    local = np.array(world)
    for bone, parent in enumerate(parents):
        if parent >= 0:
            local[:, bone] = np.swapaxes(world[:, parent], -1, -2) @ world[:, bone]
    return local


def bvh_text(
    names: Sequence[str],
    parents: Sequence[int],
    rest: Array,
    tails: Array,
    matrices: Array,
    eulers: Array,
    rate: float,
    title: str,
) -> str:
    """The file's text. Lengths are written as they are given.

    tails (B, 3): world, at rest. eulers (F, B, 3): local_rotations as angles about x, y, z, rad, of the matrix
    Rz Ry Rx. rate: frames a second. title: the name of a joint above all where the skeleton has several roots.
    """
    heads = rest[:, :3, 3] @ _TO_Y_UP.T
    ends = tails @ _TO_Y_UP.T
    positions = matrices[..., :3, 3] @ _TO_Y_UP.T
    children = [[b for b, parent in enumerate(parents) if parent == bone] for bone in range(-1, len(names))]
    several = len(children[0]) > 1
    slides = _sliding(rest, matrices, parents)
    plain = _plain(names)
    lines, plan = ["HIERARCHY"], []

    def write(bone: int, word: str, indent: str) -> None:
        parent = parents[bone]
        placed = bool(parent < 0 or slides[bone])
        offset = np.zeros(3) if parent < 0 else heads[bone] - heads[parent]
        channels = f"6 {_POSITION} {_ROTATION}" if placed else f"3 {_ROTATION}"
        lines.extend([f"{indent}{word} {plain[bone]}", f"{indent}{{"])
        lines.extend([f"{indent}\tOFFSET {_numbers(offset)}", f"{indent}\tCHANNELS {channels}"])
        plan.append((bone, placed))
        for child in children[bone + 1]:
            write(child, "JOINT", indent + "\t")
        if not children[bone + 1]:
            lines.extend([f"{indent}\tEnd Site", f"{indent}\t{{"])
            lines.extend([f"{indent}\t\tOFFSET {_numbers(ends[bone] - heads[bone])}", f"{indent}\t}}"])
        lines.append(f"{indent}}}")

    if several:
        lines += [f"ROOT {_plain([title])[0]}", "{", "\tOFFSET 0 0 0", f"\tCHANNELS 6 {_POSITION} {_ROTATION}"]
    for root in children[0]:
        write(root, "JOINT" if several else "ROOT", "\t" if several else "")
    lines += ["}"] if several else []
    values = _values(plan, parents, positions, matrices, rest, np.degrees(eulers))
    if several:
        values = np.concatenate([np.zeros((len(values), 6)), values], axis=1)
    lines += ["MOTION", f"Frames: {len(values)}", f"Frame Time: {1.0 / rate:.9f}"]
    lines += [_numbers(row) for row in values]
    return "\n".join(lines) + "\n"


def _sliding(rest: Array, matrices: Array, parents: Sequence[int]) -> BoolArray:
    """Whether each joint (B,) moves against its parent."""
    size = float(np.ptp(rest[:, :3, 3], axis=0).max())
    result = np.zeros(len(parents), dtype=bool)
    for bone, parent in enumerate(parents):
        if parent >= 0:
            at_rest = (batched_linalg.inverse(rest[parent]) @ rest[bone])[:3, 3]
            moved = (batched_linalg.inverse(matrices[:, parent]) @ matrices[:, bone])[:, :3, 3]
            result[bone] = np.linalg.norm(moved - at_rest, axis=-1).max() > _SLIDES * size
    return result


def _values(
    plan: Plan, parents: Sequence[int], positions: Array, matrices: Array, rest: Array, degrees: Array
) -> Array:
    """The rows of numbers (F, N). A position is in the parent's axes, which are the file's where it is unturned."""
    columns = []
    for bone, placed in plan:
        parent = parents[bone]
        if placed and parent < 0:
            columns.append(positions[:, bone])
        elif placed:
            turn = matrices[:, parent, :3, :3] @ rest[parent, :3, :3].T
            turn = _TO_Y_UP @ turn @ _TO_Y_UP.T
            columns.append(np.einsum("fji,fj->fi", turn, positions[:, bone] - positions[:, parent]))
        columns.append(degrees[:, bone][:, ::-1])  # z, y, x
    return np.concatenate(columns, axis=1)


def _plain(names: Sequence[str]) -> list[str]:
    """Names without the blanks and braces that readers trip over, each of them once."""
    result: list[str] = []
    for name in names:
        base = re.sub(r"[\s{}]+", "_", name).strip("_") or "joint"
        plain, number = base, 1
        while plain in result:
            plain, number = f"{base}_{number}", number + 1
        result.append(plain)
    return result


def _numbers(values: Array) -> str:
    return " ".join(f"{value:.6f}" for value in values)
