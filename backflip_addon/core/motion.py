# SPDX-License-Identifier: GPL-3.0-or-later
"""A motion of a body: root position and joint rotations per frame, at a fixed rate.

References and takes are both motions. On disk: npz without pickles, written whole to a temporary
name and renamed.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from . import rotations
from .arrays import AnyArray, Array, BoolArray, Float32Array
from .files import RefusedFile
from .npz import read_npz, write_npz
from .reading import LEAST_RATE, MOST_RATE, finite, parse_json

MOTION_VERSION = 1
MOST_MOTION_BYTES = 64_000_000  # unpacked: a quarter of an hour of a body's poses, 120 a second
SEAM = 0.2  # s before a cycle's end over which it eases into its first pose


@dataclasses.dataclass(frozen=True)
class Motion:
    """F frames of a body with L links.

    rate: frames per second, frame f is at f / rate seconds.
    position (F, 3): root origin, world, m (z up, floor at 0).
    rotations (F, L, 4): the root's world orientation, then joint rotations, as Body.forward takes.
    loops: the clip is a cycle (a walk), not a single performance.
    sure (F, L): how sure the links' poses are, 0 to 1; None: as sure as can be.
    """

    rate: float
    position: Array
    rotations: Array
    loops: bool = False
    sure: Array | None = None

    @property
    def frames(self) -> int:
        """How many there are, F."""
        return len(self.position)

    @property
    def duration(self) -> float:
        """Seconds from the first frame to the last."""
        return (self.frames - 1) / self.rate

    def sample(self, times: ArrayLike) -> tuple[Array, Array]:
        """Root positions (T, 3) and rotations (T, L, 4) at times (T,), s; held still past the ends."""
        frame = np.clip(np.asarray(times, dtype=float) * self.rate, 0, self.frames - 1)
        low = np.minimum(frame.astype(int), max(self.frames - 2, 0))
        high = np.minimum(low + 1, self.frames - 1)
        t = frame - low
        position = self.position[low] + (self.position[high] - self.position[low]) * t[:, None]
        orientations = rotations.slerp(self.rotations[low], self.rotations[high], t[:, None])
        return position, orientations

    def resampled(self, rate: float) -> Motion:
        """The same motion at another rate; the last frame is the last that fits."""
        count = int(np.floor(self.duration * rate + 1e-6)) + 1
        times = np.arange(count) / rate
        position, orientations = self.sample(times)
        sure = self.sure_at(times)
        return dataclasses.replace(self, rate=rate, position=position, rotations=orientations, sure=sure)

    def sure_at(self, times: ArrayLike) -> Array | None:
        """How sure the links are (T, L) at times (T,), s; None where nothing is unsure."""
        if self.sure is None:
            return None
        frame = np.clip(np.asarray(times, dtype=float) * self.rate, 0, self.frames - 1)
        return np.stack([np.interp(frame, np.arange(self.frames), link) for link in self.sure.T], axis=1)

    def scaled_in_time(self, factor: float) -> Motion:
        """The motion slowed down factor times (0.5: twice as fast), at a rate that a clip can have."""
        scaled = dataclasses.replace(self, rate=self.rate / factor)
        rate = min(max(scaled.rate, LEAST_RATE), MOST_RATE)
        return scaled if rate == scaled.rate else scaled.resampled(rate)

    def trimmed(self, start: float, end: float) -> Motion:
        """The frames from start to end seconds. Raises ValueError when none are left."""
        first = max(int(np.ceil(start * self.rate - 1e-6)), 0)
        last = min(int(np.floor(end * self.rate + 1e-6)), self.frames - 1)
        if last <= first:
            raise ValueError("the trim range leaves fewer than two frames of the clip")
        keep = slice(first, last + 1)
        sure = None if self.sure is None else self.sure[keep]
        return dataclasses.replace(self, position=self.position[keep], rotations=self.rotations[keep], sure=sure)

    def repeated(self, count: int) -> Motion:
        """A cycle performed count times on end, each time on from where the time before ended, and in its heading.

        What a cycle's last pose lacks of its first one is made up for in its last SEAM seconds.
        """
        first, last = self.rotations[0, 0], self.rotations[-1, 0]
        turn = rotations.multiply(rotations.heading(last), rotations.conjugate(rotations.heading(first)))
        goal = self.rotations[0].copy()
        goal[0] = rotations.multiply(turn, first)
        ease = np.clip(1 - (self.duration - np.arange(self.frames) / self.rate) / min(SEAM, self.duration), 0, 1)
        lacking = rotations.to_rotation_vector(rotations.multiply(rotations.conjugate(self.rotations[-1]), goal))
        orientations = rotations.multiply(self.rotations, rotations.from_rotation_vector(ease[:, None, None] * lacking))
        positions = self.position.copy()
        positions[:, 2] += ease * (positions[0, 2] - positions[-1, 2])
        position, every = [positions], [orientations]
        for _ in range(count - 1):
            orientations = orientations.copy()
            orientations[:, 0] = rotations.multiply(turn, orientations[:, 0])
            positions = position[-1][-1] + rotations.rotate(turn, positions - positions[0])
            position.append(positions[1:])
            every.append(orientations[1:])
        together = rotations.continuous(np.concatenate(every))
        sure = None if self.sure is None else np.concatenate([self.sure, *[self.sure[1:]] * (count - 1)])
        return dataclasses.replace(self, position=np.concatenate(position), rotations=together, sure=sure)


def validate(motion: Motion, link_count: int) -> None:
    """Raises ValueError with one sentence when the motion cannot be used with link_count links."""
    if motion.position.shape != (motion.frames, 3) or motion.rotations.shape != (motion.frames, link_count, 4):
        raise ValueError(f"the motion's arrays do not fit a body of {link_count} links")
    if motion.frames < 2 or not LEAST_RATE <= motion.rate <= MOST_RATE:
        raise ValueError("the motion has fewer than two frames or no sensible frame rate")
    if not (np.all(np.isfinite(motion.position)) and np.all(np.isfinite(motion.rotations))):
        raise ValueError("the motion holds numbers that are not finite")
    if np.any(np.abs(np.linalg.norm(motion.rotations, axis=-1) - 1) > 0.01):
        raise ValueError("the motion holds rotations that are none: their quaternions are not of unit length")
    if motion.sure is not None and (motion.sure.shape != motion.rotations.shape[:2] or not finite(motion.sure)):
        raise ValueError("the motion says of other links than its own how sure they are")


@dataclasses.dataclass(frozen=True)
class Take:
    """One simulated performance.

    motion: the body's pose per recorded frame (the simulation's own rate, 120 Hz).
    contacts (F, L) bool: link touched the floor in that frame.
    torque (F,): greatest joint torque over its limit, 1.0 at the limit.
    assist (F,): largest helper force in that frame, N; exactly 0 where none acted.
    meta: JSON-ready facts: name, stage, seed, source ("search", "policy", ...), scene, measures.
    load (F, L): the floor's normal force on each link, N, mean over the frame's substeps; None in older takes.
    """

    motion: Motion
    contacts: BoolArray
    torque: Array
    assist: Array
    meta: dict[str, Any]
    load: Float32Array | None = None

    def first(self, count: int) -> Take:
        """Its first frames."""
        motion = self.motion
        motion = Motion(motion.rate, motion.position[:count], motion.rotations[:count], motion.loops)
        load = None if self.load is None else self.load[:count]
        return Take(motion, self.contacts[:count], self.torque[:count], self.assist[:count], self.meta, load)


def save_motion(path: Path, motion: Motion) -> None:
    """Write a motion to an npz file, whole or not at all."""
    write_npz(path, _motion_arrays(motion))


def load_motion(path: Path) -> Motion:
    """Read a motion. Raises ValueError with one sentence on a damaged or foreign file."""
    return _motion_from(_read_npz(path), path)


def save_take(path: Path, take: Take) -> None:
    """Write a take to an npz file, whole or not at all."""
    arrays = _motion_arrays(take.motion)
    arrays |= {"contacts": take.contacts.astype(bool), "torque": take.torque, "assist": take.assist}
    if take.load is not None:
        arrays["load"] = take.load.astype(np.float32)
    arrays["meta"] = np.array(json.dumps(take.meta))
    write_npz(path, arrays)


def load_take(path: Path) -> Take:
    """Read a take. Raises ValueError with one sentence on a damaged or foreign file."""
    arrays = _read_npz(path)
    motion = _motion_from(arrays, path)
    try:
        meta = parse_json(str(arrays["meta"]))
        take = Take(motion, arrays["contacts"], arrays["torque"], arrays["assist"], meta, arrays.get("load"))
    except (KeyError, ValueError, RecursionError) as error:
        raise ValueError(f"the take {path.name} is damaged: {error}") from error
    fits = take.contacts.shape == motion.rotations.shape[:2] and take.contacts.dtype == bool
    fits = fits and all(a.shape == (motion.frames,) and a.dtype.kind == "f" for a in (take.torque, take.assist))
    fits = fits and (take.load is None or take.load.shape == take.contacts.shape and take.load.dtype == np.float32)
    if fits and not finite(take.torque, take.assist, *([] if take.load is None else [take.load])):
        raise ValueError(f"the take {path.name} is damaged: it holds numbers that are not finite")
    if not fits or not isinstance(meta, dict):
        raise ValueError(f"the take {path.name} is damaged: its parts do not fit together")
    return take


def load_take_meta(path: Path) -> dict[str, Any]:
    """What a take says of itself, its poses left unread. Raises ValueError with one sentence."""
    try:
        meta = parse_json(str(_read_npz(path, only=("meta",))["meta"]))
    except (KeyError, RecursionError) as error:
        raise ValueError(f"the take {path.name} is damaged: {error}") from error
    if not isinstance(meta, dict):
        raise ValueError(f"the take {path.name} is damaged: its parts do not fit together")
    return meta


def _motion_arrays(motion: Motion) -> dict[str, AnyArray]:
    arrays: dict[str, AnyArray] = {
        "version": np.array(MOTION_VERSION),
        "rate": np.array(motion.rate),
        "loops": np.array(motion.loops),
        "position": motion.position,
        "rotations": motion.rotations,
    }
    return arrays if motion.sure is None else {**arrays, "sure": motion.sure}


def _motion_from(arrays: dict[str, AnyArray], path: Path) -> Motion:
    marks = [arrays[key] for key in ("version", "rate", "loops") if key in arrays]
    if any(mark.shape or mark.dtype.kind not in "biuf" for mark in marks):
        raise ValueError(f"{path.name} is damaged: its version, rate or loop mark is not a number")
    try:
        if float(arrays["version"]) != MOTION_VERSION:
            raise ValueError(f"{path.name} was written by another version of Backflip")
        rate, loops = float(arrays["rate"]), bool(arrays["loops"])
        position, orientations = arrays["position"], arrays["rotations"]
    except KeyError as error:
        raise ValueError(f"{path.name} is not a Backflip motion: {error} is missing") from error
    sound = position.dtype.kind == orientations.dtype.kind == "f" and orientations.ndim == 3
    if not sound or position.shape != (len(orientations), 3) or orientations.shape[2] != 4:
        raise ValueError(f"{path.name} is damaged: it holds no frames of a body")
    sure = arrays.get("sure")
    if sure is not None and (sure.dtype.kind != "f" or sure.shape != orientations.shape[:2]):
        raise ValueError(f"{path.name} is damaged: how sure its links are fits other ones")
    if not math.isfinite(rate) or not finite(position, orientations, *([] if sure is None else [sure])):
        raise ValueError(f"{path.name} is damaged: it holds numbers that are not finite")
    return Motion(rate, position, orientations, loops, sure)


def _read_npz(path: Path, only: Collection[str] = ()) -> dict[str, AnyArray]:
    try:
        return read_npz(path, MOST_MOTION_BYTES, only, follow=False)
    except FileNotFoundError:
        raise ValueError(f"{path.name} is missing") from None
    except RefusedFile as error:
        raise ValueError(str(error)) from error
    except Exception as error:  # a damaged zip, or an array that is no archive, raises a dozen kinds
        raise ValueError(f"{path.name} cannot be read; it is damaged or not a Backflip file") from error
