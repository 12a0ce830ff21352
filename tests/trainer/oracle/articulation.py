# SPDX-License-Identifier: GPL-3.0-or-later
"""The free motion of many bodies at once (Featherstone 2008, chapters 5 and 6).

Spatial vectors are (angular, linear) at the root's centre of mass, in world axes.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from backflip_addon.core.arrays import IntArray
from backflip_addon.core.body import Body
from backflip_addon.core.constants import GRAVITY

from .batch_math import Batch, apply, cross, matrices, multiply


class Tree:
    """A body as arrays.

    links L, freedoms F (degrees of freedom): the root's angular and linear ones, then three for a ball joint (about the
    child's own axes, as in Bullet) and one for a hinge, a branch after the other. of_link (F,): the
    link each moves. chains, ends: for each freedom those above it, and where its branch ends.
    above (L, L): whether a link (column) is another (row) or above it.
    """

    def __init__(self, body: Body) -> None:
        links = body.links
        self.links = len(links)
        self.parents = np.array([max(link.parent, 0) for link in links])
        self.levels = _levels(body)
        self.masses = np.array([link.mass for link in links], np.float32)
        self.inertias = np.array([link.inertia for link in links], np.float32)
        self.centres = np.array([link.centre for link in links], np.float32)
        self.offsets = np.array([link.offset for link in links], np.float32)
        of_link, first = [0] * 6, {}
        for i in _branches(body):
            link = links[i]
            if link.joint in ("spherical", "hinge"):
                first[i] = len(of_link)
                of_link += [i] * (3 if link.joint == "spherical" else 1)
        self.of_link = np.array(of_link)
        self.freedoms = len(of_link)
        self.first = first
        self.balls = np.array([i for i in sorted(first) if links[i].joint == "spherical"], dtype=int)
        self.hinges = np.array([i for i in sorted(first) if links[i].joint == "hinge"], dtype=int)
        self.ball_freedoms = np.array([first[i] for i in self.balls], dtype=int)[:, None] + np.arange(3)
        self.hinge_freedoms = np.array([first[i] for i in self.hinges], dtype=int)
        self.hinge_axes = np.array([links[i].axis for i in self.hinges], np.float32).reshape(-1, 3)
        limits = np.array([links[i].limits for i in self.hinges], np.float32).reshape(-1, 2, 1)
        self.low, self.high = limits[:, 0], limits[:, 1]  # (H, 1) of the hinges, rad
        self.above = np.zeros((self.links, self.links), dtype=bool)
        for i, link in enumerate(links):
            self.above[i, i] = True
            if link.parent >= 0:
                self.above[i] |= self.above[link.parent]
        self._above = self.above.astype(np.float32)
        self._below = np.ascontiguousarray(self._above.T)
        self.moves = self._above[:, self.of_link]  # (L, F): whether a freedom moves a link
        moved = [np.flatnonzero(self.moves[link]) for link in self.of_link]
        self.chains = [[int(above) for above in chain if above < k] for k, chain in enumerate(moved)]
        self.ends = [
            1 + max(i for i, chain in enumerate(self.chains) if k == i or k in chain) for k in range(self.freedoms)
        ]
        self.tips = np.array([np.flatnonzero(row).max() for row in self.moves])  # (L,): last freedom that moves a link

    def spread(self, values: list[float]) -> Batch:
        """A value a link (L,) as one a freedom (F,); the root's are 0."""
        result: Batch = np.array(values, np.float32)[self.of_link]
        result[:6] = 0
        return result

    def pose(self, orientations: Batch) -> Pose:
        """Where all links are, from local rotations (L, 4, N)."""
        world = orientations.copy()
        for level in self.levels:
            world[level] = multiply(world[self.parents[level]], world[level])
        oriented = matrices(world)
        origins = np.empty((self.links, 3, orientations.shape[-1]), np.float32)
        origins[0] = -apply(oriented[0], self.centres[0][:, None])
        for level in self.levels:
            above = self.parents[level]
            origins[level] = origins[above] + apply(oriented[above], self.offsets[level][:, :, None])
        return Pose(oriented, origins)

    def motion(self, pose: Pose, speeds: Batch) -> Motion:
        """Axes of all freedoms, the momenta of what moves with each, and the bias force."""
        count = speeds.shape[-1]
        links, freedoms = self.links, self.freedoms
        centres = pose.origins + apply(pose.orientations, self.centres[:, :, None])
        # Of each link: moments (9) at the reference point, mass times centre (3), mass
        inertia = np.empty((links, 13, count), np.float32)
        moments = inertia[:, :9].reshape(links, 3, 3, count)
        scaled = pose.orientations * self.inertias[:, None, :, None]
        weighted = self.masses[:, None, None] * centres
        for i, j in ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)):
            moment = scaled[:, i, 0] * pose.orientations[:, j, 0]
            moment += scaled[:, i, 1] * pose.orientations[:, j, 1]
            moment += scaled[:, i, 2] * pose.orientations[:, j, 2]
            if i == j:
                a, b = (k for k in range(3) if k != i)
                moment += weighted[:, a] * centres[:, a]
                moment += weighted[:, b] * centres[:, b]
            else:
                moment -= weighted[:, i] * centres[:, j]
                moments[:, j, i] = moment
            moments[:, i, j] = moment
        inertia[:, 9:12] = weighted
        inertia[:, 12] = self.masses[:, None]
        axes = np.zeros((freedoms, 6, count), np.float32)
        for k in range(6):
            axes[k, k] = 1.0
        axes[self.ball_freedoms, :3] = pose.orientations[self.balls].transpose(0, 2, 1, 3)
        axes[self.hinge_freedoms, :3] = apply(pose.orientations[self.hinges], self.hinge_axes[:, :, None])
        cross(pose.origins[self.of_link[6:]], axes[6:, :3], out=axes[6:, 3:])
        moving = (self._below @ inertia.reshape(links, -1)).reshape(links, 13, count)[self.of_link]
        momenta = _momentum(moving, axes)
        bias_force = self._bias_force(inertia, axes, speeds)
        return Motion(axes, momenta, bias_force)

    def _bias_force(self, inertia: Batch, axes: Batch, speeds: Batch) -> Batch:
        """Generalised forces (F, N) with which nothing would accelerate: gravity's and inertia's."""
        links, count = self.links, speeds.shape[-1]
        velocity = (self.moves @ (axes * speeds[:, None]).reshape(self.freedoms, -1)).reshape(links, 6, count)
        own = velocity.copy()
        own[1:] -= velocity[self.parents[1:]]
        acceleration = np.empty_like(velocity)
        angular, linear = velocity[:, :3], velocity[:, 3:]
        cross(angular, own[:, :3], out=acceleration[:, :3])
        cross(angular, own[:, 3:], out=acceleration[:, 3:])
        acceleration[:, 3:] += cross(linear, own[:, :3])
        # The root's linear speed is its centre's, which moves along with it
        acceleration[0, :3] = 0
        acceleration[0, 3:] = cross(speeds[3:6], speeds[0:3])
        acceleration[0, 5] += np.float32(GRAVITY)
        acceleration = (self._above @ acceleration.reshape(links, -1)).reshape(links, 6, count)
        momentum = _momentum(inertia, velocity)
        force = _momentum(inertia, acceleration)
        force[:, :3] += cross(angular, momentum[:, :3])
        force[:, :3] += cross(linear, momentum[:, 3:])
        force[:, 3:] += cross(angular, momentum[:, 3:])
        carried = (self._below @ force.reshape(links, -1)).reshape(links, 6, count)
        bias_force: Batch = (axes * carried[self.of_link]).sum(axis=1)
        return bias_force


@dataclasses.dataclass
class Pose:
    """orientations (L, 3, 3, N): link orientations; origins (L, 3, N): from the root's centre of mass."""

    orientations: Batch
    origins: Batch


@dataclasses.dataclass
class Motion:
    """axes (F, 6, N): of the freedoms; momenta (F, 6, N): of all that moves with each at unit
    speed; bias_force (F, N): generalised forces with which nothing would accelerate."""

    axes: Batch
    momenta: Batch
    bias_force: Batch


def _branches(body: Body, link: int = 0) -> list[int]:
    """Links depth first: what hangs on a link follows it without a gap."""
    below = [i for i, other in enumerate(body.links) if other.parent == link]
    return [link, *(i for child in below for i in _branches(body, child))]


def _levels(body: Body) -> list[IntArray]:
    """Links equally deep in the tree, the root left out."""
    depths = np.zeros(len(body.links), dtype=int)
    for i, link in enumerate(body.links[1:], start=1):
        depths[i] = depths[link.parent] + 1
    return [np.flatnonzero(depths == depth) for depth in range(1, depths.max() + 1)]


def _momentum(inertia: Batch, velocity: Batch) -> Batch:
    """Spatial inertia (K, 13, N) times spatial velocity (K, 6, N)."""
    result = np.empty((len(inertia), *velocity.shape[1:]), np.float32)
    angular, linear, weighted = velocity[:, :3], velocity[:, 3:], inertia[:, 9:12]
    moments = inertia[:, :9].reshape(len(inertia), 3, 3, -1)
    result[:, :3] = apply(moments, angular)
    result[:, :3] += cross(weighted, linear)
    np.multiply(inertia[:, 12:], linear, out=result[:, 3:])
    result[:, 3:] -= cross(weighted, angular)
    return result
