# SPDX-License-Identifier: GPL-3.0-or-later
"""A body and motions made by hand, whose truths are known without the code under test."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from backflip_addon.core import rotations
from backflip_addon.core.body import FEET, HINGE_AXIS, Body
from backflip_addon.core.constants import GRAVITY
from backflip_addon.core.motion import Motion, Take
from backflip_addon.core.rigs import fit, roles
from tests.core import skeletons

Array = np.ndarray


@functools.cache
def body() -> Body:
    """A figure of 1.7 m with skin, fitted: no Blender, no PyBullet."""
    rig = skeletons.figure(skin=True)
    return fit.fit_body(rig, roles.guess(rig))[0]


def hips_height(figure: Body) -> float:
    """Height of the root when the straight legs' soles are on the floor, summed up the leg by hand."""
    heights = []
    for side in ("L", "R"):
        foot = figure.links[figure.index(f"foot.{side}")]
        box = foot.shapes[0]
        assert box.kind == "box" and np.allclose(box.rotation, [1, 0, 0, 0]), "the tests count on level box feet"
        legs = sum(figure.links[figure.index(f"{part}.{side}")].offset[2] for part in ("thigh", "shin", "foot"))
        heights.append(-(legs + box.position[2] - box.size[2]))
    return max(heights)


def neutral(figure: Body, frames: int) -> Array:
    """Local rotations (F, L, 4) of the neutral pose."""
    return np.tile(np.array([1.0, 0.0, 0.0, 0.0]), (frames, len(figure.links), 1))


def standing(figure: Body, seconds: float = 1.0, rate: float = 30.0) -> Motion:
    """Standing still in the neutral pose, soles on the floor."""
    frames = round(seconds * rate) + 1
    position = np.tile([0.0, 0.0, hips_height(figure)], (frames, 1))
    return Motion(rate, position, neutral(figure, frames))


def over_its_feet(figure: Body) -> Body:
    """The body, its pelvis so heavy in front or behind that it stands with its weight over the middle of its soles."""
    motion = standing(figure, 0.1)
    positions, turns = figure.forward(motion.position, motion.rotations)
    feet = [figure.index(name) for name in FEET]
    middle = np.mean([positions[0, i, 1] + figure.links[i].shapes[0].position[1] for i in feet])
    pelvis, centre = figure.links[0], list(figure.links[0].centre)
    centre[1] += (middle - figure.centre_of_mass(positions, turns)[0, 1]) * figure.mass / pelvis.mass
    moved = dataclasses.replace(pelvis, centre=tuple(centre))
    return dataclasses.replace(figure, links=(moved, *figure.links[1:]))


def astride(figure: Body, seconds: float = 1.0, rate: float = 30.0) -> Motion:
    """Standing with the feet apart, the soles level, the centre of mass over their middle: with feet side by side and
    legs straight a body rocks from one to the other. The arms are off the thighs, which they would press on."""
    motion = standing(figure, seconds, rate)
    x, y = np.eye(3)[:2]
    soles = [figure.index(f"foot.{side}") for side in ("L", "R")]

    def leaning(angle: float) -> Motion:
        """All above the ankles turned forward by an angle, rad."""
        turns, lean = motion.rotations.copy(), rotations.from_axis_angle(x, angle)
        turns[:, 0] = lean
        for side, out in (("L", -0.2), ("R", 0.2)):
            thigh = rotations.from_axis_angle(y, out)
            turns[:, figure.index(f"thigh.{side}")] = thigh
            turns[:, figure.index(f"foot.{side}")] = rotations.conjugate(rotations.multiply(lean, thigh))
            turns[:, figure.index(f"upper_arm.{side}")] = rotations.from_axis_angle(y, 3 * out)
        low = figure.lowest_points(*figure.forward(motion.position, turns))[:, soles].min()
        return Motion(rate, motion.position - [0.0, 0.0, low], turns)

    upright = leaning(0.0)
    positions, world = figure.forward(upright.position[0], upright.rotations[0])
    centre = figure.centre_of_mass(positions[None], world[None])[0]
    middle = positions[soles] + np.array([figure.links[i].centre for i in soles])
    return leaning(float(np.arctan2(centre[1] - middle[:, 1].mean(), centre[2])))


def bent(figure: Body, turns: Array, bend: Array) -> Array:
    """The local rotations turns (F, L, 4), with hips, knees and ankles bent by bend (F,) rad so that the feet
    stay level and the shanks lean back as much as the thighs lean forward."""
    x, hinge = np.array([1.0, 0.0, 0.0]), np.array(HINGE_AXIS)
    for side in ("L", "R"):
        turns[:, figure.index(f"thigh.{side}")] = rotations.from_axis_angle(-x, bend)
        turns[:, figure.index(f"shin.{side}")] = rotations.from_axis_angle(hinge, -2 * bend)
        turns[:, figure.index(f"foot.{side}")] = rotations.from_axis_angle(-x, bend)
    return turns


def crouched_height(figure: Body, bend: Array) -> Array:
    """Root height over level soles with legs bent as by bent()."""
    thigh, shin = figure.links[figure.index("shin.L")].offset, figure.links[figure.index("foot.L")].offset
    straight = -(thigh[2] + shin[2])
    return hips_height(figure) - straight * (1 - np.cos(bend))


def squatting(figure: Body, bend: Array, rate: float = 60.0) -> Motion:
    """Standing with legs bent by bend (F,) as by bent(), the soles on the floor."""
    motion = standing(figure, (len(bend) - 1) / rate, rate)
    position = motion.position.copy()
    position[:, 2] = crouched_height(figure, bend)
    return Motion(rate, position, bent(figure, motion.rotations.copy(), bend))


def hanging(figure: Body) -> Motion:
    """Gets up from a squat at 0.8 s in such a hurry that it would fly, and stops dead at 0.92 s."""
    times = np.arange(121) / 60.0
    return squatting(figure, 0.6 * (1 - np.clip((times - 0.8) / 0.12, 0, 1)))


def tilted(figure: Body, clip: Motion, degrees: float) -> Motion:
    """The clip with its left sole turned about the ankle, heel up, and no longer level."""
    turns, foot = clip.rotations.copy(), figure.index("foot.L")
    tilt = rotations.from_axis_angle(np.array([1.0, 0.0, 0.0]), np.radians(degrees))
    turns[:, foot] = rotations.multiply(turns[:, foot], tilt)
    return dataclasses.replace(clip, rotations=turns)


def leap(figure: Body, height: float, rate: float = 60.0) -> Motion:
    """Astride, a jump of so many metres in that pose, astride again; 0.5 s on the ground before and after."""
    air = max(round(2 * np.sqrt(2 * height / 9.81) * rate), round(0.4 * rate))
    still = astride(figure, (air + rate) / rate, rate)
    way = np.clip((np.arange(still.frames) - 0.5 * rate) / air, 0, 1)
    lift = 4 * height * way * (1 - way)
    return dataclasses.replace(still, position=still.position + lift[:, None] * np.array([0.0, 0.0, 1.0]))


def somersault(
    figure: Body, turns: float = -1.0, rate: float = 60.0, height: float = 0.35, axis: tuple[float, ...] = (1, 0, 0)
) -> Motion:
    """Standing, a leap in one fixed pose with so many turns about an axis (the left-right one; backward: -),
    standing again. The root, not the centre of mass, flies the parabola; 0.5 s on the ground before and after."""
    ground = round(0.5 * rate)
    air = round(2 * np.sqrt(2 * height / 9.81) * rate)
    times = np.arange(air + 1) / air
    lift = np.concatenate([np.zeros(ground), 4 * height * times * (1 - times), np.zeros(ground)])
    angle = np.concatenate([np.zeros(ground), 2 * np.pi * turns * times, np.full(ground, 2 * np.pi * turns)])
    rotation = neutral(figure, len(lift))
    rotation[:, 0] = rotations.from_axis_angle(np.array(axis, dtype=float), angle)
    # Turned about mid body, so that the feet do not go through the floor
    middle = np.array([0.0, 0.0, 0.1])
    lift = lift + 0.9 * np.sin(np.pi * np.clip((np.arange(len(lift)) - ground) / air, 0, 1))
    position = np.stack([0 * lift, 0 * lift, hips_height(figure) + lift], axis=1)
    position += middle - rotations.rotate(rotation[:, 0], middle)
    return Motion(rate, position, rotations.continuous(rotation))


def performed(figure: Body, reference: Motion, tail: float = 1.0, rate: float = 120.0) -> Take:
    """A take that is its reference to the number, held a second longer, feet in contact where they are low."""
    count = round((reference.duration + tail) * rate) + 1
    position, turns = reference.sample(np.arange(count) / rate)
    positions, world = figure.forward(position, turns)
    feet = [figure.index("foot.L"), figure.index("foot.R")]
    contacts = np.zeros((count, len(figure.links)), dtype=bool)
    contacts[:, feet] = figure.lowest_points(positions, world)[:, feet] < 0.01
    return Take(Motion(rate, position, turns), contacts, np.full(count, 0.5), np.zeros(count), {})


def borne(figure: Body, take: Take) -> Take:
    """The take with the forces of a floor that carries its centre of mass as it moves, on all that touches."""
    height = figure.centre_of_mass(*figure.forward(take.motion.position, take.motion.rotations))[:, 2]
    rises = np.diff(height, prepend=height[:1]) * take.motion.rate
    lift = np.maximum(np.diff(rises, append=rises[-1:]) * take.motion.rate + GRAVITY, 0.0)
    shares = take.contacts / np.maximum(take.contacts.sum(axis=1, keepdims=True), 1)
    return dataclasses.replace(take, load=(shares * (lift * figure.mass)[:, None]).astype(np.float32))
