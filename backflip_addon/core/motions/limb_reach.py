# SPDX-License-Identifier: GPL-3.0-or-later
"""Two-bone limbs that reach for a point: legs for where their feet stand, arms for where their hands rest."""

from __future__ import annotations

import dataclasses

import numpy as np

from .. import rotations
from ..arrays import Array
from ..body import Body

SIDES = ("L", "R")
STRAIGHT = 0.05  # rad: a limb that is bent the wrong way by less is straight
_X = np.array([1.0, 0.0, 0.0])


@dataclasses.dataclass(frozen=True)
class Limb:
    """Links (their indices) of a leg or an arm, and the sense in which its middle joint bends about the link's x."""

    upper: int
    lower: int
    end: int
    bend: float

    @staticmethod
    def leg(body: Body, side: str) -> Limb:
        """Hip, knee and ankle."""
        return Limb(body.index(f"thigh.{side}"), body.index(f"shin.{side}"), body.index(f"foot.{side}"), 1.0)

    @staticmethod
    def arm(body: Body, side: str) -> Limb:
        """Shoulder, elbow and wrist."""
        return Limb(body.index(f"upper_arm.{side}"), body.index(f"forearm.{side}"), body.index(f"hand.{side}"), -1.0)

    def longest(self, body: Body) -> float:
        """From the upper joint to the end's, m, stretched."""
        a, b, c, level = _distances(*self._bones(body))
        return float(np.sqrt(level + 2 * (a + np.hypot(b, c))))

    def _bones(self, body: Body) -> tuple[Array, Array]:
        return np.array(body.links[self.lower].offset), np.array(body.links[self.end].offset)

    def reaching(self, body: Body, upper: Array, lower: Array, away: Array) -> tuple[Array, Array]:
        """Orientations (..., 4) of the upper and lower link whose end lies away (..., 3) from the upper joint.

        From the orientations upper and lower (..., 4), world, in the limb's own plane; a point out of reach is
        reached for.
        """
        first, second = self._bones(body)
        a, b, c, level = _distances(first, second)
        cosine = ((np.sum(away**2, axis=-1) - level) / 2 - a) / max(float(np.hypot(b, c)), 1e-9)
        straight = np.arctan2(c, b)
        angle = rotations.twist_angle(rotations.multiply(rotations.conjugate(upper), lower), _X)
        # A straight limb bends as such limbs do; one that mostly leans the other way goes on doing so. Frame by frame,
        # one that is all but straight would snap to and fro
        backward = np.mean(self.bend * (angle - straight) < -STRAIGHT) > 0.5
        angle = straight + (-self.bend if backward else self.bend) * np.arccos(np.clip(cosine, -1.0, 1.0))
        bent = rotations.from_axis_angle(_X, angle)
        line = first + rotations.rotate(bent, second)
        turned = rotations.multiply(rotations.between_vectors(rotations.rotate(upper, line), away), upper)
        return turned, rotations.multiply(turned, bent)


def _distances(first: Array, second: Array) -> tuple[float, float, float, float]:
    """a, b, c and level of |first + Rx(t) second|^2 = level + 2 (a + b cos t + c sin t)."""
    a = float(first[0] * second[0])
    b = float(first[1] * second[1] + first[2] * second[2])
    c = float(first[2] * second[1] - first[1] * second[2])
    return a, b, c, float(first @ first + second @ second)
