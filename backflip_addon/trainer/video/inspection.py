# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes a video unfit to learn from, found before the fit and said in one sentence each."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ...core.arrays import Array, BoolArray
from . import contacts
from .landmarks import Landmarks
from .pictures import Pictures
from .pose_net import Sighting
from .tracking import persons

SAME = 0.002  # mean change of a thumbnail's brightest-changing tenth: less is the same frame once more
MOST_REPEATS = 4  # in a row: more is a person who stands still
CUT, CUT_TIMES = 0.03, 5.0  # mean change of brightness, and how many times the largest of the frames beside it
LEAST_SEEN = 0.6  # of the frames must show the person
SEVERAL = 0.3  # of the frames with more than one person, from which on somebody must choose
SLOW_FACTORS = (1.0, 2.0, 2.5, 4.0, 5.0, 8.0, 10.0)  # frame rates of phones over those of films
SLOW_ERROR = 0.3  # share by which a fall may be off to tell of a factor
SHORTEST_FLIGHT, LONGEST_FLIGHT = 0.15, 1.2  # s: of people without help


class UnfitVideo(ValueError):
    """A video that nothing can be learned from as it is. speed: how many times slower than life it plays, or 0."""

    def __init__(self, words: str, speed: float = 0.0) -> None:
        super().__init__(words)
        self.speed = speed


def changes(thumbnails: list[Array]) -> tuple[Array, Array]:
    """From frame to frame (F - 1,): mean change of brightness, and of the tenth of places that changes most."""
    steps = np.abs(np.diff(np.array(thumbnails), axis=0)).reshape(len(thumbnails) - 1, -1)
    most = np.sort(steps, axis=1)[:, -max(steps.shape[1] // 10, 1) :]
    return steps.mean(axis=1), most.mean(axis=1)


def own_frames(pictures: Pictures, rate: float) -> list[int]:
    """The frames that are no repeats of the one before, as screen recordings and uneven rates have them.

    Raises UnfitVideo at a cut.
    """
    mean, most = changes([pictures.thumbnail(frame) for frame in range(len(pictures))])
    for frame in np.flatnonzero(mean > CUT):
        beside = np.concatenate([mean[max(frame - 4, 0) : frame], mean[frame + 1 : frame + 5]])
        if mean[frame] > CUT_TIMES * max(float(beside.max(initial=0.0)), 1e-3):
            raise UnfitVideo(
                f"The video cuts to another shot at {(frame + 1) / rate:.2f} s of the part looked at; "
                "trim it to one shot (From and To)."
            )
    repeated = np.concatenate([[False], most < SAME])
    for first, last in contacts.runs(repeated):
        if last - first > MOST_REPEATS:
            repeated[first:last] = False
    return [int(frame) for frame in np.flatnonzero(~repeated)]


def check_people(found: Sequence[list[Sighting]], chosen: Sequence[Sighting | None], boxed: bool) -> None:
    """Raises UnfitVideo where nobody is seen, or several people are and no box says which."""
    share = sum(one is not None for one in chosen) / len(chosen)
    if share < LEAST_SEEN:
        seen = f"in {share:.0%} of the frames only" if share > 0.05 else "in this video"
        verb = "A person is seen" if share > 0.05 else "No person is seen"
        raise UnfitVideo(f"{verb} {seen}; choose frames that show one from head to toe.")
    several = np.mean([persons(seen) > 1 for seen in found])
    if several > SEVERAL and not boxed:
        raise UnfitVideo("Several people are seen; draw a box around the one to learn from (Person Box).")


def check_seen(landmarks: Landmarks) -> None:
    """Raises UnfitVideo where no frame that is left shows the person."""
    if not landmarks.found.any():
        raise UnfitVideo("No frame that is left shows the person; strike out fewer.")


def check_whole(landmarks: Landmarks) -> None:
    """Raises UnfitVideo where what was seen moves as no person does, as happens with pictures of no person."""
    xy = landmarks.xy[:, 11:33]
    size = np.median(np.linalg.norm(np.ptp(xy, axis=1), axis=-1))
    jumps = np.median(np.linalg.norm(np.diff(xy, axis=0), axis=-1).mean(axis=1))
    if jumps > 0.5 * size:
        raise UnfitVideo("No person is followed through this video; choose frames that show one from head to toe.")


def slowness(landmarks: Landmarks) -> float:
    """How many times slower than life the frames play, told by how the person falls; 1 where nothing tells of it."""
    scale = contacts.scale_of(landmarks)
    best, least = 1.0, SLOW_ERROR
    for factor in SLOW_FACTORS:
        faster = landmarks.played_at(landmarks.rate * factor)
        gravity, seconds = contacts.gravity_seen(faster, scale)
        if not gravity or not SHORTEST_FLIGHT <= seconds <= LONGEST_FLIGHT or not _is_flight(landmarks, faster, scale):
            continue
        off = abs(math.log(gravity / contacts.GRAVITY))
        if factor == 1.0 and off < 2 * SLOW_ERROR:
            return 1.0
        if off < least:
            best, least = factor, off
    return best


def _is_flight(landmarks: Landmarks, faster: Landmarks, scale: float) -> bool:
    """Whether the longest flight of the frames played faster is one: the person rests on the floor before it, or after
    it, and at no speed in its middle. Played ten times as fast, what trembles a little does not seem to rest."""
    seen = contacts.see(faster, scale)
    first, last = max(contacts.runs(seen.flight), key=lambda run: run[1] - run[0])
    third = (last - first) // 3
    rests, rests_as_played = (_rests(contacts.see(frames, scale)) for frames in (faster, landmarks))
    beside = rests[:first].any() or rests[last:].any()
    return bool(beside and not rests_as_played[first + third : last - third].any())


def _rests(seen: contacts.Contacts) -> BoolArray:
    resting: BoolArray = seen.feet.any(axis=1) | seen.hands.any(axis=1)
    return resting
