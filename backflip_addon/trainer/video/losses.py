# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fit to a video costs: each term by its name, a sum of squares over frames in units of its own sigma.

Where single landmarks may be wrong altogether a square is flattened (Cauchy's loss). What smooths is measured as large
as it is seen in the picture: else a small person near the camera would be the cheapest way to a smooth motion.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import torch

from ...core import rotations
from ...core.arrays import Array
from ...core.body import LINK_NAMES
from ...core.joint_limits import usual_limit
from . import figure, views
from .contacts import GRAVITY, USUAL_CAMERA_HEIGHT, Contacts, runs
from .figure import INDEX, ROW, tensor
from .views import View

# Sigmas: metres, rad, seconds, where nothing else is said
ACCELERATION, TURNING = 35.0, 120.0  # of landmarks, m/s^2; of links, rad/s^2
LEVEL_PUSH, RISING_PUSH = 3.0, 15.0  # m/s^2: of the centre of mass while something may push it
FLIGHT, FLIGHT_PATH = 1.0, 0.015  # m/s^2 and m: off free fall, and off its parabola
FLOOR, SOLE, SLIDE = 0.03, 0.02, 0.25  # m, m, m/s
TOLD_FLOOR = 0.005  # m at the person: it is one number against those of all frames
HAND_HEIGHT, HAND, HAND_SLIDE = 0.10, 0.05, 0.3  # a wrist above a hand that carries, m
HALF_FOOT, OUTSIDE, MIDDLE = 0.04, 0.03, 0.05  # m: of the centre of mass, off what rests, and off both feet's middle
LIMIT, RANGE = 0.1, 0.05  # rad past a hinge's end, and past a ball joint's range
KNEE, ELBOW = (-2.6, 0.0), (0.0, 2.6)
TILTS = {"chest": 0.5, "head": 0.6, "foot.L": 0.7, "foot.R": 0.7}
WIDE_TILTS = {"thigh.L": 1.2, "thigh.R": 1.2, "upper_arm.L": 1.6, "upper_arm.R": 1.6}
# Priors: of the camera's focal length (logarithm), tilt, roll, height; of the person's parts (logarithm)
FOCAL, PITCH, ROLL, CAMERA_HEIGHT = 0.15, 0.15, 0.02, 0.5
PART, ALL_PARTS, SYMMETRY = 0.08, 0.01, 0.006
LAG = 0.5  # frames that a frame of an uneven video may be late or early
DELAY = 0.5  # frames that another camera's pictures may be off the times that they were brought to
LEAN = 0.1  # rad, of everybody that the network sees in a video, towards the camera or from it
STEADY = 4  # frames to both sides over which lags are none on the mean

_PAIRS = [(ROW[mark], ROW[mark + 1]) for mark in (7, 11, 13, 15, 23, 25, 27, 29, 31)]
_SOLES, WRISTS = ((29, 31), (30, 32)), (15, 16)

# How far joints are past what a person's turn to (core.joint_limits)
INSIDE_RANGE = math.radians(4)  # from its end: what is performed, and a motion between its frames, swings a little past
_EDGE = 1e-3  # off where an angle has no slope
_LIMITS = {name: limit for name in LINK_NAMES if (limit := usual_limit(name)) is not None}
_BALLS = [INDEX[name] for name in _LIMITS]
_BACK = tensor([rotations.to_matrix(rotations.conjugate(limit.frame)) for limit in _LIMITS.values()])
_HALF = tensor([limit.half - INSIDE_RANGE for limit in _LIMITS.values()])

# Arms stay out of the trunk and of the legs: where one is hidden, the network likes to put it inside the body
APART = 0.02  # m: sigma of how deep an arm's middle is inside
# Shares of the height: half of the hips' breadth (Winter 2009, figure 4.1) and half of a chest's depth, an arm's radius
# added; where along a link its bulk lies, and half of its length
BREADTH, DEPTH = 0.11, 0.08
_TRUNK = (("pelvis", 0.030, 0.11), ("chest", 0.095, 0.12))
THIGH = 0.055  # of a thigh's and an arm's radius
_ALONG_FOREARM = (0.0, 0.5, 1.0, 1.3)  # places from the elbow, in forearms: the last in the hand


@dataclasses.dataclass
class Unknowns:
    """What is looked for, as torch's tensors.

    turns (F, L, 3): rotation vectors on top of the pose so far. shift (F, 3): on top of the root so far, m.
    height: logarithm of the person's, m. lengths (G,): logarithms of its parts' factors. places (M, 3): landmarks.
    lags (F,): how much earlier than its turn a frame was taken, in frames.
    Of each view (V,): focal: logarithm, pixels. pitch: downwards, roll, rad. camera: its height, m. lean: by how much
    the network sees persons lean from the camera, rad. heading: about the vertical, off the first camera's, rad. spot
    (V, 2): on the floor, m. delay: by how many frames its pictures were taken earlier than thought.
    """

    turns: Any
    shift: Any
    height: Any
    lengths: Any
    places: Any
    lags: Any
    focal: Any
    pitch: Any
    roll: Any
    camera: Any
    lean: Any
    heading: Any
    spot: Any
    delay: Any


@dataclasses.dataclass
class Problem:
    """What is known, and the pose so far.

    told_height: m, and sigma of its logarithm. pose (F, L, 3, 3), root (F, 3), angles (F, L): the pose so far.
    """

    views: tuple[View, ...]
    told_height: float
    height_sigma: float
    contacts: Contacts
    pose: Array
    root: Array
    angles: Array
    flights: bool = True

    @property
    def rate(self) -> float:
        """Frames a second."""
        return self.views[0].landmarks.rate


@dataclasses.dataclass
class Shown:
    """A pose of all frames as unknowns give it, torch's: landmarks (F, M, 3), links, centre of mass (F, 3)."""

    marks: Any
    origins: Any
    orientations: Any
    turns: Any
    centre: Any


def shown(problem: Problem, unknowns: Unknowns, free: Any) -> Shown:
    """The pose. free (L, 3): 1 for the axes about which a joint turns."""
    turns = tensor(problem.pose) @ figure.turns_of(unknowns.turns * free)
    height = torch.exp(unknowns.height)
    origins, orientations = figure.places(tensor(problem.root) + unknowns.shift, turns, height, unknowns.lengths)
    marks = figure.markers(origins, orientations, height, unknowns.places)
    return Shown(marks, origins, orientations, turns, figure.centre_of_mass(origins, orientations, height))


def all_terms(problem: Problem, unknowns: Unknowns, pose: Shown) -> dict[str, Any]:
    """Every term, by name."""
    lags = unsteady(unknowns.lags)
    terms = {"picture": 0.0, "direction": 0.0}
    for n, view in enumerate(problem.views):
        seen = seen_by(unknowns, n, pose.marks)
        terms["picture"] = terms["picture"] + views.picture_term(view, unknowns.focal[n], seen)
        terms["direction"] = terms["direction"] + views.direction_term(view.landmarks, seen, unknowns.lean[n])
    terms |= {
        "smooth": _smooth(problem, unknowns, pose),
        "limits": _limits(problem, unknowns, pose),
        "camera": _camera(problem, unknowns),
        "lags": (lags**2).sum() / LAG**2,
        "shape": _shape(problem, unknowns),
        "floor": (torch.relu(-pose.marks[..., 2]) ** 2).sum() / FLOOR**2 + _told_floor(problem, unknowns, pose),
        "contacts": _contacts(problem, pose),
        "apart": apart_term(pose.origins, pose.orientations, torch.exp(unknowns.height)),
        "balance": _balance(problem, pose, views.camera_axes(unknowns.pitch[0], unknowns.roll[0])[2]),
    }
    if problem.flights and problem.contacts.flight.any():
        terms["flight"] = _flight(problem, pose)
    return terms


def seen_by(unknowns: Unknowns, view: int, marks: Any) -> Any:
    """Places (F, ..., 3) in the world, in the axes of a view's camera, at the times of its pictures."""
    late = lagging(marks, unsteady(unknowns.lags) if view == 0 else unknowns.delay[view].expand(len(marks)))
    axes, position = camera_of(unknowns, view)
    return (late - position) @ axes.T


def camera_of(unknowns: Unknowns, view: int) -> tuple[Any, Any]:
    """A view's axes (3, 3), rows right, down, away in the world, and where it stands (3,)."""
    axes = views.camera_axes(unknowns.pitch[view], unknowns.roll[view])
    position = torch.cat([unknowns.spot[view], unknowns.camera[view : view + 1]])
    return axes @ views.about_vertical(-unknowns.heading[view]), position


def _told_floor(problem: Problem, unknowns: Unknowns, pose: Shown) -> Any:
    """The floor below the hips is where somebody has put it in the first camera's picture."""
    view = problem.views[0]
    if view.floor is None:
        return torch.zeros((), dtype=figure.NUMBER)
    frame, told = view.floor
    axes, position = camera_of(unknowns, 0)
    below = pose.origins[frame, :1] * tensor([1.0, 1.0, 0.0])
    off = views.spots(view.landmarks, unknowns.focal[0], (below - position) @ axes.T)[0, 1] - told
    return (off / (view.scale * TOLD_FLOOR)) ** 2


def unsteady(lags: Any) -> Any:
    """Lags (F,) without what goes on for long: a picture does not tell it from another motion."""
    reach = min(STEADY, len(lags) - 1)
    near = torch.nn.functional.pad(lags[None, None], (reach, reach), mode="reflect")[0, 0]
    steady: Any = near.unfold(0, 2 * reach + 1, 1).mean(-1)
    return lags - steady


def lagging(values: Any, lags: Any) -> Any:
    """Values (F, ...) so many frames (F,) earlier, by the parabola through three frames."""
    late = lags.reshape(-1, *(1,) * (values.ndim - 1))
    before, after = torch.cat([values[:1], values[:-1]]), torch.cat([values[1:], values[-1:]])
    return values - late * (after - before) / 2 + late**2 * (after - 2 * values + before) / 2


def _smooth(problem: Problem, unknowns: Unknowns, pose: Shown) -> Any:
    rate = problem.rate
    away = seen_by(unknowns, 0, pose.marks)[..., 2].mean()
    metre = away / torch.exp(unknowns.focal[0]) * problem.views[0].scale
    bent = _second(pose.marks, rate) / metre
    relative = pose.orientations.transpose(-1, -2)[:-1] @ pose.orientations[1:]
    speed = torch.stack(
        [
            relative[..., 2, 1] - relative[..., 1, 2],
            relative[..., 0, 2] - relative[..., 2, 0],
            relative[..., 1, 0] - relative[..., 0, 1],
        ],
        -1,
    )
    turned = (speed[1:] - speed[:-1]) / 2 * rate**2
    pushed = _second(pose.centre, rate)
    landmarks = views.cauchy((bent**2).sum(-1) / ACCELERATION**2, 4.0).sum()
    links = 0.5 * views.cauchy((turned**2).sum(-1) / TURNING**2, 4.0).sum()
    centre = 2 * ((pushed[:, :2] ** 2).sum() / LEVEL_PUSH**2 + (pushed[:, 2] ** 2).sum() / RISING_PUSH**2)
    return landmarks + links + centre


def _second(values: Any, rate: float) -> Any:
    return (values[2:] - 2 * values[1:-1] + values[:-2]) * rate**2


def _limits(problem: Problem, unknowns: Unknowns, pose: Shown) -> Any:
    """Knees and elbows do not bend backwards, no joint turns farther than people's, those of the trunk little."""
    angles = tensor(problem.angles) - unknowns.turns[..., 0]
    total = torch.zeros((), dtype=figure.NUMBER)
    for names, (low, high) in ((("shin.L", "shin.R"), KNEE), (("forearm.L", "forearm.R"), ELBOW)):
        own = angles[:, [INDEX[name] for name in names]]
        total = total + (torch.relu(low - own) ** 2 + torch.relu(own - high) ** 2).sum() / LIMIT**2
    for turns in (pose.turns, (pose.turns[1:] + pose.turns[:-1]) / 2):  # and half-way between frames
        total = total + (past_ranges(turns) ** 2).sum() / RANGE**2
    for weight, tilts in ((1.0, TILTS), (0.25, WIDE_TILTS)):
        for name, sigma in tilts.items():
            cosine = (pose.turns[:, INDEX[name]].diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2
            total = total + weight * 2 * ((1 - cosine) / sigma**2).sum()
    return total


def _camera(problem: Problem, unknowns: Unknowns) -> Any:
    guessed = tensor([[math.log(view.focal), view.pitch] for view in problem.views])
    focal, pitch = (unknowns.focal - guessed[:, 0]) / FOCAL, (unknowns.pitch - guessed[:, 1]) / PITCH
    height = (unknowns.camera - USUAL_CAMERA_HEIGHT) / CAMERA_HEIGHT
    lean, delay = unknowns.lean / LEAN, unknowns.delay / DELAY
    return (focal**2 + pitch**2 + (unknowns.roll / ROLL) ** 2 + height**2 + lean**2 + delay**2).sum()


def _shape(problem: Problem, unknowns: Unknowns) -> Any:
    """The person is as tall as told, and built as people are, the same on both sides."""
    told = ((unknowns.height - math.log(problem.told_height)) / problem.height_sigma) ** 2
    parts = ((unknowns.lengths / PART) ** 2).sum() + (unknowns.lengths.mean() / ALL_PARTS) ** 2
    marks = (((unknowns.places - tensor(figure.MARKER_PLACES)) / tensor(figure.MARKER_SIGMAS)[:, None]) ** 2).sum()
    left, right = (unknowns.places[[pair[k] for pair in _PAIRS]] for k in (0, 1))
    sides = (((left - right * tensor([-1.0, 1.0, 1.0])) / SYMMETRY) ** 2).sum()
    return 3 * (told + parts + marks + sides)


def _contacts(problem: Problem, pose: Shown) -> Any:
    """What rests on the floor is on it, and stays there."""
    contacts, rate = problem.contacts, problem.rate
    total = torch.zeros((), dtype=figure.NUMBER)
    for side, marks in enumerate(_SOLES):
        rests = tensor(contacts.feet[:, side])
        foot = pose.marks[:, [ROW[mark] for mark in marks]]
        low = -torch.logsumexp(-60 * foot[..., 2], 1) / 60
        slid = views.cauchy((((foot[1:] - foot[:-1]) * rate) ** 2).sum(-1) / SLIDE**2, 2.0).amin(-1)
        total = total + (rests * ((low - 0.015) / SOLE) ** 2).sum() + (rests[1:] * rests[:-1] * slid).sum()
    for side, mark in enumerate(WRISTS):
        rests = tensor(contacts.hands[:, side])
        hand = pose.marks[:, ROW[mark]]
        slid = views.cauchy((((hand[1:] - hand[:-1]) * rate) ** 2).sum(-1) / HAND_SLIDE**2, 2.0)
        total = total + (rests * ((hand[:, 2] - HAND_HEIGHT) / HAND) ** 2).sum()
        total = total + (rests[1:] * rests[:-1] * slid).sum()
    return total


def _balance(problem: Problem, pose: Shown, sight: Any) -> Any:
    """Along the line of sight, where a picture tells least, a body is over what rests on the floor.

    And rather over the middle of both feet. Across the line of sight, where a picture tells, people do lean to jump.
    """
    contacts = problem.contacts
    level = torch.nn.functional.normalize(sight * tensor([1.0, 1.0, 0.0]), dim=0)
    centre = pose.centre @ level
    places = pose.marks[:, [ROW[mark] for mark in (*_SOLES[0], *_SOLES[1], *WRISTS)]] @ level
    resting = np.concatenate([contacts.feet, contacts.hands], axis=1)
    rests = torch.from_numpy(np.repeat(resting, (2, 2, 1, 1), axis=1))
    low = torch.where(rests, places, torch.inf).amin(1) - HALF_FOOT
    high = torch.where(rests, places, -torch.inf).amax(1) + HALF_FOOT
    some, both = torch.from_numpy(resting.any(axis=1)), torch.from_numpy(contacts.feet.all(axis=1))
    outside = torch.relu(low - centre)[some] + torch.relu(centre - high)[some]
    off = (centre - (low + high) / 2)[both]
    return ((outside / OUTSIDE) ** 2).sum() + ((off / MIDDLE) ** 2).sum()


def _flight(problem: Problem, pose: Shown) -> Any:
    """In flight the centre of mass falls freely, from frame to frame and over the whole of it."""
    rate, flight = problem.rate, problem.contacts.flight
    inside = tensor(flight[2:] & flight[1:-1] & flight[:-2])
    push = _second(pose.centre, rate) + tensor([0.0, 0.0, GRAVITY])
    total = (inside[:, None] * (push / FLIGHT) ** 2).sum()
    for first, last in runs(flight):
        if last - first < 6:
            continue
        times = np.arange(last - first) / rate
        free = pose.centre[first:last] + tensor(0.5 * GRAVITY * times[:, None] ** 2 * [0.0, 0.0, 1.0])
        lines = np.stack([np.ones_like(times), times], 1)
        rest = np.eye(len(times)) - lines @ np.linalg.pinv(lines)
        total = total + ((tensor(rest) @ free) ** 2).sum() / FLIGHT_PATH**2
    return total


def past_ranges(turns: Any) -> Any:
    """By how much ball joints are past INSIDE_RANGE of their ranges (F, B, 3), rad: swing about x and y, twist.

    turns (F, L, 3, 3): each link in its parent, or a mean of two turns that are not far apart. The angles are those of
    core.joint_limits.angles(). An arm that leaves its range behind the back and would be in it again from the other
    side, past half a turn, is as far out of it as the way back is long.
    """
    seen = _BACK @ turns[:, _BALLS]
    # w z and w^2 - z^2 of the quaternion, four and two times: sine and cosine of the twist
    sine, cosine = seen[..., 1, 0] - seen[..., 0, 1], seen[..., 0, 0] + seen[..., 1, 1]
    length = torch.sqrt(sine**2 + cosine**2 + _EDGE**2)
    sin, cos = sine / length, cosine / length
    x, y, z = torch.nn.functional.normalize(seen[..., 2], dim=-1).unbind(-1)
    swing_x = torch.atan2(sin * x - cos * y, z)
    swing_y = torch.asin((cos * x + sin * y).clamp(_EDGE - 1, 1 - _EDGE))
    angles = torch.stack([swing_x, swing_y, torch.atan2(sin, cos)], -1)
    # swung far about y, a large angle about x is a short way
    way = torch.stack([torch.cos(swing_y), torch.zeros_like(x), torch.ones_like(x)], -1)
    return torch.relu(angles.abs() - _HALF) + 2 * _round(angles.detach()) * way * (math.pi - angles.abs())


def _round(angles: Any) -> Any:
    """1 while angles (F, ...) are past half a turn, where they came from within and whence they go back; else 0."""
    turns = -torch.round((angles[1:] - angles[:-1]) / (2 * math.pi))
    count = torch.cat([torch.zeros_like(angles[:1]), torch.cumsum(turns, 0)])
    usual = (count == count.median(0).values).to(count.dtype)
    before, after = torch.cummax(usual, 0).values, torch.cummax(usual.flip(0), 0).values.flip(0)
    return (1 - usual) * before * after


def apart_term(origins: Any, orientations: Any, height: Any) -> Any:
    """How deep arms are in trunk and thighs, squares of sigmas, of all frames together.

    origins (F, L, 3), orientations (F, L, 3, 3): of the links. The trunk is two bulks that are elliptic across and
    blunt along; a thigh is a capsule.
    """
    arms = []
    for side in ("L", "R"):
        elbow, wrist = origins[:, INDEX[f"forearm.{side}"]], origins[:, INDEX[f"hand.{side}"]]
        arms += [elbow + share * (wrist - elbow) for share in _ALONG_FOREARM]
    points = torch.stack(arms, 1)
    total = torch.zeros((), dtype=figure.NUMBER)
    for link, middle, half in _TRUNK:
        away = points - origins[:, None, INDEX[link]]
        x, y, z = ((away[:, :, None, :] @ orientations[:, None, INDEX[link]])[:, :, 0] / height).unbind(-1)
        bulk = ((x / BREADTH) ** 2 + (y / DEPTH) ** 2) ** 2 + ((z - middle) / half) ** 4
        total = total + _squares((1 - (bulk + 1e-9) ** 0.25) * DEPTH * height)
    for side in ("L", "R"):
        hip, knee = origins[:, None, INDEX[f"thigh.{side}"]], origins[:, None, INDEX[f"shin.{side}"]]
        thigh = knee - hip
        along = (((points - hip) * thigh).sum(-1, keepdim=True) / (thigh * thigh).sum(-1, keepdim=True)).clamp(0, 1)
        distance = (points - hip - along * thigh).square().sum(-1).add(1e-9).sqrt()
        total = total + _squares(THIGH * height - distance)
    return total


def _squares(depths: Any) -> Any:
    return (torch.relu(depths) ** 2).sum() / APART**2
