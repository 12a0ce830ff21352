# SPDX-License-Identifier: GPL-3.0-or-later
"""What feet do: hops and steps that the clip lacks, how far they slide, and how hard the floor is hit, with
whichever part."""

from __future__ import annotations

import dataclasses

import numpy as np

from .. import rotations
from ..arrays import Array, BoolArray
from ..body import FEET
from ..shapes import core_points, core_radius
from .course import CHATTER, Course, Phase, phases, without_chatter

BEARS = 0.02  # body weights: a foot that carries as much is planted
# m over a link's lowest point, in which its other points touch as well: what a simulation takes for touching
# (trainer.physics.simulator.TOUCHING)
TOUCHES = 0.002
PHASE_SHIFT = 0.1  # s by which a take's airborne phase may lie beside the clip's own
STEP_SHIFT = 0.25  # s by which a take may put a foot down sooner or later than its clip
LANDING_SECONDS = 0.15  # after a hop, in which a foot that comes down only ends it
STEP_HEIGHT, STEP_LENGTH = 0.01, 0.02  # m: a foot neither raised nor put down so far away has not stepped
HIT_FRAMES = 2  # before a touch, over which a part's speed is taken
LEAST_IMPACT = 0.3  # m/s: slower parts are put down
IMPACT_SECONDS = 0.05  # over which the floor's force is taken
DIRECTIONS = 16  # in half a turn, along which a slide is measured: its length within 0.5 %


@dataclasses.dataclass(frozen=True)
class Extra:
    """Hops and steps that the clip lacks: in all, and of them those after its own last flight."""

    hops: int
    hops_after: int
    steps: int
    steps_after: int


def extra_footwork(course: Course, clip: Course) -> Extra:
    """Count the hops and steps of a take that its clip lacks.

    A hop is an airborne phase of CHATTER and longer after a take-off; one is the clip's if the clip is in the air
    then. A step puts down a foot that had left the floor, was raised or moved meanwhile, and that the clip does not
    put down then; putting the feet down after a hop is no step besides. Each of the clip's own counts once.
    """
    in_air = airborne(course)
    own = [(start, end) for start, end in in_air if start > 0]
    known = _matched(own, airborne(clip), course.rate, clip.rate)
    hops = [phase for phase in own if phase not in known]
    landed = max((end for _, end in known), default=0)
    steps = []
    for name in FEET:
        down = [start for start, _ in _placements(course, name)]
        puts_down = [(start / clip.rate) for start, _ in _placements(clip, name)]
        for frame in _unmatched(down, puts_down, course.rate):
            ends_hop = any(0 <= frame - end <= LANDING_SECONDS * course.rate for _, end in hops)
            if not ends_hop:
                steps.append(frame)
    return Extra(
        len(hops), sum(start >= landed for start, _ in hops), len(steps), sum(frame > landed for frame in steps)
    )


def airborne(course: Course) -> list[Phase]:
    """The phases of CHATTER and longer in which nothing touches the floor."""
    return phases(~without_chatter(course.touching.any(axis=1), course.rate))


def _matched(own: list[Phase], clips: list[Phase], rate: float, clip_rate: float) -> set[Phase]:
    """Those of a take's phases that are the clip's: the longest overlaps first, one to one."""
    overlaps = []
    for phase in own:
        start, end = phase[0] / rate, phase[1] / rate
        for k, (first, last) in enumerate(clips):
            shared = min(end, last / clip_rate) - max(start, first / clip_rate)
            if shared > -PHASE_SHIFT:
                overlaps.append((shared, phase, k))
    matched: set[Phase] = set()
    taken: set[int] = set()
    for _, phase, k in sorted(overlaps, reverse=True):
        if phase not in matched and k not in taken:
            matched.add(phase)
            taken.add(k)
    return matched


def _unmatched(frames: list[int], seconds: list[float], rate: float) -> list[int]:
    """Those of a take's placements, at frames, that its clip, which has them at seconds, lacks; the nearest first."""
    apart = sorted((abs(frame / rate - second), frame, k) for frame in frames for k, second in enumerate(seconds))
    found: set[int] = set()
    taken: set[int] = set()
    for distance, frame, k in apart:
        if distance <= STEP_SHIFT and frame not in found and k not in taken:
            found.add(frame)
            taken.add(k)
    return [frame for frame in frames if frame not in found]


def _placements(course: Course, foot: str) -> list[Phase]:
    """The phases in which a foot is on the floor, of those that begin with putting it down."""
    index = course.body.index(foot)
    down = phases(without_chatter(course.touching[:, index], course.rate))
    placed = []
    for (_, left), phase in zip(down[:-1], down[1:], strict=True):
        way = np.linalg.norm(course.positions[phase[0], index, :2] - course.positions[left - 1, index, :2])
        raised = course.lows[left : phase[0], index].max() - course.lows[[left - 1, phase[0]], index].max()
        if raised >= STEP_HEIGHT or way >= STEP_LENGTH:
            placed.append(phase)
    if down and down[0][0] > CHATTER * course.rate:
        placed.insert(0, down[0])  # in the air from the first frame on
    return placed


def slip(course: Course) -> float | None:
    """Mean speed along the floor of what touches it, weighted by the force with which it does, m/s.

    From one frame to the next, of what touches in both: in the frame of an impact most of the way lies before it.
    0 where nothing is ever carried; None without recorded forces.
    """
    if course.load is None:
        return None
    carried = course.load[1:] * (course.touching[:-1] & course.touching[1:])
    bearing = np.flatnonzero(carried.any(axis=0))
    total = float(carried[:, bearing].sum())
    speeds = (np.linalg.norm(_contact_motion(course, int(i)), axis=-1) * course.rate for i in bearing)
    return sum(float(carried[:, i] @ speed) for i, speed in zip(bearing, speeds, strict=True)) / max(total, 1e-9)


def longest_slide(course: Course) -> float:
    """The farthest that a planted foot slides along the floor while it stays planted, m.

    A foot is planted while it bears; its slide is the way between the two places farthest from each other that the
    middle of its contact comes to, carried along with the foot. A foot that rolls, or turns about a corner, does not
    slide.
    """
    angles = np.arange(DIRECTIONS) * np.pi / DIRECTIONS
    directions = np.stack([np.cos(angles), np.sin(angles)])
    longest = 0.0
    for name in FEET:
        index = course.body.index(name)
        moved = _contact_motion(course, index)
        for start, end in phases(without_chatter(_planted(course, index), course.rate)):
            path = np.concatenate([np.zeros((1, 2)), np.cumsum(moved[start : end - 1], axis=0)])
            longest = max(longest, float(np.ptp(path @ directions, axis=0).max()))
    return longest


def _planted(course: Course, foot: int) -> BoolArray:
    """Whether a foot bears (F,); without recorded forces, whether it touches."""
    if course.load is None:
        return course.touching[:, foot]
    bears: BoolArray = course.touching[:, foot] & (course.load[:, foot] >= BEARS * course.weight)
    return bears


def _contact_motion(course: Course, link: int) -> Array:
    """How far a link's contact with the floor moves along it until the next frame (F - 1, 2), m.

    The mean over the link's points that lie within TOUCHES over its lowest one, in this frame and the next; of a
    rounded shape the point that is lowest now, moving on with the link.
    """
    shapes = course.body.links[link].shapes
    points = np.concatenate([core_points(shape) for shape in shapes])
    radii = np.concatenate([np.full(len(core_points(shape)), core_radius(shape)) for shape in shapes])
    position, turn = course.positions[:, link, None], course.orientations[:, link, None]
    low = position + rotations.rotate(turn, points)
    low[..., 2] -= radii
    held = rotations.rotate(rotations.conjugate(turn), low - position)
    moved = (position[1:] + rotations.rotate(turn[1:], held[:-1]) - low[:-1])[..., :2]
    near = low[..., 2] <= low[..., 2].min(axis=1, keepdims=True) + TOUCHES
    both = near[:-1] & near[1:]
    both = np.where(both.any(axis=1, keepdims=True), both, near[:-1])
    mean: Array = np.einsum("fp,fpk->fk", both / both.sum(axis=1, keepdims=True), moved)
    return mean


def landing_force(course: Course) -> float | None:
    """The floor's greatest force over IMPACT_SECONDS, body weights; None without recorded forces."""
    if course.load is None:
        return None
    total = course.load.sum(axis=1)
    count = min(max(round(IMPACT_SECONDS * course.rate), 1), len(total))
    means = np.convolve(total, np.full(count, 1.0 / count), mode="valid")
    return float(means.max() / course.weight)


def hardest_impact(course: Course) -> tuple[float, str]:
    """The greatest speed at which a part comes down onto the floor, m/s, and the link's name; 0 and "" without one."""
    hardest, part = 0.0, ""
    for link, name in enumerate(course.body.names):
        for start, _ in phases(without_chatter(course.touching[:, link], course.rate)):
            if start < HIT_FRAMES + 1:
                continue
            fallen = course.lows[start - 1 - HIT_FRAMES, link] - course.lows[start - 1, link]
            speed = float(fallen * course.rate / HIT_FRAMES)
            if speed > max(hardest, LEAST_IMPACT):
                hardest, part = speed, name
    return hardest, part
