# SPDX-License-Identifier: GPL-3.0-or-later
"""What takes are worth as footage: falls, shots and verdicts, in one engine.

falls     plans spoiled by noise, whose falls are played out: count; at_rest: of them within 8 s; worst_floor_cm,
          worst_self_cm: how deep a part then is in the floor and in another; energy_rises: falls whose mechanical
          energy rises by more than the muscles can have done. Limp and braced, with and without the reflex
shots     of the plan, as it was learned: direction, asked, measured. Pushes in the air: the share of one that has
          become the body's momentum, of the one that is furthest off; the Moon: seconds of flight against a ballistic
          one; ice, weak, tired, clumsy: how far what is
          shot is from what is shot undirected, m at most; again: whether the same seed makes the same, bit for bit
verdicts  of the falls: kinds that came up; agreed, of: verdicts that a second look at the frames bears out, which asks
          nothing of core.outcome: what is lowest when it has come down, and where the hips are from the feet

list_ms, play_ms, mesh_ms, tick_ms, draw_ms
          what 1,000 and 10,000 takes cost in Blender's window, see take_window.py; with a Python that has bpy

    python tests/benchmarks/takes.py [--falls 100] [--shots 20] [--plan plan.npz] [--json FILE]
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import common
import humanoid
import numpy as np

from backflip_addon.core import metrics, outcome, rotations, self_contact
from backflip_addon.core.body import FEET, Body
from backflip_addon.core.constants import GRAVITY
from backflip_addon.core.direction import PRESETS, Direction
from backflip_addon.core.measures import footwork
from backflip_addon.core.measures.course import Course
from backflip_addon.core.motion import Motion, Take
from backflip_addon.trainer.imitation.falling import LONGEST_FALL
from backflip_addon.trainer.imitation.performance import Performance
from backflip_addon.trainer.imitation.reference_track import Track
from backflip_addon.trainer.physics.state import Scene
from backflip_addon.trainer.planning.plan import Plan

SPOILED = 0.25  # rad, the most noise on a joint's offsets, held all through
FALLS = (Direction(tone=0.0, reflex=False), Direction(), Direction(tone=0.6), Direction(tone=0.0))
PUSH = Direction(push_at=0.9, push_link="chest", push_impulse=(20.0, -25.0, 0.0))
PUSHES, IN_AIR = (10.0, 40.0), (0.8, 0.95)  # N s, and s since the start
LINKS = ("chest", "pelvis", "head", "thigh.L", "upper_arm.R")
DIFFERING = {
    "ice": PRESETS["Ice rink"],
    "weak": PRESETS["Weak"],
    "tired": PRESETS["Exhausted"],
    "clumsy": PRESETS["Clumsy"],
}
SLACK = 5.0  # J: what finite differences of poses miss in an impact
SPAN = 6  # frames over which energy is held against work


def main() -> int:
    parser = common.parser(__doc__, engine=True)
    parser.add_argument("--falls", type=int, default=100)
    parser.add_argument("--shots", type=int, default=20, help="of each direction")
    parser.add_argument("--plan", type=Path, help="a job's plan.npz; without one a plan is searched for")
    options = parser.parse_args()
    body = common.figure(options)
    reference = humanoid.clip(options.clip, body)
    plan = _plan(options, body, reference)
    stage = Stage(Track(body, reference), plan, options.engine)
    begin = time.perf_counter()
    falls = [stage.spoiled(number) for number in range(options.falls)]
    figures = {
        "falls": fall_figures(stage, falls),
        "shots": shot_figures(stage, options.shots),
        "verdicts": verdict_figures(stage, falls),
        "seconds": round(time.perf_counter() - begin, 1),
    }
    figures |= window_figures()
    common.table([figures["falls"]])
    common.table(figures["shots"])
    common.table([{**figures["verdicts"], "kinds": len(figures["verdicts"]["kinds"])}])
    common.write(options, figures)
    return 0


def window_figures() -> dict[str, Any]:
    """What takes cost in Blender's window, by take_window.py; nothing where this Python has no Blender."""
    if importlib.util.find_spec("bpy") is None:
        return {}
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "figures.json"
        command = [sys.executable, str(Path(__file__).with_name("take_window.py")), "--json", str(file)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        figures: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return figures


def _plan(options: Any, body: Body, reference: Motion) -> Plan:
    if options.plan:
        with np.load(options.plan) as arrays:
            return Plan(arrays["knots"], int(arrays["knot"]))
    plan = common.search(body, reference, options.workers, seed=0, engine=options.engine)[0]
    if plan is None:
        raise SystemExit("no plan has landed that could be shot")
    return plan


@dataclasses.dataclass(frozen=True)
class Stage:
    """What performs."""

    track: Track
    plan: Plan
    engine: str

    def shot(self, asked: Direction, seed: int, noise: Any = 0.0) -> Take:
        """The plan as it was learned, directed; noise (width): on its offsets, rad."""
        scene = Scene(
            friction=asked.friction or Scene().friction, mass=asked.mass, gravity=asked.gravity_vector,
            strength=asked.strength,
        )  # fmt: skip
        performance = Performance(self.track, scene, self.track.states[0], self.engine, asked, seed)
        try:
            performance.run(self.track.targets(self.plan.offsets(0, self.track.steps) + noise, 0))
            return performance.played_out()
        finally:
            performance.close()

    def spoiled(self, number: int) -> Take:
        """A fall of its own; the same number the same one."""
        random = np.random.default_rng([number, 5])
        noise = random.normal(size=self.track.layout.width) * SPOILED * random.uniform(0.3, 1.0)
        return self.shot(FALLS[number % len(FALLS)], number, noise)

    def course(self, take: Take) -> Course:
        return Course.of_take(self.track.body, take)


def fall_figures(stage: Stage, takes: list[Take]) -> dict[str, Any]:
    """How the falls among takes end."""
    body = stage.track.body
    fallen = [take for take in takes if metrics.PERFORMED in take.meta]
    rests, floor, inside, rises = 0, 0.0, 0.0, 0
    for take in fallen:
        seconds = (take.motion.frames - take.meta[metrics.PERFORMED]) / take.motion.rate
        rests += seconds < LONGEST_FALL - 0.01
        positions, turns = body.forward(take.motion.position[-1:], take.motion.rotations[-1:])
        floor = max(floor, -float(body.lowest_points(positions, turns).min()))
        inside = max(inside, float(self_contact.depths(body, positions, turns).max()))
        rises += energy_rises(body, take)
    return {
        "count": len(fallen),
        "at_rest": rests,
        "worst_floor_cm": round(100 * floor, 3),
        "worst_self_cm": round(100 * max(inside, 0.0), 3),
        "energy_rises": rises,
    }


def energy_rises(body: Body, take: Take) -> bool:
    """Whether the energy in a fall rises by more than all muscles together can have done by turning their joints."""
    motion = take.motion
    first = take.meta[metrics.PERFORMED]
    energy = mechanical_energy(body, motion)[first:]
    steps = rotations.multiply(rotations.conjugate(motion.rotations[:-1]), motion.rotations[1:])
    turned = np.abs(rotations.to_rotation_vector(steps)).sum(axis=-1)[:, 1:]
    torque = np.array([link.torque for link in body.links[1:]])
    effort = np.minimum(take.torque[1:, None], 1.0)
    most = np.cumsum((turned * torque * effort).sum(axis=1))[first + 1 :]
    count = min(len(energy), len(most))
    if count <= SPAN:
        return False
    gained = energy[SPAN:count] - energy[: count - SPAN]
    return bool((gained > most[SPAN:count] - most[: count - SPAN] + SLACK).any())


def mechanical_energy(body: Body, motion: Motion) -> np.ndarray:
    """Of all links, J, of each frame but the first and the last."""
    positions, turns = body.forward(motion.position, motion.rotations)
    centres = positions + rotations.rotate(turns, np.array([link.centre for link in body.links]))
    masses = np.array([link.mass for link in body.links])
    velocity = (centres[2:] - centres[:-2]) * motion.rate / 2
    turned = rotations.multiply(turns[2:], rotations.conjugate(turns[:-2]))
    spin = rotations.to_rotation_vector(turned) * motion.rate / 2
    own = rotations.rotate(rotations.conjugate(turns[1:-1]), spin)
    inertia = np.array([link.inertia for link in body.links])
    moving = (masses * (velocity**2).sum(axis=-1)).sum(axis=-1) + (inertia * own**2).sum(axis=(-1, -2))
    energy: np.ndarray = moving / 2 + GRAVITY * (masses * centres[1:-1, :, 2]).sum(axis=-1)
    return energy


def shot_figures(stage: Stage, count: int) -> list[dict[str, Any]]:
    """A row a direction, of so many shots where they differ by their seeds."""
    if not count:
        return []
    alone = stage.shot(Direction(), 0)
    rows = [_push_row(stage, alone, count)]
    if footwork.airborne(stage.course(alone)):
        rows.append(_moon_row(stage))
    for name, asked in DIFFERING.items():
        off = [_apart(stage.shot(asked, seed), alone) for seed in range(count if asked.clumsiness else 1)]
        rows.append(_row(stage, name, asked, "more than 0 m", min(off)))
    return rows


def _row(stage: Stage, name: str, asked: Direction, wanted: Any, measured: float) -> dict[str, Any]:
    one, again = (stage.shot(asked, 7).motion for _ in range(2))
    same = one.position.tobytes() == again.position.tobytes() and one.rotations.tobytes() == again.rotations.tobytes()
    return {"direction": name, "asked": wanted, "measured": round(measured, 3), "again": same}


def _push_row(stage: Stage, alone: Take, count: int) -> dict[str, Any]:
    """Pushes in the air, each elsewhere, otherwise and to another side: what share of one has become the body's
    momentum, of the one that is furthest off."""
    shares = []
    for seed in range(count):
        random = np.random.default_rng([seed, 9])
        impulse = random.normal(size=3)
        impulse *= random.uniform(*PUSHES) / np.linalg.norm(impulse)
        x, y, z = map(float, impulse)
        moment, link = float(random.uniform(*IN_AIR)), LINKS[seed % len(LINKS)]
        asked = Direction(push_at=moment, push_link=link, push_impulse=(x, y, z))
        take = stage.shot(asked, seed)
        frame = round(asked.push_at * 30) * 4 + 4
        off = np.diff(stage.course(take).centre - _like(stage, alone, take), axis=0)[frame : frame + 4]
        gained = off.mean(axis=0) * take.motion.rate * stage.track.body.mass
        shares.append(float(gained @ impulse / (impulse @ impulse)))
    return _row(stage, "push", PUSH, 1.0, max(shares, key=lambda share: abs(share - 1.0)))


def _like(stage: Stage, take: Take, other: Take) -> np.ndarray:
    """The centre of mass of a take in as many frames as another has."""
    centre = stage.course(take).centre
    return centre[np.minimum(np.arange(other.motion.frames), len(centre) - 1)]


def _moon_row(stage: Stage) -> dict[str, Any]:
    """The longest flight, and how long one lasts that sets out so fast and so high and comes down where it does."""
    asked = PRESETS["Moon"]
    course = stage.course(stage.shot(asked, 0))
    start, end = max(footwork.airborne(course), key=lambda phase: phase[1] - phase[0])
    height, way = course.centre[:, 2], (course.centre[start + 4, 2] - course.centre[start, 2]) * course.rate / 4
    up = way + asked.gravity * 2 / course.rate  # at the start of those four frames
    fall = max(height[start] - height[min(end, len(height) - 1)], -(up**2) / (2 * asked.gravity))
    ballistic = (up + np.sqrt(up**2 + 2 * asked.gravity * fall)) / asked.gravity
    return _row(stage, "moon", asked, round(float(ballistic), 3), (end - start) / course.rate)


def _apart(take: Take, other: Take) -> float:
    """How far apart the roots of two takes come, m."""
    count = min(take.motion.frames, other.motion.frames)
    apart = np.linalg.norm(take.motion.position[:count] - other.motion.position[:count], axis=1)
    return float(apart.max())


def verdict_figures(stage: Stage, takes: list[Take]) -> dict[str, Any]:
    """Verdicts of takes, and whether a plainer look at their frames agrees."""
    body, reference = stage.track.body, stage.track.reference
    told = [outcome.what_happened(body, reference, take) for take in takes]
    agreed = sum(_agrees(stage.course(take), one) for take, one in zip(takes, told, strict=True))
    return {"kinds": dict(Counter(one.kind for one in told)), "agreed": int(agreed), "of": len(takes)}


def _agrees(course: Course, told: outcome.Outcome) -> bool:
    """Whether the frames bear a verdict out, by looks of their own."""
    body, here = course.body, told.frame
    feet = [body.index(name) for name in FEET]
    others = [i for i in range(len(body.links)) if i not in feet]
    near = course.lows[here : here + 37, others].min() < 0.02
    way = course.centre[here, :2] - course.positions[here, feet, :2].mean(axis=0)
    faces = rotations.rotate(course.orientations[0, 0], np.array([0.0, -1.0, 0.0]))[:2]
    looks: dict[str, Callable[[], bool]] = {
        outcome.LANDED: lambda: bool(course.positions[-1, 0, 2] > 0.6 * course.positions[0, 0, 2]),
        outcome.ON_HEAD: lambda: bool(course.lows[here : here + 37, body.index("head")].min() < 0.03),
        outcome.FELL_FORWARD: lambda: near and bool(way @ faces > 0),
        outcome.FELL_BACKWARD: lambda: near and bool(way @ faces < 0),
        outcome.UNDER_ROTATED: lambda: abs(told.turned) < 330.0,
        outcome.OVER_ROTATED: lambda: abs(told.turned) > 290.0,
    }
    look = looks.get(told.kind)
    return look() if look else near


if __name__ == "__main__":
    raise SystemExit(main())
