# SPDX-License-Identifier: GPL-3.0-or-later
"""Roles of skeletons whose names say nothing: motion capture's straddled legs and helpers, rests without sense."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from backflip_addon.core.rigs import roles
from backflip_addon.core.rigs.rig import Rig

from .skeletons import about, figure


def captured(*, straddle: float = 20.0, facing: float = 1.0) -> Rig:
    """A skeleton as motion capture files have it: legs apart, joints without length before hips, arms and neck.

    straddle: degrees that the legs stand outward at rest. facing: -1 where toes and knees point to +Y.
    """
    rig = figure(root=True)
    heads = {bone: rig.heads[i].copy() for i, bone in enumerate(rig.bones)}
    parents = {bone: rig.bones[p] if p >= 0 else "" for bone, p in zip(rig.bones, rig.parents, strict=True)}
    for side, sign in (("L", 1.0), ("R", -1.0)):
        hip = heads[f"thigh.{side}"]
        turn = about((0, 1, 0), -sign * straddle)
        for part in ("shin", "foot", "toe"):
            heads[f"{part}.{side}"] = hip + turn @ (heads[f"{part}.{side}"] - hip)
        helper = {f"hip joint.{side}": (f"thigh.{side}", "pelvis"), f"arm joint.{side}": (f"shoulder.{side}", "chest")}
        for bone, (below, above) in helper.items():
            heads[bone], parents[bone], parents[below] = heads[above].copy(), above, bone
    heads["neck2"], parents["neck2"], parents["head"] = (heads["neck"] + heads["head"]) / 2, "neck", "neck2"
    heads["lower back"], parents["lower back"], parents["spine"] = heads["pelvis"].copy(), "pelvis", "lower back"
    return _rig({bone: head * [1.0, facing, 1.0] for bone, head in heads.items()}, parents)


def _rig(heads: dict[str, np.ndarray], parents: dict[str, str], seed: int = 3) -> Rig:
    """Bones parents first, siblings in any order, each with its tip at its child or a little further on."""
    rng = np.random.default_rng(seed)
    order: list[str] = []
    waiting = [bone for bone, parent in parents.items() if not parent]
    while waiting:
        bone = waiting.pop(int(rng.integers(len(waiting))))
        order.append(bone)
        waiting += [child for child, parent in parents.items() if parent == bone]
    rest = np.tile(np.eye(4), (len(order), 1, 1))
    rest[:, :3, 3] = [heads[bone] for bone in order]
    above = np.array([order.index(parents[bone]) if parents[bone] else -1 for bone in order])
    tails = rest[:, :3, 3] + 0.3 * np.where(above[:, None] >= 0, rest[:, :3, 3] - rest[above, :3, 3], 0.1)
    return Rig("clip", tuple(order), tuple(int(p) for p in above), rest, tails, (False,) * len(order))


def found(rig: Rig, positions: np.ndarray | None = None) -> dict[str, str]:
    """role -> the true bone that is taken for it, of the rig with names that say nothing."""
    names = {f"joint{(i * 37 + 11) % 101}": bone for i, bone in enumerate(rig.bones)}
    role_map = roles.guess(dataclasses.replace(rig, bones=tuple(names)), positions)
    assert not any(role_map.certain.values())
    return {role: names[bone] for role, bone in role_map.bones.items()}


def wrong(rig: Rig, positions: np.ndarray | None = None) -> dict[str, str]:
    """Required roles that got another bone than theirs."""
    got = found(rig, positions)
    return {role: got.get(role, "") for role in roles.REQUIRED if got.get(role) != role}


@pytest.mark.parametrize("straddle", [0.0, 20.0, 35.0])
@pytest.mark.parametrize("facing", [1.0, -1.0])
def test_straddled_knees_are_no_hips_and_sides_follow_the_feet(straddle: float, facing: float) -> None:
    rig = captured(straddle=straddle, facing=facing)
    got = found(rig)
    sides = {role: bone for role, bone in got.items() if role[-2:] in (".L", ".R")}
    swapped = {"L": "R", "R": "L"} if facing < 0 else {"L": "L", "R": "R"}  # who looks to +Y has the left at -X
    for role in roles.REQUIRED:
        if role in sides:
            assert sides[role] == role[:-1] + swapped[role[-1]], role
        else:
            assert got[role] == role


@pytest.mark.parametrize("turn", [about((1, 0, 0), 90), about((0, 1, 0), 90), about((0, 0, 1), 130)])
def test_lying_and_turned_skeletons(turn: np.ndarray) -> None:
    rig = captured()
    rest = rig.rest.copy()
    rest[:, :3, 3] = rig.heads @ turn.T
    assert wrong(dataclasses.replace(rig, rest=rest, tails=rig.tails @ turn.T)) == {}


def walking(rig: Rig, frames: int = 40) -> np.ndarray:
    """The joints (F, B, 3) of a figure that swings its legs and arms, its knees and elbows bending as people's do."""
    positions = np.zeros((frames, len(rig.bones), 3))
    for f in range(frames):
        phase = 2 * np.pi * f / 20
        turns: dict[int, np.ndarray] = {}
        for i, (bone, parent) in enumerate(zip(rig.bones, rig.parents, strict=True)):
            part, _, side = bone.partition(".")
            swing = np.sin(phase + (0 if side == "L" else np.pi))
            angle = {"thigh": 30 * swing, "shin": -25 * (1 + swing), "foot": 10 * swing, "upper_arm": 0.0}.get(
                part, 0.0
            )
            turn = about((1, 0, 0), -angle)
            if part == "upper_arm":  # from the T pose down to the sides
                turn = about((0, 1, 0), 75 if side == "L" else -75)
            elif part == "forearm":
                turn = about((0, 0, 1), (-1 if side == "L" else 1) * (20 + 15 * swing))
            turns[i] = (turns[parent] if parent >= 0 else np.eye(3)) @ turn
            if parent < 0:
                positions[f, i] = rig.heads[i] + [0, -0.03 * f, 0]
            else:
                positions[f, i] = positions[f, parent] + turns[parent] @ (rig.heads[i] - rig.heads[parent])
    return positions


def test_a_rest_pose_along_one_axis_is_read_by_its_motion() -> None:
    rig = captured(straddle=0.0)
    positions = walking(rig)
    rest = rig.rest.copy()
    for i, parent in enumerate(rig.parents):
        length = np.linalg.norm(rig.heads[i] - rig.heads[parent]) if parent >= 0 else 0.0
        rest[i, :3, 3] = rest[parent, :3, 3] + [length, 0.0, 0.0] if parent >= 0 else 0.0
    flat = dataclasses.replace(rig, rest=rest, tails=rest[:, :3, 3] + [0.05, 0.0, 0.0])
    assert wrong(flat) != {}
    assert wrong(flat, positions) == {}


def test_knees_tell_left_from_right_where_feet_do_not() -> None:
    """Without toes and with straight limbs at rest, the bending of knees and elbows tells."""
    parts = tuple(f"toe.{side}" for side in "LR")
    for facing in (1.0, -1.0):
        rig = figure(leave_out=parts)
        heads = rig.heads.copy()
        for side in "LR":
            line = [rig.index(f"{part}.{side}") for part in ("thigh", "shin", "foot")]
            heads[line, 1] = 0.0
        rest = rig.rest.copy()
        rest[:, :3, 3] = heads
        tails = heads + [0.0, 0.0, 0.05]
        rig = dataclasses.replace(rig, rest=rest, tails=tails)
        positions = walking(rig) * [1.0, facing, 1.0]
        mirrored = dataclasses.replace(rig, rest=_mirror(rest, facing), tails=tails * [1.0, facing, 1.0])
        got = found(mirrored, positions)
        assert got["thigh.L"] == ("thigh.L" if facing > 0 else "thigh.R")
        assert got["forearm.R"] == ("forearm.R" if facing > 0 else "forearm.L")


def _mirror(rest: np.ndarray, facing: float) -> np.ndarray:
    mirrored = rest.copy()
    mirrored[:, 1, 3] *= facing
    return mirrored
