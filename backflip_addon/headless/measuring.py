# SPDX-License-Identifier: GPL-3.0-or-later
"""What a take is worth, measured on the rig that it was baked to."""

from __future__ import annotations

import dataclasses
from typing import Any

import bpy
import numpy as np

from ..core import metrics, verdict
from ..core.motion import Motion, Take
from ..core.slope import in_the_world
from ..operators.takes import Shot
from ..scene.baking import bake_error

# Measures that are read off the baked rig
SEEN = frozenset(
    ("g_mpjpe_mm", "mpjpe_mm", "worst_error_mm", "followed", "somersault_deg", "twist_off_deg", "illegal_contacts")
    + ("penetration_cm", "self_penetration_cm", "self_penetration_s", "limit_excess_deg")
)


def measure(
    scene: bpy.types.Scene,
    armature: bpy.types.Object,
    shot: Shot,
    frames: tuple[int, int],
    reference: Motion | None,
) -> dict[str, Any]:
    """The measures of truth, of the baked rig as Blender evaluates it, with the forces of the take; frames: that it
    was baked to. Without a reference the bake's error alone.

    What happens between two frames of a film (an impact, a slide that ends, the law of a flight) is the take's own.
    """
    body, binding, take = shot.body, shot.binding, shot.take
    distance, angle = bake_error.bake_error(armature, body, binding, take.motion, frames[0], scene)
    report: dict[str, Any] = {"bake_error_mm": distance, "bake_error_deg": angle}
    if reference is None:
        return report
    shown = bake_error.read_take_from_rig(armature, body, binding, *frames, scene)
    # On a slope a take is measured as it was simulated, its floor level
    level = (dataclasses.replace(one, motion=in_the_world(one, back=True)) for one in (take, as_shown(take, shown)))
    own, seen = (metrics.evaluate_take(body, reference, one) for one in level)
    measured = own.to_json() | {name: value for name, value in seen.to_json().items() if name in SEEN}
    measured["landed"] = None if own.landed is None else bool(own.landed and seen.landed)
    measured["success"] = own.success and seen.success
    measured["landed_cleanly"] = metrics.cleanly(measured)
    return measured | {"verdict": verdict.verdict(measured)} | report


def as_shown(take: Take, shown: Motion) -> Take:
    """A take with the motion measured off the rig; contacts and forces are the simulation's.

    A frame of the rig stands for the simulated frames from the one before it to itself: what touched
    the floor in between has touched.
    """
    positions = np.arange(shown.frames) * take.motion.rate / shown.rate
    ends = np.minimum(np.floor(positions + 1e-6).astype(int), take.motion.frames - 1)
    starts = np.concatenate([[0], ends[:-1] + 1])
    spans = [slice(min(start, end), end + 1) for start, end in zip(starts, ends, strict=True)]
    return Take(
        motion=shown,
        contacts=np.array([take.contacts[span].any(axis=0) for span in spans]),
        torque=np.array([take.torque[span].max() for span in spans]),
        assist=np.array([take.assist[span].max() for span in spans]),
        meta=take.meta,
        load=None if take.load is None else np.array([take.load[span].mean(axis=0) for span in spans]),
    )
