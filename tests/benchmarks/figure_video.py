# SPDX-License-Identifier: GPL-3.0-or-later
"""Videos of a known motion: a rig's skin, posed by Blender, drawn by a small rasteriser with a known camera."""

from __future__ import annotations

import dataclasses
import math
import struct
from pathlib import Path
from typing import Any

import bpy
import numba
import numpy as np

from backflip_addon.core.arrays import AnyArray, Array
from backflip_addon.core.motion import Motion
from backflip_addon.core.motions import feasible
from backflip_addon.operators import avatar
from backflip_addon.operators.reference_clip import use_file
from backflip_addon.scene import stored_avatar, stored_reference
from backflip_addon.scene.baking import bake

RATE = 30.0
SKIN, SHIRT, TROUSERS, SHOES, HAIR = (205, 160, 130), (60, 70, 95), (150, 40, 50), (235, 235, 235), (45, 30, 22)
COLOURS = {"head": SKIN, "chest": SHIRT, "pelvis": TROUSERS, "thigh": TROUSERS, "shin": SKIN, "foot": SHOES}
COLOURS |= {"upper_arm": SHIRT, "forearm": SKIN, "hand": SKIN}
LIGHT = np.array([0.35, -0.45, 0.8]) / np.linalg.norm([0.35, -0.45, 0.8])


@dataclasses.dataclass(frozen=True)
class Performance:
    """A motion with its skin: vertices (F, V, 3), simulation's frame; triangles (T, 3), their colours; link origins."""

    motion: Motion
    vertices: AnyArray
    triangles: AnyArray
    colours: Array
    origins: Array
    height: float


@dataclasses.dataclass(frozen=True)
class View:
    """axes (3, 3): rows right, down, away. position (3,): m. focal: pixels."""

    position: Array
    axes: Array
    focal: float
    width: int
    height: int

    def project(self, points: Array) -> tuple[Array, Array]:
        """Pixels (..., 2) and places in the camera's axes (..., 3)."""
        seen = (points - self.position) @ self.axes.T
        return seen[..., :2] / seen[..., 2:] * self.focal + [self.width / 2, self.height / 2], seen


def view_from(azimuth: float, target: Array, distance: float = 6.0, up: float = 1.3, size: int = 720) -> View:
    """A camera so many degrees off the performer's front, 90 from its left, with a lens of 40 mm."""
    a = math.radians(azimuth)
    position = np.array([target[0] + math.sin(a) * distance, target[1] - math.cos(a) * distance, up])
    away = (target - position) / np.linalg.norm(target - position)
    right = np.cross(away, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    return View(position, np.stack([right, np.cross(away, right), away]), 40 / 36 * size, size, size)


def perform(rig: str, clip: str, slow: float = 1.0) -> Performance:
    """A clip on a rig ("" for the mannequin), as it would be possible, posed by Blender. slow: times slower."""
    import backflip_addon

    bpy.ops.wm.read_factory_settings(use_empty=True)
    if not hasattr(bpy.types.Scene, "backflip"):
        backflip_addon.register()
    scene = bpy.context.scene
    if rig:
        avatar.import_avatar(scene, rig)
    else:
        bpy.ops.backflip.add_mannequin()
    avatar.build_body(scene, 0.0, "athlete")
    body, binding = stored_avatar.body_and_binding(scene)
    use_file(scene, clip)
    motion = feasible.feasible(body, stored_reference.whole_reference(scene))[0].scaled_in_time(slow).resampled(RATE)
    scene.render.fps, scene.render.fps_base = round(RATE), 1.0
    armature = stored_avatar.avatar(scene)
    baked = bake.bake_take(armature, binding, motion, name="clip", start_frame=1, scene=scene)
    meshes = [ob for ob in scene.objects if ob.type == "MESH" and ob.visible_get()]
    frames = []
    for frame in range(baked.first, baked.first + motion.frames):
        scene.frame_set(frame)
        frames.append(np.concatenate([binding.to_sim(_places(ob)) for ob in meshes]).astype(np.float32))
    triangles, colours = _surface(meshes, binding.bones, frames[0])
    origins = body.forward(motion.position, motion.rotations)[0]
    return Performance(motion, np.array(frames), triangles, colours, origins, body.height)


def _places(ob: Any) -> Array:
    evaluated = ob.evaluated_get(bpy.context.evaluated_depsgraph_get())
    mesh = evaluated.to_mesh()
    places = np.empty(len(mesh.vertices) * 3, np.float32)
    mesh.vertices.foreach_get("co", places)
    evaluated.to_mesh_clear()
    matrix = np.array(evaluated.matrix_world)
    return places.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3]


def _surface(meshes: list[Any], links: dict[str, str], first: AnyArray) -> tuple[AnyArray, Array]:
    """Triangles of all meshes, and the colour of each by the part of the body that moves it most."""
    triangles, parts, start = [], [], 0
    for ob in meshes:
        evaluated = ob.evaluated_get(bpy.context.evaluated_depsgraph_get())
        mesh = evaluated.to_mesh()
        mesh.calc_loop_triangles()
        own = np.empty(len(mesh.loop_triangles) * 3, np.int32)
        mesh.loop_triangles.foreach_get("vertices", own)
        triangles.append(own.reshape(-1, 3) + start)
        names = [group.name for group in ob.vertex_groups]
        for vertex in mesh.vertices:
            groups = [g for g in vertex.groups if names[g.group] in links]
            best = max(groups, key=lambda g: g.weight, default=None)
            parts.append(links[names[best.group]].partition(".")[0] if best else "chest")
        start += len(mesh.vertices)
        evaluated.to_mesh_clear()
    colours = np.array([COLOURS.get(part, SKIN) for part in parts], float)
    head = np.array([part == "head" for part in parts])
    if head.any():
        own = first[head]
        top, middle = own[:, 2].max(), own[:, 1].min() / 2 + own[:, 1].max() / 2
        hair = (own[:, 2] > top - 0.055) | ((own[:, 1] > middle) & (own[:, 2] > top - 0.2))
        colours[np.flatnonzero(head)[hair]] = HAIR
    faces = np.concatenate(triangles)
    return faces, colours[faces].mean(axis=1)


@numba.njit(cache=False)
def _fill(picture, depth, spots, away, triangles, colours):  # noqa: ANN001
    height, width = depth.shape
    for t in range(len(triangles)):
        a, b, c = triangles[t]
        if min(away[a], away[b], away[c]) < 0.1:
            continue
        x0, y0, x1, y1, x2, y2 = spots[a, 0], spots[a, 1], spots[b, 0], spots[b, 1], spots[c, 0], spots[c, 1]
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if abs(area) < 1e-9:
            continue
        for y in range(max(int(min(y0, y1, y2)), 0), min(int(max(y0, y1, y2)) + 1, height)):
            for x in range(max(int(min(x0, x1, x2)), 0), min(int(max(x0, x1, x2)) + 1, width)):
                px, py = x + 0.5, y + 0.5
                u = ((x1 - px) * (y2 - py) - (x2 - px) * (y1 - py)) / area
                v = ((x2 - px) * (y0 - py) - (x0 - px) * (y2 - py)) / area
                w = 1.0 - u - v
                if u < 0.0 or v < 0.0 or w < 0.0:
                    continue
                z = u * away[a] + v * away[b] + w * away[c]
                if z < depth[y, x]:
                    depth[y, x] = z
                    for k in range(3):
                        picture[y, x, k] = colours[t, k]


def draw(shown: Performance, view: View, seed: int = 0) -> list[AnyArray]:
    """The frames (H, W, 3), bytes: the figure before a wall, its shadow on the floor, and a camera's noise."""
    rng = np.random.default_rng(seed)
    room, floor = _room(view, rng)
    frames = []
    for vertices in shown.vertices.astype(float):
        spots, seen = view.project(vertices)
        a, b, c = (vertices[shown.triangles[:, k]] for k in range(3))
        normals = np.cross(b - a, c - a)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12
        light = 0.5 + 0.55 * np.abs(normals @ LIGHT) * (normals @ LIGHT > 0) + 0.12 * normals[:, 2]
        picture, depth = room.copy(), np.full(room.shape[:2], np.inf)
        _shade(picture, view.project(vertices * [1.0, 1.0, 0.0])[0], floor)
        _fill(picture, depth, spots, seen[:, 2].copy(), shown.triangles, shown.colours * light[:, None])
        frames.append(np.clip(picture + rng.normal(0, 4, picture.shape), 0, 255).astype(np.uint8))
    return frames


def _room(view: View, rng: np.random.Generator) -> tuple[Array, AnyArray]:
    """A wall and a floor with soft blotches; which pixels are floor."""
    coarse = rng.normal(0, 1, (12, 12, 1))
    steps = np.linspace(0, 11, view.height)
    low = np.minimum(steps.astype(int), 10)
    share = (steps - low)[:, None, None]
    rows = coarse[low] * (1 - share) + coarse[low + 1] * share
    share = (steps - low)[None, :, None]
    blotches = rows[:, low] * (1 - share) + rows[:, low + 1] * share
    horizon = view.project(view.position + view.axes[2] * [1, 1, 0] * 9.0 - [0, 0, view.position[2]])[0][1]
    floor = np.arange(view.height)[:, None] > horizon
    picture = np.where(floor[..., None], (120.0, 110.0, 100.0), (178.0, 182.0, 178.0)) + 9 * blotches
    return np.ascontiguousarray(np.broadcast_to(picture, (view.height, view.width, 3))), floor


def _shade(picture: Array, spots: Array, floor: AnyArray) -> None:
    """A dark ellipse where the figure stands."""
    centre, spread = spots.mean(axis=0), spots.std(axis=0) + 4
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]]
    near = ((x - centre[0]) / spread[0]) ** 2 + ((y - centre[1]) / spread[1]) ** 2
    picture *= np.where(floor, 1 - 0.35 * np.exp(-near / 2), 1.0)[..., None]


def write_bmp(path: Path, picture: AnyArray) -> None:
    """A picture (H, W, 3) as Blender writes frames."""
    height, width = picture.shape[:2]
    row = (3 * width + 3) // 4 * 4
    rows = np.zeros((height, row), np.uint8)
    rows[:, : 3 * width] = picture[::-1, :, ::-1].reshape(height, -1)
    head = struct.pack(
        "<2sIHHI IiiHHIIiiII", b"BM", 54 + rows.size, 0, 0, 54, 40, width, height, 1, 24, 0, rows.size, 0, 0, 0, 0
    )
    path.write_bytes(head + rows.tobytes())
