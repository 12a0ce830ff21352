# SPDX-License-Identifier: GPL-3.0-or-later
"""The nearest motion that a floor could carry.

While something touches the floor, the body is shifted and turned over its feet, as little and as smoothly as will do,
until the floor can give what the motion takes: a spline of changes is fitted by sequential quadratic programming. At
take-off and touchdown the centre of mass has the velocity that the flight needs; its angular momentum comes as near as
is worth it.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from .. import rotations
from ..arrays import Array, IntArray
from ..body import FEET, Body
from ..constants import GRAVITY
from ..motion import Motion
from . import flat_soles, floor_limits
from .feasible_flight import Flight
from .floor_limits import Reaction, Support
from .shifted_body import CHANGES, Poses, ShiftedBody, Slopes, State
from .spline_fit import Bounds, Fit, Spline, Tie

KNOT = 1 / 30  # s between the spline's knots
FITTED = 60.0  # Hz at which a stance is fitted
ROUNDS = 5  # of the quadratic programme, each about the motion that the one before led to
SMALLEST_STEP = 0.1  # of a round's way
GAIN = 0.01  # share of the cost that a round must take off to be followed by another
GHOSTS = 2  # samples past a stance's ends from which its derivatives there are taken
LONGEST = 4.0  # s that are fitted at once
KEPT = 3.5  # s of them that are kept where more follow
MOVES = 0.1  # m/s: a body that moves so fast before it comes to rest is stopped; one that stands stays as it stands
RESTS_WITHIN = 0.5  # s, in which a body that comes to rest comes over the middle of what bears it
SPEED_SECONDS = 0.1  # over which its speed is taken
SHORTEST = 0.1  # s: a shorter stance is left as it is
# What costs one: m and rad a frame; m/s^2 and rad/s^2 a frame
NEAR = np.array([0.03] * 3 + [np.radians(5.0)] * 3)
EVEN = np.array([5.0] * 3 + [50.0] * 3)
TIGHT = 0.1  # of NEAR, where more than feet and hands bears: nothing holds knees or a back in place
END_PLACE, END_RATE = np.array([0.01] * 3 + [np.radians(2.0)] * 3), np.array([0.1] * 3 + [np.radians(15.0)] * 3)
# rad/s of their flight's turning that take-off and touchdown may lack: an impact takes what it takes
TAKE_OFF_TURN, TOUCHDOWN_TURN = 0.1, 0.5
_EXACT = 1e10  # weight of what must be met


@dataclasses.dataclass(frozen=True)
class StanceChange:
    """What was changed between flights: start and end, s. moved: greatest way of the hips, m, and at what time, s.
    turned: greatest turn of the hips, rad; bent: of any joint, rad. soled: greatest way up or down of a foot that was
    put down flat, m."""

    start: float
    end: float
    moved: float
    moved_at: float
    turned: float
    bent: float
    soled: float


@dataclasses.dataclass(frozen=True)
class _Edge:
    """How a fitted piece of a stance begins or ends, at a frame of the motion.

    kind "free": with the clip. "rest": at rest, wherever that is. "flight": velocity (3,), m/s, and angular momentum
    (3,) are to be met. "seam": the change and its rate (6,), (6,) are the piece's before.
    """

    frame: int
    kind: str
    first: Array = dataclasses.field(default_factory=lambda: np.zeros(CHANGES))
    second: Array = dataclasses.field(default_factory=lambda: np.zeros(CHANGES))


def carried(
    body: Body,
    smooth: Motion,
    flown: Motion,
    flights: list[Flight],
    rests_from: float = np.inf,
    landed: bool = False,
) -> tuple[Motion, list[StanceChange]]:
    """The motion with what is not flight made possible on the floor, and what that changed.

    First soles that rest are put down flat, then the body is moved over them. smooth: the clip as it was before its
    flights were made physical, at flown's rate; flown: after that.
    rests_from: s from which on the body comes to rest, over the middle of what bears it. landed: it comes from
    a flight.
    """
    rate = flown.rate
    if flown.duration < SHORTEST:
        return flown, []
    spans = [(round(flight.start * rate), round(flight.end * rate)) for flight in flights]
    whole = ShiftedBody(body, flown)
    momentum = whole.momentum(whole.base)[1]
    starts, ends = [_Edge(0, "free")], []
    for flight, (first, last) in zip(flights, spans, strict=True):
        fallen = np.array([0.0, 0.0, GRAVITY]) * (flight.end - flight.start)
        ends.append(_Edge(first, "flight", flight.velocity, momentum[first + 1]))
        starts.append(_Edge(last, "flight", flight.velocity - fallen, momentum[last - 1]))
    ends.append(_Edge(flown.frames - 1, "rest" if np.isfinite(rests_from) else "free"))
    position, turns = flown.position.copy(), flown.rotations.copy()
    soled = flat_soles.put_down(body, smooth, spans, rests_from)
    changes = []
    for start, end in zip(starts, ends, strict=True):
        if end.frame - start.frame < SHORTEST * rate:
            continue
        frames = slice(start.frame, end.frame + 1)
        rises = end.kind == "rest" and (landed or start.kind == "flight")
        least = floor_limits.LEAST_LANDED if rises else floor_limits.LEAST
        poses = _carry(body, soled, start, end, rests_from, least)
        position[frames], turns[frames] = poses.positions[:, 0], body.local_rotations(poses.orientations)
        changes.append(_told(body, smooth, soled, frames, position, turns))
    return dataclasses.replace(flown, position=position, rotations=rotations.continuous(turns)), changes


def _told(body: Body, smooth: Motion, soled: Motion, frames: slice, position: Array, turns: Array) -> StanceChange:
    """What led from the smooth motion by way of the soled one to position (F, 3) and turns (F, L, 4)."""
    feet = [body.index(name) for name in FEET]
    lows = [body.lowest_points(*body.forward(m.position[frames], m.rotations[frames]), feet) for m in (smooth, soled)]
    moved = np.linalg.norm(position[frames] - smooth.position[frames], axis=1)
    turned = rotations.angle_between(turns[frames], smooth.rotations[frames])
    return StanceChange(
        start=frames.start / smooth.rate,
        end=(frames.stop - 1) / smooth.rate,
        moved=float(moved.max()),
        moved_at=(frames.start + int(np.argmax(moved))) / smooth.rate,
        turned=float(turned[:, 0].max()),
        bent=float(turned[:, 1:].max()),
        soled=float(np.abs(lows[1] - lows[0]).max()),
    )


def _carry(body: Body, smooth: Motion, start: _Edge, end: _Edge, rests_from: float, least: float) -> Poses:
    """Poses of a stance's frames, both ends included; a long one is fitted a piece at a time."""
    longest, kept = round(LONGEST * smooth.rate), round(KEPT * smooth.rate)
    parts: list[Poses] = []
    while end.frame - start.frame > longest:
        piece = _Piece(body, smooth, start, _Edge(start.frame + longest, "open"), rests_from, least)
        piece.fit()
        parts.append(piece.poses(kept))
        start = piece.seam(kept)
    piece = _Piece(body, smooth, start, end, rests_from, least)
    piece.fit()
    parts.append(piece.poses(end.frame - start.frame + 1))
    return Poses(np.concatenate([p.positions for p in parts]), np.concatenate([p.orientations for p in parts]))


def _speed(motion: Motion, time: float) -> float:
    """How fast the root goes along the floor in the last SPEED_SECONDS before a time, s; m/s."""
    if not np.isfinite(time):
        return 0.0
    before, after = motion.sample(np.array([time - SPEED_SECONDS, time]))[0]
    return float(np.linalg.norm((after - before)[:2])) / SPEED_SECONDS


class _Piece:
    """A piece of a stance, and the spline of changes that is fitted to it."""

    def __init__(self, body: Body, smooth: Motion, start: _Edge, end: _Edge, rests_from: float, least: float) -> None:
        self.smooth, self.start = smooth, start
        begin, seconds = start.frame / smooth.rate, (end.frame - start.frame) / smooth.rate
        count = round(seconds * FITTED)
        self.rate = count / seconds
        samples = np.arange(-GHOSTS, count + GHOSTS + 1)
        times = begin + samples / self.rate
        there = (times > -1e-6) & (times < smooth.duration + 1e-6)
        sampled = Motion(self.rate, *smooth.sample(times[there]))
        self.shifted = ShiftedBody(body, sampled)
        self.spline = Spline(seconds, KNOT)
        self.basis = self.spline.basis(samples[there] / self.rate)
        first = int(np.flatnonzero(samples[there] == 0)[0])
        self.edges = [(start, first), (end, first + count)]
        self.asked: IntArray = np.arange(max(first, GHOSTS), min(first + count, sampled.frames - 1 - GHOSTS) + 1)
        base = self.shifted.base
        rest = np.clip((times[there][self.asked] - rests_from) / RESTS_WITHIN, 0.0, 1.0)
        support = Support.of(body, Poses(base.positions[self.asked], base.orientations[self.asked]))
        support = support.at_rest(rest, min(_speed(smooth, rests_from) / MOVES, 1.0))
        self.support = dataclasses.replace(support, least=least)
        ends = [limb.end for limb in self.shifted.limbs]
        others = np.delete(self.shifted.lowest[self.asked], ends, axis=1).min(axis=1)
        near = NEAR * np.where(others < floor_limits.DOWN, TIGHT, 1.0)[:, None]
        self.model = Fit(self.basis.at(self.asked), self.spline.controls, 1 / near**2, 1 / EVEN**2)
        self.controls = np.zeros((self.spline.controls, CHANGES))

    def fit(self) -> None:
        """Sequential quadratic programming with a line search."""
        state = self._state(self.controls)
        self.controls = self.model.solve(None, self._ties(state, self.shifted.slopes(state)), self.controls)
        state = self._state(self.controls)
        cost = self._cost(self.controls, state)
        for _ in range(ROUNDS):
            slopes = self.shifted.slopes(state)
            goal = self.model.solve(self._bounds(state, slopes), self._ties(state, slopes), self.controls)
            before, size = cost, 1.0
            while size > SMALLEST_STEP:
                tried = self.controls + size * (goal - self.controls)
                state = self._state(tried)
                cost = self._cost(tried, state)
                if cost < before:
                    break
                size /= 2
            if cost >= before:
                return
            self.controls = tried
            if before - cost < GAIN * before:
                return

    def _state(self, controls: Array) -> State:
        return self.shifted.state(self.basis.of(controls))

    def _cost(self, controls: Array, state: State) -> float:
        bounds = self._bounds(state, None)
        return self.model.cost(controls) + bounds.cost(bounds.value)

    def _bounds(self, state: State, slopes: Slopes | None) -> Bounds:
        weight = self.shifted.body.mass * GRAVITY
        reaction = Reaction.of(state.centre, state.momentum, slopes, self.asked, self.rate, weight)
        floor = floor_limits.bounds(self.support, reaction)
        return Bounds.joined([floor, floor_limits.reach_bounds(self.shifted, state, self.asked)])

    def _ties(self, state: State, slopes: Slopes) -> list[Tie]:
        velocity = np.gradient(state.centre, 1 / self.rate, axis=0)
        ties: list[Tie] = []
        every, none = np.eye(CHANGES), np.zeros(CHANGES)
        exact: Array = np.full(CHANGES, _EXACT)
        for (edge, at), lacks in zip(self.edges, (TOUCHDOWN_TURN, TAKE_OFF_TURN), strict=True):
            basis = self.basis.at(np.array([at]))
            if edge.kind == "free":
                ties += [Tie(basis, 0, every, none, 1 / END_PLACE**2), Tie(basis, 1, every, none, 1 / END_RATE**2)]
            elif edge.kind == "rest":
                ties += [Tie(basis, 1, every, none, exact), Tie(basis, 2, every, none, 1 / EVEN**2)]
            elif edge.kind == "seam":
                ties += [Tie(basis, 0, every, edge.first, exact), Tie(basis, 1, every, edge.second, exact)]
            elif edge.kind == "flight":
                lacking = np.concatenate([edge.first - velocity[at], edge.second - state.momentum[at]])
                system = np.concatenate([slopes.centre[at], slopes.momentum_rate[at]])
                now = basis.of(self.controls, 1)[0]
                goal = now + np.linalg.lstsq(system, lacking, rcond=1e-3)[0]
                turn, moved = every[3:], slopes.centre[at]
                ties += [
                    Tie(basis, 0, every, none, exact),
                    Tie(basis, 1, turn, turn @ goal, np.full(3, 1 / lacks**2)),
                ]
                ties += [Tie(basis, 1, moved, moved @ now + lacking[:3], exact[:3])]
        return ties

    def poses(self, count: int) -> Poses:
        """Of count frames of the motion from the piece's first on."""
        frames = slice(self.start.frame, self.start.frame + count)
        motion = Motion(self.smooth.rate, self.smooth.position[frames], self.smooth.rotations[frames])
        basis = self.spline.basis(np.arange(count) / self.smooth.rate)
        return ShiftedBody(self.shifted.body, motion).poses(basis.of(self.controls))

    def seam(self, frame: int) -> _Edge:
        """Where another piece may go on, so many frames after this one's start."""
        basis = self.spline.basis(np.array([frame / self.smooth.rate]))
        value, rate = (basis.of(self.controls, order)[0] for order in (0, 1))
        return _Edge(self.start.frame + frame, "seam", value, rate)
