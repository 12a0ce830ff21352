# SPDX-License-Identifier: GPL-3.0-or-later
"""How a clip stands to the floor: does it hover, sink, slide, walk on the spot or fly too high?"""

from __future__ import annotations

import dataclasses
from functools import cached_property

import numpy as np

from .. import rotations
from ..arrays import Array, BoolArray
from ..body import Body
from ..constants import GRAVITY
from ..findings import Finding
from ..motion import Motion
from ..motions import foot_planting, inverse_dynamics
from ..motions.limb_reach import SIDES
from ..proportions import hip_to_sole

# Lengths are in leg lengths (hip to sole), speeds in leg lengths a second, so that the same clip says the same of
# a child and of a giant. A leg of 0.9 m makes 0.05 m of the first.
_OFF = 0.055  # a body that stands so far over or under the floor hovers or sinks
_STEADY = 0.3  # a lowest point that rises or sinks more slowly is held by something
_HELD = 0.5  # share of gravity: a centre of mass that falls faster is in the air
_SHORTEST = 0.2  # s that a body must hover for
_MOMENT = 0.1  # s
_LIFTED = 0.12  # the height of the other foot, where one stands alone
_DOWN = 0.04  # and of the one that stands
_FLOOR_SHARE = 0.02  # of frames that may lie under what counts as the clip's floor: the very lowest may be noise
_OFF_FLOOR = 0.03  # m: a clip whose floor is off by less says nothing
_HELD_SECONDS = 0.08  # to each side, over which the fall of the centre of mass is taken
_SPOT = 0.33  # leg lengths: a walk on the spot keeps its root within so much
_UPRIGHT_HEAD = 0.7  # cosine of the lean from hips to head of who walks
_ALTERNATING = (0.2, 0.8)  # share of the time for which the right foot is the lower one, of feet that take turns
_SLIDING_BACK = 0.45  # the median speed of the lower foot of a walk on the spot
_ONE_WAY = 0.7  # share of that foot's path that goes one way
_SLIDE = 0.35  # a standing foot that slides faster is seen
_LONG_SLIDE = 0.1  # s
# With the legs drawn up a person's lowest part gets a leg length high; a backflip on DeepMimic's clip flies 1.05, and a
# tight one that rises by half a metre, as gymnasts' do, 1.4
_HIGHEST = 1.5
OWN_SOLES = 0.15  # leg lengths by which soles of another shape may be off the floor that a clip has
_BLEND = 0.1  # s over which the floor's height is smoothed
_CALM, _STANDS = 0.17, 0.3  # a root that is slower (0.15 m/s), for so many seconds and over both feet, stands
_LATE, _LATE_SHARE = 1.0, 0.25  # s and share of a clip: what comes after it has stood still for longer is part of it
_STEPS_OFF = 0.1  # a foot that ends so far from where it stood


class Ground:
    """A clip on a body, and what the checks of this module need of it.

    positions (F, L, 3), orientations (F, L, 4): the links'. lowest (F,): height of the lowest point.
    centre (F, 3): of mass.
    """

    def __init__(
        self, motion: Motion, body: Body, positions: Array, orientations: Array, lowest: Array, centre: Array
    ) -> None:
        self.motion, self.body = motion, body
        self.positions, self.orientations, self.lowest, self.centre = positions, orientations, lowest, centre
        self.leg = hip_to_sole(body)

    @staticmethod
    def of(motion: Motion, body: Body) -> Ground:
        """With the links' frames worked out."""
        positions, orientations = body.forward(motion.position, motion.rotations)
        lowest = body.lowest_points(positions, orientations).min(axis=1)
        return Ground(motion, body, positions, orientations, lowest, body.centre_of_mass(positions, orientations))

    @cached_property
    def held(self) -> BoolArray:
        """Frames (F,) in which something carries the body: it does not fall, and its lowest point keeps its height. Off
        the floor it must do so for a while: legs that are drawn up at a flight's height pass for a moment as still."""
        if self.motion.frames < 5:
            return np.ones(self.motion.frames, dtype=bool)
        rate = self.motion.rate
        half = min(max(round(_HELD_SECONDS * rate), 2), (self.motion.frames - 1) // 2)
        falling = inverse_dynamics.second_derivative(self.centre, rate, half)[:, 2]
        moving = np.abs(np.gradient(self.lowest)) * rate
        held: BoolArray = (falling > -_HELD * GRAVITY) & (moving < _STEADY * self.leg)
        for start, end in foot_planting.runs(held):
            if end - start < _MOMENT * rate and self.lowest[start:end].min() > self.usual + _OFF * self.leg:
                held[start:end] = False
        return held

    @cached_property
    def usual(self) -> float:
        """The height of what counts as the clip's floor."""
        return float(np.quantile(self.lowest, _FLOOR_SHARE))

    @cached_property
    def soles(self) -> tuple[Array, Array]:
        """Heights (F, 2: left, right) of the soles, and level speeds (F, 2), m/s, of the stiller end of each."""
        heights, speeds = [], []
        for side in SIDES:
            points, _ = foot_planting.sole_points(self.body, self.positions, self.orientations, side)
            heights.append(points[..., 2].min(axis=1))
            steps = np.linalg.norm(np.gradient(points[..., :2], axis=0), axis=-1) * self.motion.rate
            speeds.append(steps.min(axis=1))
        return np.stack(heights, axis=1), np.stack(speeds, axis=1)

    def resting(self) -> BoolArray:
        """Frames (F, 2: left, right) in which a foot rests on the floor."""
        found = []
        for side in SIDES:
            points, _ = foot_planting.sole_points(self.body, self.positions, self.orientations, side)
            found.append(foot_planting.planted(points[:, 0], points[:, 1], self.leg, self.motion.rate))
        return np.stack(found, axis=1)

    def steps(self) -> list[float]:
        """When feet are set down, s, left and right taking turns."""
        down = [(start, side) for side, mask in enumerate(self.resting().T) for start, _ in foot_planting.runs(mask)]
        found: list[tuple[int, int]] = []
        for start, side in sorted(down):
            if not found or found[-1][1] != side:
                found.append((start, side))
        return [start / self.motion.rate for start, _ in found]

    def long_runs(self, mask: BoolArray, seconds: float) -> list[tuple[int, int]]:
        """Runs of True in mask (F,) of at least so many seconds: first frame, and the frame after the last."""
        return [(a, b) for a, b in foot_planting.runs(mask) if (b - a) / self.motion.rate >= seconds]


def floor(ground: Ground) -> Finding | None:
    """A clip that is off the floor by the same all through; it is set down whatever is done."""
    usual = ground.usual
    if abs(usual) < _OFF_FLOOR:
        return None
    how = "floats over" if usual > 0 else "sinks into"
    return Finding("floor", f"The clip {how} the floor by {abs(usual) * 100:.0f} cm; it is set down on it.")


def hovering(ground: Ground) -> Finding | None:
    """A clip that, set down as it will be, stands over the floor for part of its time."""
    held = np.flatnonzero(ground.held)
    if not len(held):
        return None
    carried = np.interp(np.arange(ground.motion.frames), held, ground.lowest[held])  # as grounded() has it
    height = carried - ground.usual
    runs = ground.long_runs(height > _OFF * ground.leg, _SHORTEST)
    if not runs:
        return None
    start, end = max(runs, key=lambda run: run[1] - run[0])
    often = f", and {len(runs) - 1} more time{'s' if len(runs) > 2 else ''}" if len(runs) > 1 else ""
    return Finding(
        "hovering",
        f"From {start / ground.motion.rate:.1f} to {(end - 1) / ground.motion.rate:.1f} s the clip stands "
        f"{np.median(height[start:end]) * 100:.0f} cm over the floor{often}: "
        "put it down, unless it stands on something.",
        {"grounded": True},
    )


def grounded(motion: Motion, body: Body, nearest: float = np.inf) -> Motion:
    """The clip raised and sunk over time so that whatever carries the body does so on the floor.

    In the air the height follows from take-off to touchdown, so that a flight stays a flight. nearest: leg lengths; a
    clip whose floor is known is not carried by anything that is higher over it.
    """
    ground = Ground.of(motion, body)
    held = np.flatnonzero(ground.held & (ground.lowest < nearest * ground.leg))
    if not len(held):
        return motion
    height = np.interp(np.arange(motion.frames), held, ground.lowest[held])
    smooth = _smoothed(height, _BLEND * motion.rate)
    return dataclasses.replace(motion, position=motion.position - smooth[:, None] * [0.0, 0.0, 1.0])


def _smoothed(values: Array, width: float) -> Array:
    """Values (F,) under a bell of so many frames; the ends go on as they are."""
    reach = max(int(3 * width), 1)
    bell = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(width, 1e-6)) ** 2)
    return np.convolve(np.pad(values, reach, mode="edge"), bell / bell.sum(), mode="valid")


def high_flight(ground: Ground) -> Finding | None:
    """A flight higher than people jump."""
    at = int(np.argmax(ground.lowest))
    height = float(ground.lowest[at])
    if height < _HIGHEST * ground.leg or ground.held[at]:
        return None
    return Finding(
        "high_flight",
        f"At {at / ground.motion.rate:.1f} s the clip is {height:.2f} m over the floor, higher than people jump: "
        "check its scale, or expect a lower jump.",
    )


def sliding_foot(ground: Ground) -> Finding | None:
    """A foot that slides while it alone carries the body."""
    heights, speeds = ground.soles
    worst: tuple[float, int, int, int] | None = None
    for side in range(2):
        alone = (heights[:, side] < _DOWN * ground.leg) & (heights[:, 1 - side] > _LIFTED * ground.leg)
        for start, end in ground.long_runs(alone & ground.held & (speeds[:, side] > _SLIDE * ground.leg), _LONG_SLIDE):
            fastest = float(speeds[start:end, side].max())
            if worst is None or fastest > worst[0]:
                worst = fastest, start, end, side
    if worst is None:
        return None
    fastest, start, end, side = worst
    return Finding(
        "sliding_foot",
        f"From {start / ground.motion.rate:.1f} to {end / ground.motion.rate:.1f} s the {('left', 'right')[side]} foot "
        f"slides at {fastest * 100:.0f} cm/s while it carries the body: "
        "the avatar will stand still there, or take steps.",
    )


def in_place(ground: Ground) -> Finding | None:
    """A walk whose feet slide back at a steady pace while the hips stay where they are."""
    motion = ground.motion
    if np.ptp(motion.position[:, :2], axis=0).max() > _SPOT * ground.leg:
        return None
    head = ground.positions[:, ground.body.index("head")] - ground.positions[:, 0]
    if (rotations.normalise(head)[:, 2] < _UPRIGHT_HEAD).any():  # who turns over walks nowhere
        return None
    feet = ground.positions[:, [ground.body.index(f"foot.{side}") for side in SIDES]]
    lower = np.argmin(feet[..., 2], axis=1)
    if not _ALTERNATING[0] < lower.mean() < _ALTERNATING[1]:  # feet take turns
        return None
    velocities = np.gradient(feet[..., :2], axis=0)[np.arange(motion.frames), lower] * motion.rate
    speeds = np.linalg.norm(velocities, axis=1)
    if (
        np.median(speeds) < _SLIDING_BACK * ground.leg
        or np.linalg.norm(velocities.sum(axis=0)) < _ONE_WAY * speeds.sum()
    ):
        return None
    return Finding(
        "in_place",
        "The clip walks on the spot and its feet slide: physics needs a clip that moves over the ground.",
    )


def moves_off(ground: Ground) -> Finding | None:
    """A clip that has come to stand still and moves off again at its end, as people filmed do: who imitates it has to
    stop in mid step."""
    motion = ground.motion
    speed = np.linalg.norm(np.gradient(motion.position[:, :2], axis=0), axis=1) * motion.rate
    runs = ground.long_runs(ground.resting().all(axis=1) & (speed < _CALM * ground.leg), _STANDS)
    start, end = runs[-1] if runs else (0, 0)
    if start == 0 or motion.frames - end > min(_LATE * motion.rate, _LATE_SHARE * motion.frames):
        return None
    feet = ground.positions[:, [ground.body.index(f"foot.{side}") for side in SIDES]]
    if np.linalg.norm(feet[-1] - feet[end - 1], axis=-1).max() < _STEPS_OFF * ground.leg:
        return None
    seconds = (end - 1) / motion.rate
    return Finding(
        "moves_off",
        "The clip stands still and moves off again at its end: end it before, and it can be landed.",
        {"end": seconds},
    )
