# SPDX-License-Identifier: GPL-3.0-or-later
"""Rigs made for the tests: humanoids in many rest poses, sizes, namings and axis conventions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from backflip_addon.core.rigs.rig import Rig, Skin

# role -> (parent role, offset from the parent's joint in metres, T pose, facing -Y, left +X)
_TRUNK = {
    "pelvis": (None, (0.0, 0.0, 0.95)),
    "neck": ("chest", (0.0, 0.01, 0.2)),
    "head": ("neck", (0.0, -0.01, 0.1)),
}
_SIDE = {
    "shoulder": ("chest", (0.03, 0.0, 0.14)),
    "upper_arm": ("shoulder", (0.14, 0.0, 0.01)),
    "forearm": ("upper_arm", (0.28, 0.0, 0.0)),
    "hand": ("forearm", (0.25, 0.0, 0.0)),
    "thigh": ("pelvis", (0.09, 0.0, -0.04)),
    "shin": ("thigh", (0.01, 0.0, -0.41)),
    "foot": ("shin", (0.0, 0.02, -0.42)),
    "toe": ("foot", (0.01, -0.14, -0.06)),
}


def role_name(role: str) -> str:
    """The plainest naming: the roles themselves."""
    return role


def figure(
    *,
    name: Callable[[str], str] = role_name,
    arms: float = 0.0,
    spines: int = 2,
    scale: float = 1.0,
    turn: np.ndarray | None = None,
    leave_out: tuple[str, ...] = (),
    axes: np.ndarray | None = None,
    feet_on_root: bool = False,
    root: bool = False,
    knee: float = 0.0,
    elbow: float = 0.0,
    skin: bool = False,
) -> Rig:
    """A humanoid of 1.7 m times scale.

    name: role -> bone name (roles of the trunk: pelvis, spine, spine2, ..., chest, neck, head).
    arms: degrees that the arms hang below the T pose. turn (3, 3): the whole figure turned.
    axes (3, 3): every bone's axes against the world's. knee, elbow: degrees bent at rest.
    """
    table = _joints(spines, arms, knee, elbow, root)
    heads: dict[str, np.ndarray] = {}
    for bone, (parent, offset) in table.items():
        heads[bone] = offset + (heads[parent] if parent else 0.0)
    kept = [bone for bone in table if bone not in leave_out]
    parents = []
    for bone in kept:
        parent = table[bone][0]
        while parent is not None and parent not in kept:
            parent = table[parent][0]
        if feet_on_root and bone.startswith("foot"):
            parent = kept[0]
        parents.append(kept.index(parent) if parent is not None else -1)
    turn = np.eye(3) if turn is None else turn
    axes = np.eye(3) if axes is None else axes
    rest = np.tile(np.eye(4), (len(kept), 1, 1))
    rest[:, :3, :3] = turn @ axes
    rest[:, :3, 3] = np.array([heads[bone] for bone in kept]) @ turn.T * scale
    tails = rest[:, :3, 3] + rest[:, :3, 1] * 0.08 * scale
    shape = _skin(kept, parents, rest[:, :3, 3], scale) if skin else None
    return Rig("figure", tuple(name(b) for b in kept), tuple(parents), rest, tails, (True,) * len(kept), shape)


def _joints(
    spines: int, arms: float, knee: float, elbow: float, root: bool
) -> dict[str, tuple[str | None, np.ndarray]]:
    """Role -> (parent role, offset from the parent's joint in metres); arguments as figure's."""
    table: dict[str, tuple[str | None, np.ndarray]] = {}
    if root:
        table["root"] = (None, np.zeros(3))
    table["pelvis"] = ("root" if root else None, np.array(_TRUNK["pelvis"][1]))
    trunk = ["spine" if i == 0 else f"spine{i + 1}" for i in range(spines - 1)] + ["chest"]
    step = np.array([0.0, 0.0, 0.34 / spines])
    for i, bone in enumerate(trunk):
        table[bone] = (trunk[i - 1] if i else "pelvis", step)
    for bone in ("neck", "head"):
        parent, offset = _TRUNK[bone]
        table[bone] = (parent, np.array(offset))
    for side, sign in (("L", 1.0), ("R", -1.0)):
        for part, (parent, offset) in _SIDE.items():
            place = np.array(offset)
            if part in ("forearm", "hand"):
                bend = np.radians(elbow if part == "hand" else 0.0)
                place = _about(np.array([0.0, 0.0, 1.0]), -bend) @ place  # forward, as elbows bend
                place = _about(np.array([0.0, 1.0, 0.0]), np.radians(arms)) @ place
            if part in ("foot", "toe"):
                place = _about(np.array([1.0, 0.0, 0.0]), np.radians(knee)) @ place
            above = parent if parent in ("pelvis", "chest") else f"{parent}.{side}"
            table[f"{part}.{side}"] = (above, place * [sign, 1.0, 1.0])
    return table


def _skin(bones: list[str], parents: list[int], heads: np.ndarray, scale: float) -> Skin:
    """A tube around each limb bone's way to its child, a block for the others."""
    rng = np.random.default_rng(0)
    vertices, owners = [], []
    for i in range(len(bones)):
        child = next((j for j, p in enumerate(parents) if p == i), None)
        end = heads[child] if child is not None else heads[i]
        t = rng.random((60, 1))
        around = rng.normal(size=(60, 3))
        around *= 0.05 * scale / np.linalg.norm(around, axis=1, keepdims=True)
        points = heads[i] + (end - heads[i]) * t + around
        vertices.append(points)
        owners += [i] * 60
    bones_ = np.array(owners)[:, None]
    return Skin(np.concatenate(vertices), bones_, np.ones_like(bones_, dtype=float))


def _about(axis: np.ndarray, angle: float) -> np.ndarray:
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def about(axis: tuple[float, float, float], degrees: float) -> np.ndarray:
    """Rotation matrix (3, 3) about a unit axis."""
    return _about(np.array(axis, dtype=float), np.radians(degrees))


def animate(rig: Rig, frames: int, seed: int = 0, swing: float = 25.0) -> np.ndarray:
    """A smooth made-up motion (F, B, 4, 4) in which every bone turns about its own head."""
    rng = np.random.default_rng(seed)
    phase, axis = rng.random(len(rig.bones)) * 6, rng.normal(size=(len(rig.bones), 3))
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    out = np.zeros((frames, len(rig.bones), 4, 4))
    for f in range(frames):
        for b, parent in enumerate(rig.parents):
            local = np.linalg.inv(rig.rest[parent]) @ rig.rest[b] if parent >= 0 else rig.rest[b].copy()
            turn = np.eye(4)
            turn[:3, :3] = _about(axis[b], np.radians(swing) * np.sin(f / 15 + phase[b]))
            if parent < 0:
                local[:3, 3] += np.array([0.01 * f, 0.0, 0.0])
            out[f, b] = (out[f, parent] @ local if parent >= 0 else local) @ turn
    return out
