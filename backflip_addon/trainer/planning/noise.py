# SPDX-License-Identifier: GPL-3.0-or-later
"""Noise that a search draws: what both sides of a body have in common, and what does not pull planted feet apart.

Most stunts move both sides alike, and a search that is told so needs half the samples.

Two feet that bear are a closed chain, which noise in the legs' joints makes slide. While the clip rests on both, noise
x of covariance S is conditioned on their relative motion J x being 0 within SLACK (Matheron's rule; Journel and
Huijbregts 1978):

    x <- x - S J' (J S J' + SLACK^2 I)^-1 (J x + SLACK n),  n standard normal
"""

from __future__ import annotations

import numpy as np

from ...core import rotations
from ...core.arrays import Array
from ...core.body import Body
from ..imitation.action_layout import ActionLayout
from ..imitation.reference_track import Track
from .evolution import KnotDistribution

OTHER_SIDE = {"L": "R", "R": "L"}
SLACK = 0.003  # m, deviation that is left: less than what counts as a slide
ARM = 0.1  # m: half a foot's length, by which a turn of a foot counts as a way
NUDGE = 1e-4  # rad, of the finite differences
WAYS = 6  # of one foot as the other sees it: three along, three about


class Mirror:
    """Draws candidates of a body's actions, so large a share of their variance (0 to 1) symmetric."""

    def __init__(self, body: Body, layout: ActionLayout, share: float) -> None:
        self.share = share
        self._columns, self._signs = np.arange(layout.width), np.ones(layout.width)
        for link, columns in layout.columns.items():
            part, _, side = body.names[link].partition(".")
            other = f"{part}.{OTHER_SIDE[side]}" if side in OTHER_SIDE else part
            twin = layout.columns.get(body.index(other)) if other in body.names else None
            if twin is not None and len(twin) == len(columns):
                self._columns[columns] = twin
                # Mirrored left to right, rotations about y and z turn round
                self._signs[columns] = (1.0, -1.0, -1.0)[: len(columns)]

    def mirrored(self, actions: Array) -> Array:
        """Actions (..., width) of the body seen in a mirror."""
        seen: Array = actions[..., self._columns] * self._signs
        return seen

    def draw(self, plan: KnotDistribution, window: slice, count: int, random: np.random.Generator) -> Array:
        """Candidates (count, K, width): drawn within the window of knots, the mean elsewhere."""
        own, common = random.standard_normal((2, count, *plan.mean[window].shape))
        common = (common + self.mirrored(common)) / np.sqrt(2)
        noise = np.sqrt(1 - self.share) * own + np.sqrt(self.share) * common
        candidates = np.repeat(plan.mean[None], count, axis=0)
        candidates[:, window] += noise * plan.deviation[window]
        return candidates


class PlantedFeet:
    """What a track's knots, so many steps apart, owe to the feet's places.

    jacobians (K, WAYS, width), m/rad: how offsets move the right foot as the left one sees it, its turn times ARM; 0
    where the clip does not rest on both.
    """

    def __init__(self, track: Track, count: int, knot: int) -> None:
        steps = np.minimum(np.arange(count) * knot, track.steps - 1)
        self.jacobians = np.zeros((count, WAYS, track.layout.width))
        for k in np.flatnonzero(track.resting[steps].all(axis=1) & track.resting[steps + 1].all(axis=1)):
            self.jacobians[k] = _jacobian(track, int(steps[k]))

    def condition(self, candidates: Array, plan: KnotDistribution, window: slice, random: np.random.Generator) -> None:
        """Condition the noise that candidates (N, K, width) of a plan have in a window of knots, in place."""
        jacobian = self.jacobians[window]
        noise = candidates[:, window] - plan.mean[window]
        # Of the offsets with the feet's way (K, WAYS, width)
        covariance = plan.deviation[window][:, None] ** 2 * jacobian
        own = np.einsum("kiw,kjw->kij", covariance, jacobian) + SLACK**2 * np.eye(WAYS)
        moved = np.einsum("kiw,nkw->nki", jacobian, noise) + SLACK * random.standard_normal((*noise.shape[:2], WAYS))
        pulls = np.linalg.solve(own[None], moved[..., None])[..., 0]
        candidates[:, window] -= np.einsum("kiw,nki->nkw", covariance, pulls)


def _jacobian(track: Track, step: int) -> Array:
    """(WAYS, width), m/rad: of the feet's relative place at a step's joint targets."""
    nudges = NUDGE * np.concatenate([np.zeros((1, track.layout.width)), np.eye(track.layout.width)])
    joints = track.layout.offset_targets(np.repeat(track.controls[step][None], len(nudges), axis=0), nudges)
    joints[:, 0] = [1.0, 0.0, 0.0, 0.0]
    positions, world = track.body.forward(np.zeros((len(nudges), 3)), joints)
    right, left = track.feet
    back = rotations.conjugate(world[:, left])
    place = rotations.rotate(back, positions[:, right] - positions[:, left])
    turn = rotations.multiply(back, world[:, right])
    turned = rotations.to_rotation_vector(rotations.multiply(turn, rotations.conjugate(turn[:1])))
    ways = np.concatenate([place - place[0], ARM * turned], axis=1)
    jacobian: Array = (ways[1:] / NUDGE).T
    return jacobian
