# SPDX-License-Identifier: GPL-3.0-or-later
"""What the networks saw of a person in all frames, as arrays; kept in a file so that nobody need look twice."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from pathlib import Path

import numpy as np

from ...core.arrays import Array, BoolArray, IntArray
from ...core.npz import read_npz, write_npz
from .pose_net import LANDMARKS, Sighting

MOST_BYTES = 64_000_000


@dataclasses.dataclass(frozen=True)
class Landmarks:
    """F frames of one person.

    rate: frames a second of the video. width, height: pixels of a frame. found (F,): in which frames a person was seen.
    xy (F, 33, 2): pixels. world (F, 33, 3): metres about the hips' middle, camera's axes. visible (F, 33): 0 to 1,
    0 in frames without a person, where places are those between the frames beside them. turns (F, 3, 3): of the camera,
    from its axes in the first frame; none (0, 3, 3) where it keeps still. others (F,): where somebody else is seen as
    well; none (0,) where nobody has looked. zoom, lost: as core.clips.video_motion has them.
    """

    rate: float
    width: int
    height: int
    found: BoolArray
    xy: Array
    world: Array
    visible: Array
    turns: Array = dataclasses.field(default_factory=lambda: np.zeros((0, 3, 3)))
    others: BoolArray = dataclasses.field(default_factory=lambda: np.zeros(0, bool))
    zoom: float = 1.0
    lost: float = 0.0

    @property
    def frames(self) -> int:
        return len(self.found)

    def played_at(self, rate: float) -> Landmarks:
        """The same frames at another rate."""
        return dataclasses.replace(self, rate=rate)

    def without(self, frames: Collection[int]) -> Landmarks:
        """As if nobody had been seen in some frames. Raises ValueError where nobody is seen in any other."""
        if not frames:
            return self
        found = self.found.copy()
        found[list(frames)] = False
        known = np.flatnonzero(found)
        if not len(known):
            raise ValueError("nobody is seen in any frame")
        xy, world = (_filled(list(values[known]), known, len(found)) for values in (self.xy, self.world))
        return dataclasses.replace(
            self, found=found, xy=xy, world=world, visible=np.where(found[:, None], self.visible, 0.0)
        )

    def at(self, times: Array, rate: float) -> Landmarks:
        """What was seen at other times, s, so many of them a second: linear between frames, nobody beyond the ends."""
        place = times * self.rate
        inside = (place > -1e-6) & (place < self.frames - 1 + 1e-6)
        low = np.clip(np.floor(place + 1e-6).astype(int), 0, max(self.frames - 2, 0))
        share = np.clip(place - low, 0.0, 1.0)
        high = np.minimum(low + 1, self.frames - 1)

        def between(values: Array) -> Array:
            part = share.reshape(-1, *(1,) * (values.ndim - 1))
            mixed: Array = values[low] * (1 - part) + values[high] * part
            return mixed

        found = inside & (self.found[low] | (share > 0.99)) & (self.found[high] | (share < 0.01))
        visible = np.where(found[:, None], np.minimum(between(self.visible), 4.0), 0.0)
        return Landmarks(
            rate, self.width, self.height, found, between(self.xy), between(self.world), visible, self.turns[:0]
        )


def from_sightings(chosen: list[Sighting | None], rate: float, width: int, height: int) -> Landmarks:
    """Landmarks of frames, those of gaps made up between their neighbours. Raises ValueError where nobody is seen."""
    found = np.array([one is not None for one in chosen])
    known = np.flatnonzero(found)
    if not len(known):
        raise ValueError("nobody is seen in any frame")
    seen = [one for one in chosen if one is not None]
    xy, world = (
        _filled([one.xy for one in seen], known, len(found)),
        _filled([one.world for one in seen], known, len(found)),
    )
    visible = np.zeros((len(found), LANDMARKS))
    visible[known] = [one.visible for one in seen]
    return Landmarks(rate, width, height, found, xy, world, visible)


def _filled(values: list[Array], known: IntArray, frames: int) -> Array:
    """Values (K, ...) of the known frames as (frames, ...), linear in between."""
    flat = np.array(values).reshape(len(known), -1)
    filled = np.stack([np.interp(np.arange(frames), known, column) for column in flat.T], axis=1)
    return filled.reshape(frames, *np.shape(values)[1:])


def save(path: Path, landmarks: Landmarks) -> None:
    """Raises OSError."""
    write_npz(path, {field.name: np.asarray(getattr(landmarks, field.name)) for field in dataclasses.fields(landmarks)})


def load(path: Path) -> Landmarks:
    """Raises ValueError on a damaged file, OSError and zipfile's errors."""
    arrays = read_npz(path, MOST_BYTES)
    try:
        found = arrays["found"]
        f = len(found)
        shapes = {"xy": (f, LANDMARKS, 2), "world": (f, LANDMARKS, 3), "visible": (f, LANDMARKS)}
        sound = found.dtype == bool and found.ndim == 1 and all(arrays[key].shape == shapes[key] for key in shapes)
        turns = arrays["turns"].astype(float) if "turns" in arrays else np.zeros((0, 3, 3))
        sound = sound and turns.shape[1:] == (3, 3) and len(turns) in (0, f) and bool(np.isfinite(turns).all())
        others = arrays["others"].astype(bool) if "others" in arrays else np.zeros(0, bool)
        sound = sound and others.ndim == 1 and len(others) in (0, f)
        if not sound or not all(np.isfinite(arrays[key]).all() for key in (*shapes, "rate")):
            raise ValueError("the landmarks are damaged")
        return Landmarks(
            float(arrays["rate"]),
            int(arrays["width"]),
            int(arrays["height"]),
            found,
            arrays["xy"].astype(float),
            arrays["world"].astype(float),
            arrays["visible"].astype(float),
            turns,
            others,
            float(arrays.get("zoom", 1.0)),
            float(arrays.get("lost", 0.0)),
        )
    except (KeyError, TypeError) as error:
        raise ValueError("the landmarks are damaged") from error
