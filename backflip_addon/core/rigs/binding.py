# SPDX-License-Identifier: GPL-3.0-or-later
"""The binding by which a body moves a rig's bones."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ..arrays import Array
from ..body import LINK_NAMES
from ..reading import finite, one_line
from ..rotations import matrix_about_z

BINDING_VERSION = 1
LEAST_SCALE, MOST_SCALE = 1e-6, 1e6  # sim metres per world unit


@dataclasses.dataclass(frozen=True)
class LinkBinding:
    """One link on the rig.

    joint (3,): the link's origin at rest, world units. turn (4,): rotation from the rest pose
    (world) to the neutral pose. bone: the bone that plays the link, "" for a hand without one.
    bones: every bone that the bake writes and that moves rigidly with the link. heads: where each of
    them began at rest, world units; none in bindings of before this was kept.
    """

    name: str
    bone: str
    joint: tuple[float, float, float]
    turn: tuple[float, float, float, float]
    bones: tuple[str, ...]
    heads: tuple[tuple[float, float, float], ...] = ()


@dataclasses.dataclass(frozen=True)
class Binding:
    """How a body hangs on a rig.

    scale: sim metres per world unit. origin (3,): the world point that is the simulation's origin,
    on the floor under the pelvis at rest. yaw: world heading of the character at rest, rad, 0 facing
    -Y. links: in the order of LINK_NAMES. A sim point p lies at origin + Rz(yaw) p / scale.
    """

    scale: float
    origin: tuple[float, float, float]
    yaw: float
    links: tuple[LinkBinding, ...]

    def to_world(self, points: Array) -> Array:
        """World positions (..., 3), Blender's units, of sim points (..., 3), m."""
        world: Array = np.asarray(points) @ matrix_about_z(self.yaw).T / self.scale + np.array(self.origin)
        return world

    def to_sim(self, points: Array) -> Array:
        """The inverse of to_world."""
        sim: Array = (np.asarray(points) - np.array(self.origin)) @ matrix_about_z(self.yaw) * self.scale
        return sim

    @property
    def bones(self) -> dict[str, str]:
        """Bone -> link for every bone that moves with the body, in the links' order."""
        return {bone: link.name for link in self.links for bone in link.bones}

    @property
    def link_bones(self) -> dict[str, str]:
        """Link -> the bone that plays it, for links that have one."""
        return {link.name: link.bone for link in self.links if link.bone}


def to_json(binding: Binding) -> dict[str, Any]:
    """A binding as JSON-ready data."""
    return {"version": BINDING_VERSION, **dataclasses.asdict(binding)}


def from_json(data: dict[str, Any]) -> Binding:
    """The inverse of to_json. Raises ValueError with a sentence on data that is no binding."""
    try:
        if data["version"] != BINDING_VERSION:
            raise ValueError("the binding was written by another version of Backflip")
        links = tuple(
            LinkBinding(
                str(link["name"]),
                str(link["bone"]),
                _floats(link["joint"], 3),
                _floats(link["turn"], 4),
                tuple(map(str, link["bones"])),
                tuple(_floats(head, 3) for head in link.get("heads", ())),
            )
            for link in data["links"]
        )
        binding = Binding(float(data["scale"]), _floats(data["origin"], 3), float(data["yaw"]), links)
    except (KeyError, TypeError, AttributeError, IndexError, OverflowError) as error:
        raise ValueError(one_line(f"the binding is damaged: {error!r} is missing or wrong")) from error
    except ValueError as error:
        raise ValueError(one_line(error)) from error
    if tuple(link.name for link in links) != LINK_NAMES or not LEAST_SCALE < binding.scale < MOST_SCALE:
        raise ValueError("the binding is damaged: its links or its scale are wrong")
    if not abs(binding.yaw) <= 2 * np.pi or not all(abs(np.linalg.norm(link.turn) - 1) < 0.01 for link in links):
        raise ValueError("the binding is damaged: its yaw or a turn is out of range")
    if any(len(link.heads) not in (0, len(link.bones)) for link in links):
        raise ValueError("the binding is damaged: its bones have positions missing")
    return binding


def _floats(values: Any, count: int) -> Any:
    numbers = tuple(float(v) for v in values)
    if len(numbers) != count or not finite(np.array(numbers)):
        raise ValueError("the binding is damaged: it holds numbers that are missing, not finite or far too large")
    return numbers
