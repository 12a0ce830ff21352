# SPDX-License-Identifier: GPL-3.0-or-later
"""The character's own meshes as a skin that takes can be shown with, read a little at a time.

What is read is what Blender shows: the meshes after all their modifiers, with the weights these have left, brought
back to rest by the pose that they are shown in. Nothing of the user's is touched, and nothing of Blender's is kept
from one piece of work to the next but names.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import bpy
import numpy as np

from ..core.arrays import Array, Float32Array, IntArray
from ..core.motions.skinning import Skin, skin_rows
from ..core.rigs.binding import Binding
from .armature.bind_matrix import find_bind_matrix
from .armature.hierarchy import carrying_bone, is_deformed, rest_matrix
from .armature.rig import bone_order, bound_meshes
from .typed_data import mesh_data, pose_bones

MOST_VERTICES = 60_000  # of all meshes that are shown: 60,000 take 4 ms a frame (60 columns, single precision)
VERTICES_AT_A_TIME = 128  # that are read in a piece: a millisecond
_MOST_BONES = 8  # heaviest ones of a vertex
_LEAST_WEIGHT = 1e-6
_LEAST_VOLUME = 1e-3  # of a blend of bones that can be undone; below, the heaviest bone's alone is


class PuppetError(Exception):
    """Why the character's own meshes are not shown; the body's shapes are then."""


def read_puppet(armature: bpy.types.Object, binding: Binding) -> Iterator[Skin | None]:
    """The skin of an armature's meshes: None after each piece of work, and the skin in the end.

    Raises PuppetError, and SkeletonError where the armature is not the one that the binding was made for.
    """
    name = armature.name
    bound = find_bind_matrix(armature, binding, drawing=True)
    yield None
    links = _links_of_bones(armature, binding)
    deforming = frozenset(bone.name for bone in bone_order(armature) if bone.use_deform)
    yield None
    meshes = [ob.name for ob in bound_meshes(armature) if not ob.hide_render]
    yield None
    evaluated = _size(meshes, True) <= MOST_VERTICES
    if not evaluated and _size(meshes, False) > MOST_VERTICES:
        raise PuppetError(f"The meshes of {name} have more than {MOST_VERTICES} vertices")
    rows: list[Float32Array] = []
    triangles: list[IntArray] = []
    count = 0
    for mesh in meshes:
        reader = _MeshReader(name, mesh, bound, links, deforming, evaluated)
        yield from reader.read(len(binding.links))
        rows.append(reader.rows)
        triangles.append(reader.triangles + count)
        count += len(reader.rows)
    if not count:
        raise PuppetError(f"{name} has no mesh that its bones move")
    whole = rows[0] if len(rows) == 1 else np.concatenate(rows)
    yield None
    yield Skin(whole, np.concatenate(triangles))


def _object(name: str) -> bpy.types.Object:
    ob = bpy.data.objects.get(name)
    if ob is None:
        raise PuppetError(f"{name} no longer exists")
    return ob


def _shown(ob: bpy.types.Object, evaluated: bool) -> bpy.types.Object:
    """An object as Blender shows it, where it does and that is wanted."""
    if evaluated and ob.visible_get():
        return ob.evaluated_get(bpy.context.evaluated_depsgraph_get())
    return ob


def _size(meshes: list[str], evaluated: bool) -> int:
    return sum(len(mesh_data(_shown(_object(name), evaluated)).vertices) for name in meshes)


def _links_of_bones(armature: bpy.types.Object, binding: Binding) -> dict[str, int]:
    """Bone -> index of the link it goes with: its own, that of the bone it hangs on, or the nearest one's."""
    index = {link.name: i for i, link in enumerate(binding.links)}
    moved = {bone: index[link] for bone, link in binding.bones.items()}
    heads = {bone.name: np.array(bone.head_local) for bone in bone_order(armature)}
    known = [bone for bone in moved if bone in heads]
    if not known:
        raise PuppetError(f"{armature.name} has no bone of the body")
    places = np.array([heads[bone] for bone in known])
    found: dict[str, int] = {}
    for bone in bone_order(armature):  # parents first
        if bone.name in moved:
            found[bone.name] = moved[bone.name]
        elif bone.parent is not None and bone.parent.name in moved:
            found[bone.name] = moved[bone.parent.name]
            moved[bone.name] = found[bone.name]
        else:
            nearest = int(np.argmin(np.linalg.norm(places - heads[bone.name], axis=1)))
            found[bone.name] = moved[known[nearest]]
    return found


@dataclasses.dataclass
class _MeshReader:
    """Reads one mesh of an armature, both by name, into rows (V, 4 L) of a skin and triangles (T, 3).

    bound (4, 4): where the armature stood when the body was built. links: bone -> index of its link. deforming: the
    bones that move vertices. evaluated: as Blender shows it, where it does.
    """

    armature: str
    mesh: str
    bound: Array
    links: dict[str, int]
    deforming: frozenset[str]
    evaluated: bool
    rows: Float32Array = dataclasses.field(default_factory=lambda: np.zeros((0, 0), np.float32))
    triangles: IntArray = dataclasses.field(default_factory=lambda: np.zeros((0, 3), np.int32))

    def read(self, count: int) -> Iterator[None]:
        """Work piece by piece; count: of the body's links. Raises PuppetError."""
        ob, armature = _object(self.mesh), _object(self.armature)
        points = _points(_shown(ob, self.evaluated))
        # The pose of this very moment: the next piece of work may see another
        posed = self.evaluated and ob.visible_get()
        pose = self._pose(armature) if posed else None
        local = _apply(self._to_armature(ob, armature, posed), points)
        carrier = "" if is_deformed(ob, armature) else carrying_bone(ob, armature)
        of_bone = np.array(list(self.links.values()))
        weighed = np.zeros(len(points), dtype=bool)
        self.rows = np.empty((len(points), 4 * count), dtype=np.float32)
        yield None
        triangles = _triangles(_shown(_object(self.mesh), self.evaluated))
        yield None
        for start in range(0, len(points), VERTICES_AT_A_TIME):
            some = slice(start, start + VERTICES_AT_A_TIME)
            bones, weights = self._weights(some, len(points), carrier)
            rest = local[some] if pose is None else _unposed(local[some], bones, weights, pose)
            self.rows[some] = skin_rows(_apply(self.bound, rest), of_bone[bones], weights, count)
            weighed[some] = weights.sum(axis=1) > _LEAST_WEIGHT
            yield None
        if len(triangles) and triangles.max() >= len(points):
            raise PuppetError(f"{self.mesh} was changed")
        self.triangles = triangles[weighed[triangles].all(axis=1)]

    def _to_armature(self, ob: bpy.types.Object, armature: bpy.types.Object, posed: bool) -> Array:
        """From the mesh's space into the armature's (4, 4)."""
        if posed:
            depsgraph = bpy.context.evaluated_depsgraph_get()
            there = np.array(ob.evaluated_get(depsgraph).matrix_world)
            armature = armature.evaluated_get(depsgraph)
        else:
            there = rest_matrix(ob, armature)
        matrix: Array = np.linalg.inv(np.array(armature.matrix_world)) @ there
        return matrix

    def _pose(self, armature: bpy.types.Object) -> Array:
        """How the present pose moves points of armature space (B, 4, 4) by each bone of links."""
        bones = pose_bones(armature.evaluated_get(bpy.context.evaluated_depsgraph_get()))
        return np.array([bones[name].matrix @ bones[name].bone.matrix_local.inverted() for name in self.links])

    def _weights(self, some: slice, count: int, carrier: str) -> tuple[IntArray, Array]:
        """The bones (V, W) and weights (V, W) of some vertices of a mesh that has count of them."""
        ob = _object(self.mesh)
        vertices = mesh_data(_shown(ob, self.evaluated)).vertices
        if len(vertices) != count:
            raise PuppetError(f"{self.mesh} was changed")
        index = {name: i for i, name in enumerate(self.links)}
        if carrier:
            bones = np.full((len(range(*some.indices(count))), 1), index[carrier])
            return bones, np.ones(bones.shape)
        columns = {g.index: index[g.name] for g in ob.vertex_groups if g.name in self.deforming and g.name in index}
        found = [[(columns[g.group], g.weight) for g in v.groups if g.group in columns] for v in vertices[some]]
        bones = np.zeros((len(found), _MOST_BONES), dtype=int)
        weights = np.zeros(bones.shape)
        for row, pairs in enumerate(found):
            for column, (bone, weight) in enumerate(sorted(pairs, key=lambda pair: -pair[1])[:_MOST_BONES]):
                bones[row, column], weights[row, column] = bone, weight
        return bones, weights


def _points(ob: bpy.types.Object) -> Array:
    """Vertices (V, 3) of a mesh in its object's own space."""
    mesh = mesh_data(ob)
    flat: Float32Array = np.empty(len(mesh.vertices) * 3, dtype=np.float32)
    mesh.vertices.foreach_get("co", flat)
    return flat.reshape(-1, 3).astype(float)


def _triangles(ob: bpy.types.Object) -> IntArray:
    """A mesh's triangles (T, 3), of its vertices."""
    mesh = mesh_data(ob)
    mesh.calc_loop_triangles()
    corners = np.empty(len(mesh.loop_triangles) * 3, dtype=np.int32)
    mesh.loop_triangles.foreach_get("vertices", corners)
    return corners.reshape(-1, 3)


def _apply(matrix: Array, points: Array) -> Array:
    moved: Array = points @ matrix[:3, :3].T + matrix[:3, 3]
    return moved


def _unposed(points: Array, bones: IntArray, weights: Array, pose: Array) -> Array:
    """Points (V, 3) that a pose (B, 4, 4) has moved, by bones (V, W) and weights (V, W), back at rest.

    A linear blend is undone exactly; one that keeps volumes, nearly.
    """
    total = np.maximum(weights.sum(axis=1, keepdims=True), _LEAST_WEIGHT)
    blended = np.einsum("vw,vwij->vij", weights / total, pose[bones])
    flat = np.abs(np.linalg.det(blended[:, :3, :3])) < _LEAST_VOLUME
    blended[flat] = pose[bones[flat, 0]]
    back = np.linalg.inv(blended)
    rest: Array = np.einsum("vij,vj->vi", back[:, :3, :3], points) + back[:, :3, 3]
    return rest
