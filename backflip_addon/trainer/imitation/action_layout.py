# SPDX-License-Identifier: GPL-3.0-or-later
"""Where each joint's numbers stand in an action, and how they turn the joint's target."""

from __future__ import annotations

import numpy as np

from ...core import rotations
from ...core.arrays import Array, IntArray
from ...core.body import Body

NUMBERS_OF_JOINT = {"spherical": 3, "hinge": 1}  # a rotation vector; an angle about the hinge's axis


class ActionLayout:
    """Actions of a body: width numbers, rad, three a spherical joint and one a hinge, in the links' order.

    columns: a moving link -> its columns. axes: a hinge's link -> its axis, unit, in the joint's frame.
    """

    def __init__(self, body: Body) -> None:
        self.links = len(body.links)
        self.columns: dict[int, IntArray] = {}
        self.axes = {i: np.array(link.axis) for i, link in enumerate(body.links) if link.joint == "hinge"}
        self.width = 0
        for i, link in enumerate(body.links):
            numbers = NUMBERS_OF_JOINT.get(link.joint, 0)
            if numbers:
                self.columns[i] = np.arange(self.width, self.width + numbers)
                self.width += numbers

    def rotation_vectors(self, offsets: Array) -> Array:
        """Offsets (..., width), rad, as a rotation vector a link (..., L, 3), rad, in the joints' frames."""
        vectors = np.zeros((*offsets.shape[:-1], self.links, 3))
        for link, columns in self.columns.items():
            own = offsets[..., columns]
            vectors[..., link, :] = own * self.axes[link] if link in self.axes else own
        return vectors

    def offset_targets(self, targets: Array, offsets: Array) -> Array:
        """Joint targets (..., L, 4), each turned by its offsets (..., width), rad, in the joint's own frame."""
        return rotations.multiply(targets, rotations.from_rotation_vector(self.rotation_vectors(offsets)))

    def offsets_to(self, targets: Array, joints: Array) -> Array:
        """The offsets (..., width), rad, that turn targets (..., L, 4) into joint rotations (..., L, 4)."""
        turns = rotations.to_rotation_vector(rotations.multiply(rotations.conjugate(targets), joints))
        offsets = np.zeros((*turns.shape[:-2], self.width))
        for link, columns in self.columns.items():
            own = turns[..., link, :]
            offsets[..., columns] = own @ self.axes[link][:, None] if link in self.axes else own
        return offsets
