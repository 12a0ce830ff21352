# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the nodes of a file without bones are the joints of a skeleton."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence

from .rig import FEWEST_BONES

_AT_PARENT = 1e-6  # of the parent's units: a part that stands where its parent does adds no joint


@dataclasses.dataclass(frozen=True)
class Node:
    """A node of a file. children: indices. position (3,): in its parent's frame."""

    children: tuple[int, ...]
    has_mesh: bool
    is_view: bool  # a camera or a lamp
    position: tuple[float, ...]


def skeletons(nodes: Sequence[Node], moved: Collection[int]) -> list[list[int]]:
    """The joints of each tree that is large enough for a character and moves or bears meshes, parents first.

    moved: the nodes that an animation moves, or that are joints for another reason.
    """
    below = {child for node in nodes for child in node.children}
    roots = [i for i in range(len(nodes)) if i not in below]
    return [joints for root in roots if len(joints := _joints(nodes, root, moved)) >= FEWEST_BONES]


def _joints(nodes: Sequence[Node], root: int, moved: Collection[int]) -> list[int]:
    tree = _below(nodes, _top(nodes, root, moved))
    found = [node for node in tree if node in moved or not _is_part_alone(nodes[node])]
    return found if any(nodes[node].has_mesh for node in tree) or any(node in moved for node in tree) else []


def _top(nodes: Sequence[Node], root: int, moved: Collection[int]) -> int:
    """The topmost joint of a tree: below nodes that only hold the whole character, which its armature stands for."""
    while root not in moved and not nodes[root].has_mesh:
        children = nodes[root].children
        large = [child for child in children if len(_below(nodes, child)) >= FEWEST_BONES]
        if len(large) != 1 or any(nodes[child].children for child in children if child not in large):
            break
        root = large[0]
    return root


def _below(nodes: Sequence[Node], top: int) -> list[int]:
    """A node and all below it, parents first."""
    found = [top]
    for node in found:  # grows while it is walked
        found.extend(nodes[node].children)
    return found


def _is_part_alone(node: Node) -> bool:
    """Whether a node that nothing moves is no joint: a camera, a lamp, or a mesh right at the joint above it."""
    if node.children:
        return False
    return node.is_view or (node.has_mesh and max(map(abs, node.position)) < _AT_PARENT)
