# SPDX-License-Identifier: GPL-3.0-or-later
"""A fall played out: from where a performance is lost, until its body lies still.

How it falls is directed. Tone: from going limp to fighting back to the clip. Reflex: what people's arms, neck and legs
do in a fall (Hsiao and Robinovitch 1998, "Common protective movements govern unexpected falls from standing height", J.
Biomech. 31): hands reach for where the body is falling to, the head is kept from the floor, hips and knees give. It is
a pose chosen by the fall's direction, not learned.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ...core import joint_limits, metrics, rotations
from ...core import outcome as outcomes
from ...core.arrays import Array
from ...core.body import TRUNK, Body
from ...core.direction import Direction
from ...core.motion import Take
from ..physics.recording import FRAMES_A_STEP, RecordingSimulator
from ..physics.simulator import CONTROL_RATE, TAKE_RATE
from ..physics.state import States
from .directed_bodies import DirectedBodies
from .kinematics import momenta
from .reference_track import Track

LONGEST_FALL = 8.0  # s that a body is given to come to rest
FORESEEN = 0.25  # s before a part comes down from which on a fall is fought: protective arms start within 0.2 to 0.3 s
FASTEST_SPIN, FASTEST = 25.0, 15.0  # rad/s and m/s of a falling root: more than any somersault, and any height here
LEAST_STEPS = 2  # control steps that are performed before a fall
REST_SPEED, REST_TURN = 0.03, 0.15  # m/s of the root, rad/s of root and joints, of a body at rest
REST_SECONDS = 0.4  # for which it must rest

LIMP = 0.015  # share of a joint's greatest torque that a limp one holds against: passive tissue, and what ends swinging
BRACED = {"upper_arm": 0.35, "forearm": 0.3, "hand": 0.2, "head": 0.6, "chest": 0.25, "thigh": 0.2, "shin": 0.2}
CALM_AFTER = 0.5  # s after the first part has come down, in which reflexes fade, and tone
WEIGHTY = (*TRUNK, "head")  # parts on which a body is down, also where its clip lies or rolls on them
# Near the end of its range a joint's tissue stretches, and holds: passive moments grow steeply (Riener and Edrich 1999,
# J. Biomech. 32)
STRETCHED = np.radians(15)  # before a ball joint's limit
TISSUE = 0.8  # share of the joint's greatest torque that tissue holds with at the limit
# A body that lies lets its joints stay as they have come to lie, by friction. It lies when nothing of it falls, or, at
# the latest, when it has rocked for so long
LIES_AFTER, LIES_AT_LAST = 0.5, 4.0  # s after the first part has come down, at the soonest and at the latest
LIES_SLOW, LIES_TURN, LIES_SECONDS = 0.2, 0.6, 0.3  # m/s of the root, rad/s of joints, and s for which it is so slow
HELD, HELD_WITHIN = 0.4, 0.5  # share of the greatest torque that holds them, and s in which it comes to that
LEAD = 0.6  # of the way of the fall that hands reach for: straight down, and so much along where the body is going

# Of the reflex, rad, in the joints' frames (core.joint_limits has the signs)
ARMS_APART = 0.3
ELBOW = 0.5
TUCK, LIFT = 0.6, -0.5  # of the neck: backward the chin comes to the chest, forward the face is kept up
ROUND, ARCH = 0.35, -0.1  # of the trunk
HIP, KNEE = -0.5, -0.9  # before anything has come down; on impact
HIP_GIVES, KNEE_GIVES = -0.9, -1.5


def with_fall(bodies: DirectedBodies, track: Track, take: Take) -> Take:
    """A take whose fall is played out, where it is one that fell, or whose performer is to give up: what it has
    performed up to where it was lost, and from there until the body lies still. Other takes stay as they are.

    take: what bodies have performed along the track since they were reset. Nothing else can be made of them after it.
    """
    asked = bodies.direction
    lost = _lost_step(track, take, asked)
    if lost is None:
        return take
    performed = min(lost, (take.motion.frames - 1) // FRAMES_A_STEP)
    begins = round(metrics.begins_at(track.reference, take) * CONTROL_RATE)
    meta = {**take.meta, metrics.PERFORMED: performed * FRAMES_A_STEP + 1}
    for softer in (asked, dataclasses.replace(asked, reflex=False), dataclasses.replace(asked, reflex=False, tone=0.0)):
        bodies.go_back(performed)
        if take.meta.get(metrics.STANDS) is False and performed * FRAMES_A_STEP + 1 >= take.motion.frames:
            _stand_until_lost(bodies.inner, track)
        play_out(bodies, track, begins + performed, softer)
        meta["fall"] = {"tone": softer.tone, "reflex": softer.reflex}  # as it was, which may not be as asked
        if not _is_thrown(bodies.recording(0).states[performed * FRAMES_A_STEP :]):
            break
    return dataclasses.replace(bodies.recording(0).take(), meta=meta)


def _is_thrown(states: States) -> bool:
    """Whether the body spins or goes as no fall makes it: a joint that is forced past its limit by the body's weight
    may be thrown back from it, and the body with it."""
    return bool(np.abs(states.angular_velocity).max() > FASTEST_SPIN or np.abs(states.velocity).max() > FASTEST)


def _lost_step(track: Track, take: Take, asked: Direction) -> int | None:
    """The control step from which on the body falls; None where it does not."""
    last = (take.motion.frames - 1) // FRAMES_A_STEP
    if asked.gives_up:
        return max(round(asked.falls_at * CONTROL_RATE), LEAST_STEPS)
    measures = metrics.evaluate_take(track.body, track.reference, take)
    if measures.landed or measures.success:
        return None
    happened = outcomes.what_happened(track.body, track.reference, take, measures)
    if happened.kind == outcomes.CAME_THROUGH:
        return None
    if happened.part in ("", "feet"):  # on its feet, where one that was seen to stand on has nothing to fall from
        return None if take.meta.get(metrics.STANDS) is True else last
    return max(int((happened.frame / TAKE_RATE - FORESEEN) * CONTROL_RATE), LEAST_STEPS)


def _stand_until_lost(bodies: RecordingSimulator, track: Track) -> None:
    """Hold the last pose until the body topples."""
    for _ in range(round(metrics.STANDS_SECONDS * CONTROL_RATE)):
        touched = bodies.step()[0]
        if (touched & ~track.allowed).any() or not metrics.root_tilt(bodies.states().rotations[0]) < metrics.UPRIGHT:
            return


def play_out(bodies: DirectedBodies, track: Track, step: int, asked: Direction) -> float:
    """Fall as asked from the present state, at a control step of the track, until the body rests; returns the
    seconds."""
    inner = bodies.inner
    down, still, played, since, quiet = 0.0, 0, 0, 0, 0
    lies: Array | None = None  # how the joints have come to lie
    weighty = ~track.allowed | np.array([name in WEIGHTY for name in track.body.names])
    for played in range(1, round(LONGEST_FALL * CONTROL_RATE) + 1):
        state = inner.states()[0]
        still = still + 1 if _rests(state) else 0
        if still >= REST_SECONDS * CONTROL_RATE:
            break
        touched = inner.contacts()[0] & weighty
        down += (down > 0 or bool(touched.any())) / CONTROL_RATE
        own = min(step + played - 1, track.steps - 1)
        targets, strengths = posture(track.body, state, track.controls[own], asked, down)
        quiet = quiet + 1 if _is_quiet(state) else 0
        if lies is None and asked.tone < 1.0 and _lies(down, quiet):
            lies, since = state.rotations, played
        if lies is not None:
            share = min((played - since) / (HELD_WITHIN * CONTROL_RATE), 1.0)
            targets, strengths = lies, np.maximum(strengths, HELD * share)
        inner.set_strength(strengths * bodies.freshness())
        inner.set_targets(targets[None], np.zeros((1, len(targets), 3)))
        inner.step()
        bodies.steps += 1
    return played / CONTROL_RATE


def _is_quiet(state: States) -> bool:
    """Whether nothing of the body falls."""
    return bool(np.linalg.norm(state.velocity) < LIES_SLOW and np.abs(state.joint_velocity).max() < LIES_TURN)


def _lies(down: float, quiet: int) -> bool:
    """Whether a body has come to lie. down: s since a part came down; quiet: control steps for which it has been so."""
    return down > LIES_AT_LAST or down > LIES_AFTER and quiet >= LIES_SECONDS * CONTROL_RATE


def _rests(state: States) -> bool:
    turning = max(np.abs(state.angular_velocity).max(), np.abs(state.joint_velocity).max())
    return bool(np.abs(state.velocity).max() < REST_SPEED and turning < REST_TURN)


def posture(body: Body, state: States, clip: Array, asked: Direction, down: float) -> tuple[Array, Array]:
    """Joint targets (L, 4) of a falling body in a state (no leading axis), and factors (L,) on its joints' strength.

    clip (L, 4): what it would do if it fought on. down: s since a part came down that may not, 0 before.
    """
    calm = float(np.clip(down / CALM_AFTER, 0.0, 1.0))
    will = asked.tone if asked.tone >= 1.0 else asked.tone * (1.0 - calm)
    targets = rotations.slerp(state.rotations, clip, will)
    strengths = np.full(len(body.links), LIMP + (1.0 - LIMP) * will)
    if asked.reflex and calm < 1.0:
        ready = (1.0 - asked.tone) * (1.0 - calm)  # who fights back to the clip with all strength has none left for it
        for name, turn in reflexes(body, state, down > 0).items():
            index = body.index(name)
            targets[index] = rotations.slerp(targets[index], turn, ready)
            strengths[index] = max(strengths[index], BRACED[name.split(".")[0]] * (1.0 - calm))
    _hold_by_tissue(body, state, targets, strengths)
    return targets, strengths


def _hold_by_tissue(body: Body, state: States, targets: Array, strengths: Array) -> None:
    """Keep targets (L, 4) of ball joints where their tissue is not stretched, and let what is stretched hold."""
    limits = {index: link.joint_limit for index, link in enumerate(body.links) if link.joint_limit is not None}
    joints, inner = np.array(list(limits), dtype=int), joint_limits.JointLimits([*limits.values()])
    inner.half = np.maximum(inner.half - STRETCHED, inner.half / 2)
    stretch = joint_limits.excess(state.rotations[joints], inner) / STRETCHED
    targets[joints] = joint_limits.clamped(targets[joints], inner)
    strengths[joints] = np.maximum(strengths[joints], TISSUE * np.minimum(stretch, 1.25))


def reflexes(body: Body, state: States, hit: bool) -> dict[str, Array]:
    """Joint rotations (4,) of a fall's reflex, by link, in a state (no leading axis); hit: a part has come down."""
    positions, turns = body.forward(state.position[None], state.rotations[None])
    velocity = momenta(body, state[None], positions, turns)[0][0]
    chest = body.index("chest") if "chest" in body.names else 0
    way = np.array([0.0, 0.0, -1.0]) + LEAD * rotations.normalise(velocity * [1.0, 1.0, 0.0] + 1e-9)
    toward = rotations.rotate(rotations.conjugate(turns[0, chest]), rotations.normalise(way))
    backward = float(np.clip(0.5 + 2.0 * toward[1], 0.0, 1.0))  # 0: on its front, 1: on its back
    x, y = np.eye(3)[:2]
    result: dict[str, Array] = {}
    for side, sign in (("L", 1.0), ("R", -1.0)):
        reach = rotations.normalise(toward + [ARMS_APART * sign, 0.0, 0.0])
        result[f"upper_arm.{side}"] = rotations.between_vectors(np.array([0.0, 0.0, -1.0]), reach)
        result[f"forearm.{side}"] = _hinge(body, f"forearm.{side}", ELBOW)
        hip, knee = (HIP_GIVES, KNEE_GIVES) if hit else (HIP, KNEE)
        result[f"thigh.{side}"] = rotations.from_axis_angle(x, hip)
        result[f"shin.{side}"] = _hinge(body, f"shin.{side}", knee)
    neck = rotations.from_axis_angle(x, LIFT + (TUCK - LIFT) * backward)
    result["head"] = rotations.multiply(neck, rotations.from_axis_angle(y, -0.4 * np.clip(2 * toward[0], -1, 1)))
    result["chest"] = rotations.from_axis_angle(x, ARCH + (ROUND - ARCH) * backward)
    return {name: turn for name, turn in result.items() if name in body.names}


def _hinge(body: Body, name: str, angle: float) -> Array:
    """A knee's or an elbow's rotation; a body may lack it, or have a ball joint there."""
    if name not in body.names:
        return np.array(rotations.IDENTITY)
    return rotations.from_axis_angle(np.array(body.links[body.index(name)].axis), angle)
