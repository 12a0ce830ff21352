# SPDX-License-Identifier: GPL-3.0-or-later
"""Any rig, any clip: a table of how a folder of rigs takes a folder of clips.

    python tests/benchmarks/rigs.py --rigs DIR --clips DIR --json FILE [--no-search]

For each rig: import, map and body through the add-on's operators; each clip retargeted and baked back
without physics, and the rig, as Blender evaluates it, held against the clip's own joints. Then a
minute of search runs on one clip (in the Python that BACKFLIP_PYTHON names, or this one), and its
best take is baked and measured.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import bpy
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import backflip_addon
from backflip_addon.core.arrays import Array
from backflip_addon.core.body import LINK_NAMES
from backflip_addon.core.clips import bvh, deepmimic
from backflip_addon.core.motion import load_take
from backflip_addon.core.rigs import roles
from backflip_addon.core.rotations import matrix_about_z, normalise
from backflip_addon.operators import avatar, baking, reference, reference_clip, takes
from backflip_addon.operators.base import USER_ERRORS
from backflip_addon.scene import reference as clips
from backflip_addon.scene import reference_source, stored_avatar, stored_reference
from backflip_addon.scene.animation import actions, pose_sampling
from backflip_addon.scene.armature.rig import bone_order, read_rig
from backflip_addon.scene.baking import bake, bake_error
from backflip_addon.scene.importing.importer import CLIP_SUFFIXES, RIG_SUFFIXES
from tests.scene.skin import skin_error

LIMBS = (("upper_arm", "forearm"), ("forearm", "hand"), ("thigh", "shin"), ("shin", "foot"))
JOINTS = tuple(f"{part}.{side}" for part in ("upper_arm", "forearm", "hand", "thigh", "shin", "foot") for side in "LR")
SEARCHED = ("walk", "jump", "flip")  # words of the clip that the search runs on
STILL = 0.15  # leg lengths a second: a source's foot slower than this and low is planted
LOW = 0.05  # leg lengths above the foot's lowest place


@dataclasses.dataclass(frozen=True)
class Source:
    """A clip's own joints (F, 3) by role, world, and its rate; no joints where the file holds angles alone."""

    joints: dict[str, Array]
    rate: float


def main() -> int:
    options = _options()
    backflip_addon.register()
    rigs = [_rig(file, options) for file in _files(options.rigs, RIG_SUFFIXES)]
    print(_table(rigs))
    if options.json:
        options.json.write_text(json.dumps({"rigs": rigs}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rigs", type=Path, required=True, help="folder of rigged characters")
    parser.add_argument("--clips", type=Path, required=True, help="folder of motion clips")
    parser.add_argument("--json", type=Path, help="write the table here, too")
    parser.add_argument("--no-search", dest="search", action="store_false", help="no physics: leave success out")
    parser.add_argument("--minutes", type=float, default=1.0, help="how long to search")
    parser.add_argument("--only", default="", help="rigs with this word in their name alone")
    return parser.parse_args()


def _files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    only = _options().only if suffixes is RIG_SUFFIXES else ""
    return sorted(f for f in folder.iterdir() if f.suffix.lower() in suffixes and only.lower() in f.name.lower())


def _rig(file: Path, options: argparse.Namespace) -> dict[str, Any]:
    """One row of the table."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    row: dict[str, Any] = {
        "file": file.name,
        "refused": None,
        "roles": {},
        "unmapped_roles": [],
        "height_m": None,
        "mass_kg": None,
        "seconds": None,
        "limb_direction_deg": None,
        "planted_skate_cm_s": None,
        "success": None,
        "bake_error_mm": None,
        "skin_error_mm": None,
        "clips": [],
    }
    scene = bpy.context.scene
    start = time.perf_counter()
    try:
        avatar.import_avatar(scene, str(file))
        avatar.build_body(scene, 0.0, "athlete")
    except USER_ERRORS as error:
        return row | {"refused": str(error), "seconds": round(time.perf_counter() - start, 3)}
    row["seconds"] = round(time.perf_counter() - start, 3)
    row["roles"] = stored_avatar.role_map(scene).bones
    row["unmapped_roles"] = [role for role in roles.ROLES if role not in row["roles"]]
    row["height_m"], row["mass_kg"] = round(scene.backflip.body_height, 3), round(scene.backflip.body_mass, 1)
    found = [_clip(scene, clip) for clip in _files(options.clips, CLIP_SUFFIXES)]
    row["clips"] = found
    for key in ("limb_direction_deg", "planted_skate_cm_s", "bake_error_mm", "skin_error_mm"):
        row[key] = max((clip[key] for clip in found if clip.get(key) is not None), default=None)
    if options.search:
        row |= _search(scene, options)
    return row


def _clip(scene: bpy.types.Scene, file: Path) -> dict[str, Any]:
    """One clip retargeted to the avatar and baked back, held against the clip's own joints."""
    row: dict[str, Any] = {"clip": file.name, "refused": None}
    start = time.perf_counter()
    try:
        reference_clip.use_file(scene, str(file))
    except USER_ERRORS as error:
        return row | {"refused": str(error)}
    row["seconds"] = round(time.perf_counter() - start, 3)
    row["notes"] = [note["code"] for note in json.loads(scene.backflip.reference_notes or "[]")]
    armature = stored_avatar.avatar(scene)
    body, binding = stored_avatar.body_and_binding(scene)
    motion = stored_reference.whole_reference(scene)
    scene.render.fps = max(int(round(motion.rate)), 1)
    scene.render.fps_base = scene.render.fps / motion.rate
    start = time.perf_counter()
    baked = bake.bake_take(armature, binding, motion, name=file.stem, start_frame=1, scene=scene)
    row["bake_seconds"], row["bake_warnings"] = round(time.perf_counter() - start, 3), list(baked.warnings)
    frames = range(baked.first, baked.last + 1)
    shown = _shown(scene, armature, pose_sampling.sample_poses(armature, frames), binding.yaw)
    row["bake_error_mm"] = round(bake_error.bake_error(armature, body, binding, motion, 1, scene)[0], 4)
    skin = skin_error(armature, binding, motion, 1, scene)
    row["skin_error_mm"] = None if skin is None else round(skin, 4)
    source = _source(scene, file)
    if source.joints:
        count = min(len(shown["foot.L"]), len(source.joints["foot.L"]))
        errors = _direction_errors(source, shown, count)
        row["limb_direction_deg"] = round(float(np.quantile(errors, 0.99)), 2)
        row["limb_direction_mean_deg"] = round(float(errors.mean()), 2)
        row["limb_direction_max_deg"] = round(float(errors.max()), 2)
        row |= _skate(source, shown, count, binding.scale)
    return row


def _shown(scene: bpy.types.Scene, armature: bpy.types.Object, poses: Array, yaw: float) -> dict[str, Array]:
    """Joints (F, 3) by role of the avatar as Blender shows it, turned to face as the clip does."""
    index = {bone.name: i for i, bone in enumerate(bone_order(armature))}
    back = matrix_about_z(-yaw)
    role_map = stored_avatar.role_map(scene).bones
    return {role: poses[:, index[bone], :3, 3] @ back.T for role, bone in role_map.items()}


def _source(scene: bpy.types.Scene, file: Path) -> Source:
    """The clip's own joints."""
    if file.suffix.lower() in (".txt", ".json"):
        motion, _leg = deepmimic.load(file)
        return Source({}, motion.rate)
    if file.suffix.lower() == ".bvh":
        rig, matrices, rate = bvh.read_bvh(file)
    else:
        settings = scene.backflip
        source = reference_source.named_source(
            settings.reference_object, settings.reference_action, settings.reference_slot
        )
        first, last = actions.action_range(source.action, source.slot)
        rig = read_rig(source.armature, with_skin=False)
        frames = first + np.arange(int(round(last - first)) + 1)
        matrices = pose_sampling.sample_poses(source.armature, frames, source.action, source.slot)
        rate = clips.action_rate(scene, source.action)
    positions = {role: matrices[:, rig.bone_index[bone], :3, 3] for role, bone in roles.guess(rig).bones.items()}
    return Source(positions, rate)


def _direction_errors(source: Source, shown: dict[str, Array], count: int) -> Array:
    """Angles (F, limbs), degrees, between the clip's limbs and the avatar's."""
    errors = []
    for side in "LR":
        for part, after in LIMBS:
            ends = [f"{part}.{side}", f"{after}.{side}"]
            if not all(end in joints for end in ends for joints in (source.joints, shown)):
                continue
            wanted, got = (normalise((j[ends[1]] - j[ends[0]])[:count]) for j in (source.joints, shown))
            errors.append(np.arctan2(np.linalg.norm(np.cross(wanted, got), axis=1), (wanted * got).sum(axis=1)))
    return np.degrees(np.stack(errors, axis=1))


def _skate(source: Source, shown: dict[str, Array], count: int, scale: float) -> dict[str, float]:
    """Mean level speed, cm/s at the body's scale, of the avatar's feet while the clip's are planted.

    A planted foot may roll; so the stiller of its two joints, ankle and toe, counts. source_skate is
    how much the clip's own feet slip then, for legs of the same length.
    """
    own_leg, leg = _leg(source.joints), _leg(shown) * scale
    speeds: dict[str, list[Array]] = {"planted_skate_cm_s": [], "source_skate_cm_s": []}
    for side in "LR":
        feet = [role for role in (f"foot.{side}", f"toe.{side}") if role in source.joints]
        planted = np.zeros(count - 1, dtype=bool)
        for place in (source.joints[role][:count] for role in feet):
            speed = np.linalg.norm(np.diff(place, axis=0), axis=1) * source.rate
            low = place[1:, 2] < np.quantile(place[:, 2], 0.05) + LOW * own_leg
            planted |= low & (speed < STILL * own_leg)
        for key, joints, factor in (
            ("planted_skate_cm_s", shown, scale * 100.0),
            ("source_skate_cm_s", source.joints, leg / own_leg * 100.0),
        ):
            steps = [np.diff(joints[role][:count, :2], axis=0) for role in feet if role in joints]
            speeds[key].append(np.min(np.linalg.norm(steps, axis=2), axis=0)[planted] * source.rate * factor)
    return {key: round(float(np.concatenate(parts).mean()), 3) for key, parts in speeds.items()}


def _leg(joints: dict[str, Array]) -> float:
    """Hip to ankle along the leg in the first frame, mean of both sides."""
    return float(
        np.mean(
            [
                np.linalg.norm(joints[f"{b}.{side}"][0] - joints[f"{a}.{side}"][0]) * 2
                for side in "LR"
                for a, b in (("thigh", "shin"), ("shin", "foot"))
            ]
        )
    )


def _search(scene: bpy.types.Scene, options: argparse.Namespace) -> dict[str, Any]:
    """A minute of search on one clip; its best take baked and measured."""
    files = _files(options.clips, CLIP_SUFFIXES)
    file = next((f for word in SEARCHED for f in files if word in f.name.lower()), files[0])
    reference_clip.use_file(scene, str(file))
    for note in json.loads(scene.backflip.reference_notes or "[]"):
        if note["fix"].keys() & {"time_scale", "start"}:
            reference.apply_fix(scene, note["code"])
    folder = Path(tempfile.mkdtemp(prefix="backflip-rigs-")) / "job"
    try:
        bpy.ops.backflip.start_training(
            minutes=options.minutes, mode="search", stop_when_landed=True, folder=str(folder), blocking=True
        )
        take = load_take(takes.find_take(scene))
        scene.render.fps, scene.render.fps_base = 30, 1.0
        shot = takes.read_shot(scene, takes.find_take(scene))
        baking.bake_shot(scene, shot, 1)
        error = bake_error.bake_error(stored_avatar.avatar(scene), shot.body, shot.binding, shot.take.motion, 1, scene)
        skin = skin_error(stored_avatar.avatar(scene), shot.binding, shot.take.motion, 1, scene)
    except (RuntimeError, *USER_ERRORS) as error_:
        return {"success": False, "searched": file.name, "search_error": str(error_).strip()}
    measures = take.meta.get("measures", {})
    return {
        "success": bool(measures.get("success", measures.get("landed", False))),
        "searched": file.name,
        "bake_error_mm": round(error[0], 4),
        "skin_error_mm": None if skin is None else round(skin, 4),
    }


def _table(rigs: list[dict[str, Any]]) -> str:
    """The rows as text."""
    lines = [
        f"{'rig':44}{'roles':>6}{'m':>6}{'kg':>6}{'s':>7}{'limbs °':>9}{'skate cm/s':>11}"
        f"{'bake mm':>9}{'skin mm':>9}  success"
    ]
    for rig in rigs:
        if rig["refused"]:
            lines.append(f"{rig['file'][:43]:44}refused: {rig['refused']}")
            continue
        figures = (rig["limb_direction_deg"], rig["planted_skate_cm_s"], rig["bake_error_mm"], rig["skin_error_mm"])
        texts = ["-" if f is None else f"{f:.3g}" for f in figures]
        lines.append(
            f"{rig['file'][:43]:44}{len(rig['roles']):>6}{rig['height_m']:>6.2f}{rig['mass_kg']:>6.1f}"
            f"{rig['seconds']:>7.2f}{texts[0]:>9}{texts[1]:>11}{texts[2]:>9}{texts[3]:>9}  {rig['success']}"
        )
        for clip in rig["clips"]:
            parts = ", ".join(f"{k} {v}" for k, v in clip.items() if k != "clip" and v not in (None, []))
            lines.append(f"    {clip['clip']}: {parts}")
    return "\n".join(lines)


assert set(JOINTS) <= set(LINK_NAMES)

if __name__ == "__main__":
    status = 1
    try:
        status = main()
    finally:
        # Blender's module may hang in its own end
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
