# SPDX-License-Identifier: GPL-3.0-or-later
"""From landmarks to a motion: pose, person and camera of all frames at once, so that they explain what was seen.

Minimised by L-BFGS in four stages: the pose alone; with the person's build and the camera; with the flights that the
pose so far shows; once more with contacts and flights looked at anew, and an uneven video's times. The world: z up,
floor at 0, the camera over the origin, looking along +Y.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from ...core import rotations
from ...core.arrays import Array
from ...core.body import LINK_NAMES
from ...core.clips.video_motion import FilmedBy
from ...core.motion import Motion
from ...core.rotations import cross, normalise
from . import contacts, figure, losses, views
from .contacts import Contacts
from .figure import INDEX, PARENTS, ROW, tensor
from .landmarks import Landmarks
from .losses import Problem, Shown, Unknowns
from .views import View

STAGES = (60, 80, 120, 120)  # iterations
USUAL_FOCAL = 1.1  # of a camera, in long sides of its picture: 49 degrees across
HEIGHT_SIGMA = 0.05  # of the logarithm of the height that was told
LAGS_FROM = 3  # the stage: with them from the start, flights come out a frame too long
UNEVEN = 0.1  # share of frames that repeat others, from which on none is taken to be on time
FOOT_NEAR, FOOT_SLOW = 0.3, 0.8  # m and m/s: a fitted foot below both rests
WRIST_NEAR, WRIST_SLOW = 0.25, 0.7  # the same of a hand, by its wrist

Told = Callable[[float], None]
Floor = tuple[int, float]  # a frame, and where the floor under the person is in its picture, pixels from above
_BENT = (0.2, 0.3)  # sines of a bend: from here on, and over this range, the limb itself says where its hinge lies
_LIMBS = {"L": (11, 13, 15, 23, 25, 27, 29, 31), "R": (12, 14, 16, 24, 26, 28, 30, 32)}


@dataclasses.dataclass(frozen=True)
class Outcome:
    """A fitted motion of a body's links, core.motion's, and the length of its legs, hip to sole, m.

    height: of the person, m. off (F,): how far landmarks are from where the network sees them, m at the person, mean
    by visibility. contacts: as the fitted feet have them.
    """

    motion: Motion
    leg: float
    height: float
    camera: FilmedBy
    contacts: Contacts
    origins: Array
    off: Array


@dataclasses.dataclass(frozen=True)
class Stage:
    """One of the searches that follow one another. names: of the unknowns that are looked for. contacts: whether those
    that the pose shows are looked at anew after it."""

    names: tuple[str, ...]
    iterations: int
    flights: bool
    contacts: bool = True


def reconstruct(
    landmarks: Landmarks,
    height: float,
    told: Told = lambda _share: None,
    stages: tuple[int, ...] = STAGES,
    floor: Floor | None = None,
) -> Outcome:
    """The motion of a person of about that height, m. told: is called with the share done; may raise to end it. floor:
    where somebody has put it."""
    problem, unknowns = begin(landmarks, height, floor)
    pose = fit(problem, unknowns, stages_of(landmarks, stages), told)
    return outcome(problem, unknowns, pose)


def stages_of(landmarks: Landmarks, iterations: tuple[int, ...]) -> list[Stage]:
    """The stages for what one camera has seen, with so many iterations each."""
    lags = ("lags",) if _is_uneven(landmarks) else ()
    return [
        Stage(_BY_STAGE[n] + (lags if n >= LAGS_FROM else ()), count, n >= 2, n >= 1)
        for n, count in enumerate(iterations)
    ]


def fit(problem: Problem, unknowns: Unknowns, stages: Sequence[Stage], told: Told) -> Shown:
    """Go through stages, the last pose found and its contacts being the problem's then; returns that pose."""
    done, whole = 0, sum(stage.iterations for stage in stages)
    for stage in stages:
        problem.flights = stage.flights

        def count(step: int, done: int = done) -> None:
            told(min((done + step) / whole, 1.0))

        pose = _solve(problem, unknowns, _FREE, stage.names, stage.iterations, count)
        if stage.contacts:
            problem.contacts = _contacts_of(problem, unknowns, pose)
        done += stage.iterations
    return pose


def begin(landmarks: Landmarks, height: float, floor: Floor | None = None) -> tuple[Problem, Unknowns]:
    """The network's own directions, at the distance that the person's size in the picture tells, on a level floor."""
    focal = USUAL_FOCAL * max(landmarks.width, landmarks.height)
    scale = contacts.scale_of(landmarks)
    seen = contacts.see(landmarks, scale, floor)
    distance = focal / contacts.scales_of(landmarks)
    soles = np.stack([landmarks.xy[:, side, 1].max(axis=1) for side in contacts.FEET], axis=1)
    up = contacts.USUAL_CAMERA_HEIGHT
    pitches = np.arctan2(up, distance)[:, None] - np.arctan2(soles - landmarks.height / 2, focal)
    pitch = float(np.median(pitches[seen.feet]) if seen.feet.any() else pitches.min())
    if floor is not None:
        pitch = math.atan2(up, distance[floor[0]]) - math.atan2(floor[1] - landmarks.height / 2, focal)
    axes = views.camera_axes(tensor(pitch), tensor(0.0)).numpy()
    landmarks = _from_where_it_is(landmarks, focal)
    pose, angles = first_orientations(contacts.smoothed(landmarks.world, 0.6) @ axes)
    hips = landmarks.xy[:, [23, 24]].mean(axis=1) - [landmarks.width / 2, landmarks.height / 2]
    rays = np.concatenate([hips / focal, np.ones((len(hips), 1))], axis=1) * distance[:, None]
    view = View(landmarks, focal, pitch, scale, floor)
    problem = Problem((view,), height, HEIGHT_SIGMA, seen, pose, rays @ axes + [0.0, 0.0, up], angles)
    return problem, Unknowns(
        tensor(np.zeros((landmarks.frames, figure.L, 3))),
        tensor(np.zeros((landmarks.frames, 3))),
        tensor(math.log(height)),
        tensor(np.zeros(len(figure.GROUPS))),
        tensor(figure.MARKER_PLACES),
        tensor(np.zeros(landmarks.frames)),
        focal=tensor([math.log(focal)]),
        pitch=tensor([pitch]),
        roll=tensor([0.0]),
        camera=tensor([up]),
        lean=tensor([0.0]),
        heading=tensor([0.0]),
        spot=tensor([[0.0, 0.0]]),
        delay=tensor([0.0]),
    )


def _from_where_it_is(landmarks: Landmarks, focal: float) -> Landmarks:
    """The person in space as it stands to the camera's own axes.

    The network is shown a person in the middle of its square and takes the line of sight to it for the camera's.
    """
    middle = landmarks.xy[:, [11, 12, 23, 24]].mean(axis=1) - [landmarks.width / 2, landmarks.height / 2]
    sight = rotations.normalise(np.concatenate([middle, np.full((len(middle), 1), focal)], axis=1))
    turn = rotations.between_vectors([0.0, 0.0, 1.0], sight)
    return dataclasses.replace(landmarks, world=rotations.rotate(turn[:, None], landmarks.world))


def _is_uneven(landmarks: Landmarks) -> bool:
    """Whether frames between others repeat them: then those that do not were not taken evenly, either."""
    return bool(len(landmarks.found) and 1 - landmarks.found.mean() > UNEVEN)


def _free_axes() -> Array:
    """The axes (L, 3) about which joints turn: hinges about x alone, hands not at all."""
    free = np.ones((figure.L, 3))
    free[figure.HINGES, 1:] = 0.0
    free[[INDEX["hand.L"], INDEX["hand.R"]]] = 0.0
    return free


_FREE = _free_axes()
_POSE = ("turns", "shift")
PERSON = (*_POSE, "height", "lengths", "places", "camera", "pitch", "roll", "lean")
_BY_STAGE: tuple[tuple[str, ...], ...] = (_POSE, PERSON, (*PERSON, "focal"), (*PERSON, "focal"))


# How far one step of the search goes in each unknown: with equal steps depth and camera stay nearly where they began
STEPS = {"turns": 4.0, "shift": 1.0, "height": 1.0, "lengths": 1.0, "places": 0.5, "lags": 20.0}
STEPS |= {"camera": 1.0, "pitch": 0.2, "roll": 0.2, "lean": 3.0, "focal": 1.0}
STEPS |= {"heading": 0.2, "spot": 3.0, "delay": 1.0}
OF_OTHERS = ("heading", "spot", "delay")  # the first camera's are none: it is where all is measured from
DEPTH_STEP = 3.0
_ACROSS = tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])


def _rays(problem: Problem, unknowns: Unknowns) -> Any:
    """Lines of sight (F, 3), of unit length, from the camera to the hips."""
    away = problem.root - [0.0, 0.0, float(unknowns.camera[0])]
    return tensor(rotations.normalise(away))


def _solve(
    problem: Problem,
    unknowns: Unknowns,
    free: Array,
    names: tuple[str, ...],
    iterations: int,
    count: Callable[[int], None],
) -> Shown:
    """Minimise, and take what was found into the pose so far."""
    axes = tensor(free)
    start = {field.name: getattr(unknowns, field.name).detach() for field in dataclasses.fields(unknowns)}
    steps = {name: torch.zeros_like(start[name], requires_grad=True) for name in names}
    rays = _rays(problem, unknowns)

    def take() -> None:
        for name in names:
            step = STEPS[name] * steps[name]
            if name in OF_OTHERS:
                step = torch.cat([torch.zeros_like(step[:1]), step[1:]])
            setattr(unknowns, name, start[name] + step)
        unknowns.shift = start["shift"] + steps["shift"][:, :2] @ _ACROSS + DEPTH_STEP * steps["shift"][:, 2:] * rays

    search = torch.optim.LBFGS(
        list(steps.values()),
        lr=1,
        max_iter=iterations,
        history_size=30,
        line_search_fn="strong_wolfe",
        tolerance_change=1e-9,
    )
    calls = 0

    def cost() -> object:
        nonlocal calls
        calls += 1
        count(min(calls, iterations))
        search.zero_grad()
        take()
        total = sum(losses.all_terms(problem, unknowns, losses.shown(problem, unknowns, axes)).values())
        total.backward()
        return total

    search.step(cost)
    take()
    for field in dataclasses.fields(unknowns):
        setattr(unknowns, field.name, getattr(unknowns, field.name).detach())
    with torch.no_grad():
        pose = losses.shown(problem, unknowns, axes)
        problem.pose = pose.turns.numpy()
        problem.angles = problem.angles - unknowns.turns.numpy()[..., 0] * free[:, 0]
        problem.root = problem.root + unknowns.shift.numpy()
        unknowns.turns, unknowns.shift = torch.zeros_like(unknowns.turns), torch.zeros_like(unknowns.shift)
    return pose


def _contacts_of(problem: Problem, unknowns: Unknowns, pose: Shown) -> Contacts:
    """Contacts and flights of the fitted feet and hands; hands that the picture told to rest do so."""
    rate, marks = problem.rate, pose.marks.detach().numpy()
    feet = np.stack([marks[:, [ROW[heel], ROW[toe]]] for _ankle, heel, toe in contacts.FEET], axis=1)
    height = feet[..., 2].min(axis=-1)
    speed = np.linalg.norm(np.gradient(feet, axis=0), axis=-1).min(axis=-1) * rate
    nearest = FOOT_NEAR if problem.views[0].floor is None else contacts.LOW_TOLD
    near = (height < nearest) & (speed < FOOT_SLOW)
    rests = np.stack([contacts.at_least(column, contacts.FEWEST) for column in near.T], axis=1)
    wrists = marks[:, [ROW[mark] for mark in losses.WRISTS]]
    wrist_speed = np.linalg.norm(np.gradient(wrists, axis=0), axis=-1) * rate
    hands = (wrists[..., 2] < WRIST_NEAR) & (wrist_speed < WRIST_SLOW)
    hands = np.stack([contacts.at_least(column, contacts.FEWEST) for column in hands.T], axis=1)
    hands |= problem.contacts.hands
    off = (height.min(axis=1) > contacts.OFF_FLOOR) & ~rests.any(axis=1) & ~hands.any(axis=1)
    flight = contacts.falls_in(off, pose.centre.detach().numpy(), rate)
    return Contacts(rests, hands, flight)


def outcome(problem: Problem, unknowns: Unknowns, pose: Shown) -> Outcome:
    """What was found."""
    height = float(torch.exp(unknowns.height))
    factors = np.exp(figure.MEMBERS @ unknowns.lengths.numpy())
    legs = [
        np.linalg.norm(figure.OFFSETS[INDEX[f"{part}.L"]]) * factors[INDEX[f"{part}.L"]] for part in ("shin", "foot")
    ]
    leg = (float(sum(legs)) + figure.ANKLE_HEIGHT) * height
    turns = rotations.continuous(rotations.from_matrix(problem.pose))
    motion = Motion(problem.rate, problem.root.copy(), turns)
    camera = filmed_by(problem, unknowns, 0)
    origins = pose.origins.detach().numpy()
    return Outcome(motion, leg, height, camera, problem.contacts, origins, off_by(problem, unknowns, pose, 0))


def filmed_by(problem: Problem, unknowns: Unknowns, view: int) -> FilmedBy:
    """The camera of a view."""
    axes, position = losses.camera_of(unknowns, view)
    data = problem.views[view].landmarks
    return FilmedBy(position.numpy(), axes.numpy(), float(torch.exp(unknowns.focal[view])), data.width, data.height)


def off_by(problem: Problem, unknowns: Unknowns, pose: Shown, view: int) -> Array:
    """How far landmarks are (F,) from where a view's network sees them, m at the person, mean by visibility."""
    data = problem.views[view].landmarks
    seen = losses.seen_by(unknowns, view, pose.marks.detach())
    spots = views.spots(data, unknowns.focal[view], seen).numpy()
    metres = seen[..., 2].numpy() / float(torch.exp(unknowns.focal[view]))
    away = np.linalg.norm(spots - data.xy[:, figure.MARKS], axis=-1) * metres
    weight = data.visible[:, figure.MARKS]
    off: Array = (away * weight).sum(axis=1) / np.maximum(weight.sum(axis=1), 1e-6)
    return off


def first_orientations(world: Array) -> tuple[Array, Array]:
    """Where the fit begins, from the network's own directions of limbs, frame by frame: each link's turn in its parent
    (F, L, 3, 3), and the angles (F, L) of hinges about -x, rad.

    world (F, 33, 3): landmarks in the world's axes.
    """
    found = _trunk(world)
    angles = np.zeros((len(world), len(LINK_NAMES)))
    for side, (shoulder, elbow, wrist, hip, knee, ankle, heel, toe) in _LIMBS.items():
        arm, leg = (shoulder, elbow, wrist), (hip, knee, ankle)
        angles[:, INDEX[f"forearm.{side}"]] = _limb(world, found, ("upper_arm", "forearm", "chest"), side, arm)
        angles[:, INDEX[f"shin.{side}"]] = _limb(world, found, ("thigh", "shin", "pelvis"), side, leg)
        found[f"hand.{side}"] = found[f"forearm.{side}"]
        sole = world[:, heel] - world[:, toe]
        found[f"foot.{side}"] = _axes("yx", y=sole, x=found[f"shin.{side}"][..., 0])
    local = np.zeros((len(world), len(LINK_NAMES), 3, 3))
    for i, name in enumerate(LINK_NAMES):
        parent = PARENTS[i]
        own = found[name]
        local[:, i] = own if parent < 0 else np.swapaxes(found[LINK_NAMES[parent]], -1, -2) @ own
    return local, angles


def _trunk(world: Array) -> dict[str, Array]:
    hips, shoulders = world[:, [23, 24]].mean(axis=1), world[:, [11, 12]].mean(axis=1)
    spine = shoulders - hips
    ears = world[:, [7, 8]].mean(axis=1)
    return {
        "pelvis": _axes("zx", z=spine, x=world[:, 23] - world[:, 24]),
        "chest": _axes("zx", z=spine, x=world[:, 11] - world[:, 12]),
        "head": _axes("yx", y=ears - world[:, 0], x=world[:, 7] - world[:, 8]),
    }


def _limb(
    world: Array, found: dict[str, Array], names: tuple[str, str, str], side: str, marks: tuple[int, int, int]
) -> Array:
    """Put a limb's two parts into found; returns the angle (F,) of its hinge."""
    upper, lower, parent = names
    sign = -1.0 if upper == "upper_arm" else 1.0
    first, second = (normalise(world[:, b] - world[:, a]) for a, b in ((marks[0], marks[1]), (marks[1], marks[2])))
    along = (first * second).sum(axis=-1, keepdims=True)
    bend = np.arccos(np.clip(along[:, 0], -1.0, 1.0))
    lateral = found[parent][..., 0]
    by_bend = _axes("zy", z=-first, y=sign * (second - along * first))[..., 0]
    by_parent = _axes("zx", z=-first, x=lateral)[..., 0]
    weight = np.clip((np.sin(bend) - _BENT[0]) / _BENT[1], 0.0, 1.0)[:, None]
    found[f"{upper}.{side}"] = _axes("zx", z=-first, x=by_bend * weight + by_parent * (1 - weight) + 1e-6)
    angle: Array = -sign * bend
    c, s = np.cos(angle), np.sin(angle)
    hinge = np.zeros((len(world), 3, 3))
    hinge[:, 0, 0], hinge[:, 1, 1], hinge[:, 2, 2] = 1.0, c, c
    hinge[:, 1, 2], hinge[:, 2, 1] = s, -s
    found[f"{lower}.{side}"] = found[f"{upper}.{side}"] @ hinge
    return angle


def _axes(order: str, **given: Array) -> Array:
    """Frames (F, 3, 3) with columns x, y, z: the first axis of order as given, the second nearest to what is given."""
    first = normalise(given[order[0]])
    second = given[order[1]]
    second = normalise(second - (second * first).sum(axis=-1, keepdims=True) * first)
    axes = {order[0]: first, order[1]: second}
    missing = next(axis for axis in "xyz" if axis not in axes)
    a, b = {"x": ("y", "z"), "y": ("z", "x"), "z": ("x", "y")}[missing]
    axes[missing] = cross(axes[a], axes[b])
    return np.stack([axes["x"], axes["y"], axes["z"]], axis=-1)
