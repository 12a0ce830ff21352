# SPDX-License-Identifier: GPL-3.0-or-later
"""A person of known motion as a known camera would show it, and as a good network would see it: no pictures needed."""

from __future__ import annotations

import numpy as np
import torch

from backflip_addon.core.body import LINK_NAMES
from backflip_addon.trainer.video import figure, views
from backflip_addon.trainer.video.landmarks import Landmarks
from backflip_addon.trainer.video.pose_net import LANDMARKS

RATE, WIDTH, HEIGHT, FOCAL = 30.0, 1280, 720, 1400.0
DISTANCE, CAMERA_HEIGHT, PITCH = 6.0, 1.4, 0.03
PERSON = 1.75
GRAVITY = 9.81
TAKE_OFF, LANDING, FRAMES = 18, 33, 51  # frames: the flight lasts half a second
CROUCH = 0.5  # s, before and after it
JOINTS = [figure.ROW[mark] for mark in (*range(11, 17), *range(23, 29))]
AT_JOINTS = figure.MARKER_PLACES.copy()
AT_JOINTS[JOINTS] = 0.0


def backflip(facing: float = np.pi / 2) -> tuple[np.ndarray, np.ndarray]:
    """Root (F, 3) and link rotations (F, L, 4): a crouch, a tucked leap with one turn backwards, a landing in a crouch.

    facing: about the vertical; a quarter turn shows the person from the side.
    """
    from backflip_addon.core import rotations

    frames = np.arange(FRAMES)
    flight = np.clip((frames - TAKE_OFF) / (LANDING - TAKE_OFF), 0.0, 1.0)
    seconds = (LANDING - TAKE_OFF) / RATE
    rise = 0.5 * GRAVITY * seconds**2 * flight * (1 - flight)
    # hips sink and come up to the speed of the take-off, a cubic; the landing is the same backwards
    away = np.maximum(TAKE_OFF - frames, frames - LANDING).clip(0) / RATE
    u = np.clip(1 - away / CROUCH, 0.0, 1.0)
    sunk = 0.5 * GRAVITY * seconds * CROUCH * (u**2 - u**3)
    leg = 0.5 * (0.245 + 0.246) * PERSON
    knee = np.arccos(np.clip(1 - sunk / (2 * leg), -1.0, 1.0))
    tuck = np.sin(np.pi * flight) ** 2
    q = np.tile(rotations.IDENTITY, (FRAMES, len(LINK_NAMES), 1))
    left = [1.0, 0.0, 0.0]
    spin = rotations.from_axis_angle(left, -2 * np.pi * flight)
    q[:, 0] = rotations.multiply(rotations.from_axis_angle([0.0, 0.0, 1.0], facing), spin)
    for side in "LR":
        for part, angle in (("thigh", -1.6 * tuck - knee), ("shin", 2.0 * tuck + 2 * knee), ("foot", -knee)):
            q[:, figure.INDEX[f"{part}.{side}"]] = rotations.from_axis_angle(left, angle)
        q[:, figure.INDEX[f"upper_arm.{side}"]] = rotations.from_axis_angle(left, -0.8 * tuck)
        q[:, figure.INDEX[f"forearm.{side}"]] = rotations.from_axis_angle(left, -0.6 * tuck - 0.2)
    root = np.zeros((FRAMES, 3))
    origins, orientations = places(root, q)
    centre = figure.centre_of_mass(torch.from_numpy(origins), orientations, PERSON).numpy()
    flying = (flight > 0) & (flight < 1)
    root[flying] = centre[0] - centre[flying]
    root[:, 2] += figure.HIP_HEIGHT * PERSON + rise - sunk
    root[:, 0] += 0.4 * flight
    return root, q


def places(root: np.ndarray, q: np.ndarray) -> tuple[np.ndarray, torch.Tensor]:
    """Link origins (F, L, 3) and orientations (F, L, 3, 3) of a person of standard build."""
    from backflip_addon.core import rotations

    lengths = figure.tensor(np.zeros(len(figure.GROUPS)))
    matrices = figure.tensor(rotations.to_matrix(q))
    origins, orientations = figure.places(figure.tensor(root), matrices, PERSON, lengths)
    return origins.numpy(), orientations


def between(root: np.ndarray, q: np.ndarray, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The motion at places between its frames."""
    from backflip_addon.core import rotations

    frames = np.clip(frames, 0, len(root) - 1)
    low = np.minimum(frames.astype(int), len(root) - 2)
    share = (frames - low)[:, None]
    return root[low] * (1 - share) + root[low + 1] * share, rotations.slerp(q[low], q[low + 1], share)


def seen(
    root: np.ndarray, q: np.ndarray, noise: float = 2.0, seed: int = 0, marked: np.ndarray = figure.MARKER_PLACES
) -> Landmarks:
    """What a network would see of it: landmarks with so many pixels of noise, directions with a twentieth.

    marked (M, 3): where on their parts landmarks are.
    """
    from backflip_addon.core import rotations

    rng = np.random.default_rng(seed)
    root = root + [0.0, DISTANCE, 0.0]
    origins, orientations = places(root, q)
    marks = figure.markers(torch.from_numpy(origins), orientations, PERSON, figure.tensor(marked)).numpy()
    axes = views.camera_axes(figure.tensor(PITCH), figure.tensor(0.0)).numpy()
    camera = (marks - [0.0, 0.0, CAMERA_HEIGHT]) @ axes.T
    frames = len(root)
    xy, world = np.zeros((frames, LANDMARKS, 2)), np.zeros((frames, LANDMARKS, 3))
    spots = camera[..., :2] / camera[..., 2:] * FOCAL + [WIDTH / 2, HEIGHT / 2]
    hips = camera[:, [figure.ROW[23], figure.ROW[24]]].mean(axis=1, keepdims=True)
    # as networks give it: from the line of sight to the person
    sight = rotations.between_vectors([0.0, 0.0, 1.0], camera.mean(axis=1))
    xy[:, figure.MARKS] = spots
    world[:, figure.MARKS] = rotations.rotate(rotations.conjugate(sight)[:, None], camera - hips)
    for hand, wrist in ((17, 15), (19, 15), (21, 15), (18, 16), (20, 16), (22, 16)):
        xy[:, hand], world[:, hand] = xy[:, wrist], world[:, wrist]
    xy += rng.normal(0, noise, xy.shape)
    world += rng.normal(0, 0.02, world.shape)
    visible = np.zeros((frames, LANDMARKS))
    visible[:, figure.MARKS] = 0.95
    visible[:, [17, 18, 19, 20, 21, 22]] = 0.95
    return Landmarks(RATE, WIDTH, HEIGHT, np.ones(frames, bool), xy, world, visible)
