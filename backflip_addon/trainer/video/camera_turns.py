# SPDX-License-Identifier: GPL-3.0-or-later
"""How a camera that stays where it is turns: held in a hand, or panning after the person.

Each frame's background is laid over a frame's before it by a turn of the camera alone (a homography K R K^-1), pixels
compared directly: Gauss-Newton from coarse to fine (Lucas and Kanade 1981; Baker and Matthews 2004), with weights that
leave out what moves by itself (Huber), and the person's own surroundings left out. The background's growth tells of a
camera that zooms or walks, which is not followed.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from ...core import rotations
from ...core.arrays import Array
from .landmarks import Landmarks
from .pictures import Pictures
from .pose_net import Sighting

WIDTHS = (80, 160, 320)  # pixels of the pictures that are compared, coarse to fine
STEPS = (8, 5, 4)  # of Gauss-Newton in each of them
AROUND = 0.25  # of the person's own size: how far around its landmarks nothing is compared
HUBER = 1.5  # times the usual difference, from which on one counts less
ALIKE = 0.4  # correlation of two pictures of one background; of two of others it is a tenth
FAR, GROWN = np.radians(10.0), 0.15  # off its key picture, logarithm of its growth: then another one is taken
MOST_GROWTH = 0.05  # logarithm, in one step
JUMPS = np.radians([-6.0, -4.5, -3.0, -1.5, 0.0, 1.5, 3.0, 4.5, 6.0])  # in one frame: tried where none was found
STILL = 0.002  # of the picture's width: a camera that turns its corners by less keeps still


@dataclasses.dataclass(frozen=True)
class Behind:
    """turns (F, 3, 3): from the camera's axes in the first picture; none (0, 3, 3) where it keeps still. zoom: how many
    times as large the background is at most as at least. lost: share of the frames in which it was not found again."""

    turns: Array
    zoom: float
    lost: float


@dataclasses.dataclass(frozen=True)
class _Move:
    """From one picture's background to another's: turn (3, 3) of the camera, and how many times as large it is."""

    turn: Array
    zoom: float

    def after(self, before: _Move) -> _Move:
        return _Move(self.turn @ before.turn, self.zoom * before.zoom)

    def since(self, before: _Move) -> _Move:
        return _Move(self.turn @ before.turn.T, self.zoom / before.zoom)


STAYS = _Move(np.eye(3), 1.0)


def camera_turns(
    pictures: Pictures,
    frames: Sequence[int],
    chosen: Sequence[Sighting | None],
    focal: float,
    told: Callable[[float], None],
) -> Behind:
    """The camera's turns from its axes in the first picture, and what is no turn.

    Pictures that are not among the frames repeat the one before; where the background is not found again, the camera is
    taken to stand as before.
    focal: pixels. told: is called with the share that is done; may raise to end it.
    """
    turns = np.tile(np.eye(3), (len(pictures), 1, 1))
    key, key_turn = _layers(pictures, frames[0], chosen[0]), STAYS
    last, last_turn = key, key_turn
    zooms, lost = [1.0], 0
    share = focal / pictures.width
    for n in range(1, len(frames)):
        now = _layers(pictures, frames[n], chosen[n])
        move, alike = _between(key, now, last_turn.since(key_turn), share)
        if alike < ALIKE or _angle(move.turn) > FAR or abs(math.log(move.zoom)) > GROWN:
            key, key_turn = last, last_turn
            move, alike = _between(key, now, STAYS, share)
        if alike < ALIKE:
            move, alike = _between(key, now, _jump(key[0], now[0], share), share)
        if alike >= ALIKE:
            last, last_turn = now, move.after(key_turn)
        else:
            lost += 1
        turns[frames[n] :] = last_turn.turn
        zooms.append(last_turn.zoom)
        told((n + 1) / len(frames))
    corners = np.array([[x, y, share] for x in (-0.5, 0.5) for y in (-0.4, 0.4)])
    moved = np.einsum("fij,cj->fci", turns, corners)
    way = np.linalg.norm((moved[..., :2] / moved[..., 2:] - corners[:, :2] / corners[:, 2:]) * share, axis=-1)
    return Behind(turns[:0] if way.max() < STILL else turns, max(zooms) / min(zooms), lost / len(frames))


def steadied(landmarks: Landmarks, focal: float) -> Landmarks:
    """Landmarks as the first frame's camera would have seen them all, had it kept still. focal: pixels."""
    if not len(landmarks.turns):
        return landmarks
    middle = np.array([landmarks.width / 2, landmarks.height / 2])
    rays = np.concatenate([landmarks.xy - middle, np.full((*landmarks.xy.shape[:2], 1), focal)], axis=-1)
    back = np.einsum("fji,fmj->fmi", landmarks.turns, rays)
    xy = back[..., :2] / np.maximum(back[..., 2:], 0.1 * focal) * focal + middle
    world = np.einsum("fji,fmj->fmi", landmarks.turns, landmarks.world)
    return dataclasses.replace(landmarks, xy=xy, world=world, turns=landmarks.turns[:0])


def _angle(turn: Array) -> float:
    return float(np.linalg.norm(rotations.to_rotation_vector(rotations.from_matrix(turn))))


@dataclasses.dataclass(frozen=True)
class _Layer:
    """A picture (1, 1, h, w) of that width without its coarse light and shade, and where it counts, 0 to 1."""

    picture: Any
    counts: Any


def _layers(pictures: Pictures, frame: int, person: Sighting | None) -> list[_Layer]:
    grey = pictures[frame].mean(dim=1, keepdim=True)
    counts = torch.ones_like(grey)
    if person is not None:
        low, high = person.xy[:33].min(axis=0), person.xy[:33].max(axis=0)
        edge = AROUND * float(np.linalg.norm(high - low))
        (left, top), (right, bottom) = np.maximum(low - edge, 0).astype(int), np.maximum(high + edge, 0).astype(int)
        counts[:, :, top:bottom, left:right] = 0.0
    found = []
    for width in WIDTHS:
        size = (max(round(width * pictures.height / pictures.width), 8), width)
        small = functional.adaptive_avg_pool2d(grey, size)
        coarse = functional.avg_pool2d(functional.pad(small, (8, 8, 8, 8), mode="replicate"), 17, 1)
        found.append(_Layer(small - coarse, (functional.adaptive_avg_pool2d(counts, size) > 0.99).float()))
    return found


def _between(key: list[_Layer], now: list[_Layer], move: _Move, share: float) -> tuple[_Move, float]:
    """From one picture to another, and how alike they are then. move: to begin with. share: the focal length in widths
    of the picture."""
    alike = 0.0
    for before, after, steps in zip(key, now, STEPS, strict=True):
        for _step in range(steps):
            move, alike = _refined(before, after, move, share)
    return move, alike


def _jump(before: _Layer, after: _Layer, share: float) -> _Move:
    """Of quick turns of the camera the one after which two coarse pictures are most alike."""
    vectors = [(tilt, pan, 0.0) for tilt in JUMPS[::2] for pan in JUMPS]
    turns = rotations.to_matrix(rotations.from_rotation_vector(np.array(vectors)))
    return max((_Move(turn, 1.0) for turn in turns), key=lambda move: _refined(before, after, move, share)[1])


def _refined(before: _Layer, after: _Layer, move: _Move, share: float) -> tuple[_Move, float]:
    """One step of Gauss-Newton; also how alike the pictures were before it."""
    height, width = before.picture.shape[2:]
    focal = share * width
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    rays = torch.stack([x - width / 2, y - height / 2, torch.full_like(x, focal)], dim=-1).reshape(-1, 3)
    seen = rays @ torch.from_numpy(move.turn).float().T
    depth = seen[:, 2].clamp(min=0.1 * focal)
    wide = focal * move.zoom
    u, v = seen[:, 0] / depth * wide, seen[:, 1] / depth * wide
    grid = torch.stack([u / width * 2, v / height * 2], dim=-1)[None, None]
    slope = torch.gradient(after.picture[0, 0])
    layers = torch.stack([after.picture[0, 0], slope[1], slope[0], after.counts[0, 0]])[None]
    value, along_x, along_y, counts = functional.grid_sample(layers, grid, align_corners=False)[0, :, 0]
    weight = (counts > 0.99).float() * before.counts.reshape(-1)
    own = before.picture.reshape(-1)
    off = value - own
    few = float(weight.sum())
    if few < 0.1 * len(weight):
        return move, 0.0
    alike = float((weight * value * own).sum() / torch.sqrt((weight * value**2).sum() * (weight * own**2).sum() + 1e-9))
    usual = float(off[weight > 0].abs().median()) * 1.5 + 1e-6
    weight = weight * (HUBER * usual / off.abs().clamp(min=HUBER * usual))
    # a small turn d moves (u, v) by these, focal^2 + u^2 and so on over the focal length; a growth by (u, v) itself
    a, b = along_x, along_y
    columns = [
        -a * u * v / wide - b * (wide + v * v / wide),
        a * (wide + u * u / wide) + b * u * v / wide,
        -a * v + b * u,
        a * u + b * v,
    ]
    slopes = torch.stack(columns, dim=1).double()
    heavy = slopes * weight.double()[:, None]
    square = heavy.T @ slopes + 1e-6 * torch.eye(4, dtype=torch.float64)
    step = torch.linalg.solve(square, -heavy.T @ off.double())
    turned: Array = rotations.to_matrix(rotations.from_rotation_vector(step[:3].numpy())) @ move.turn
    grown = math.exp(min(max(float(step[3]), -MOST_GROWTH), MOST_GROWTH))
    return _Move(turned, move.zoom * grown), alike
