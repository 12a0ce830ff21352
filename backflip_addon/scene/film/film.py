# SPDX-License-Identifier: GPL-3.0-or-later
"""A performance on film: the set around it, its frames, a movie and a contact sheet.

Everything is rendered by Cycles on the processor, so it works without a window and without a GPU.
Frames are shot once, into PNG stills; the movie and the contact sheet are both cut from them.
The scene that is filmed gets its own render settings back afterwards.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix, Vector
from numpy.typing import NDArray

from ... import compat

Floats = NDArray[np.float64]
Progress = Callable[[float], None]

SIZE = (640, 360)
SET_NAME = "Backflip Set"
_SET_MARK = "backflip_set"  # custom property of what belongs to the set

HUMAN = 1.75  # m; the set is built to the measure of a performer of this height
LENS, SENSOR = 50.0, 36.0  # mm
AZIMUTH, PITCH = math.radians(28.0), math.radians(7.0)  # camera: off the exact side view, and downwards
MARGIN = 1.12  # how much more than the performance the picture shows
ROAM = 4.5  # m; a performance that covers more ground is followed by the camera
FOLLOW_SECONDS = 0.6  # how gently


@dataclasses.dataclass(frozen=True)
class FilmSet:
    """What build_set put into the scene."""

    collection: bpy.types.Collection
    camera: bpy.types.Object
    floor: bpy.types.Object
    lights: tuple[bpy.types.Object, ...]


@dataclasses.dataclass(frozen=True)
class Footage:
    """Stills of a performance, in order. times: seconds since its first frame."""

    stills: tuple[Path, ...]
    times: tuple[float, ...]
    fps: float
    size: tuple[int, int]


# --- The set ----------------------------------------------------------------------------------


def build_set(
    context: bpy.types.Context,
    armature: bpy.types.Object,
    frames: tuple[int, int] | None = None,
    yaw: float = 0.0,
    floor_height: float = 0.0,
    size: tuple[int, int] = SIZE,
) -> FilmSet:
    """Put floor, light and camera around what armature does from the first to the last of frames.

    frames: the scene's own range when not given. yaw: the performer's facing, radians about z from
    -Y. floor_height: world z of the floor. The camera frames the whole performance, or follows it
    where it covers much ground. A set built earlier in this scene is replaced. The scene gets the set's
    camera and world, until strike_set.
    """
    scene = context.scene
    first, last = frames or (scene.frame_start, scene.frame_end)
    strike_set(scene)
    before = {"camera_before": scene.camera, "world_before": scene.world}
    boxes, at = _performance_boxes(context, armature, first, last)
    unit = _standing_height(armature) / HUMAN
    centre = (boxes.min(axis=(0, 1)) + boxes.max(axis=(0, 1))) / 2
    ground = np.array([centre[0], centre[1], floor_height])

    collection = bpy.data.collections.new(SET_NAME)
    collection[_SET_MARK] = True
    for name, thing in before.items():
        if thing is not None:
            collection[name] = thing
    scene.collection.children.link(collection)
    floor = _build_floor(collection, ground, unit)
    lights = _build_lights(collection, ground, unit, yaw)
    camera = _build_camera(collection, boxes, at, scene.render.fps / scene.render.fps_base, unit, yaw, size)
    scene.camera = camera
    scene.world = _build_world()
    context.view_layer.update()
    return FilmSet(collection, camera, floor, lights)


def strike_set(scene: bpy.types.Scene) -> None:
    """Remove the set that build_set put into this scene, if any; its camera and world before come back."""
    for collection in [c for c in scene.collection.children if c.get(_SET_MARK)]:
        scene.camera, scene.world = collection.get("camera_before"), collection.get("world_before")
        for thing in list(collection.objects):
            data = thing.data
            bpy.data.objects.remove(thing)
            if data is not None and data.users == 0:
                bpy.data.batch_remove([data])
        bpy.data.collections.remove(collection)


def _performance_boxes(
    context: bpy.types.Context, armature: bpy.types.Object, first: int, last: int
) -> tuple[Floats, NDArray[np.int64]]:
    """Corners (F, 8, 3), world, of the box around performer and skin in F frames, and those frames (F,)."""
    scene = context.scene
    before, below = scene.frame_current, scene.frame_subframe
    at = np.unique(np.linspace(first, last, min(last - first + 1, 240)).round().astype(int))
    skins = [thing for thing in scene.objects if _wears(thing, armature)]
    boxes = []
    try:
        for frame in at:
            scene.frame_set(int(frame))
            boxes.append(_box(context.evaluated_depsgraph_get(), armature, skins))
    finally:
        scene.frame_set(before, subframe=below)
    return np.array(boxes), at


def _wears(thing: bpy.types.Object, armature: bpy.types.Object) -> bool:
    """Whether the mesh thing is moved by armature and will be seen in the render."""
    if thing.type != "MESH" or thing.hide_render:
        return False
    return thing.parent is armature or any(m.type == "ARMATURE" and m.object is armature for m in thing.modifiers)


def _box(depsgraph: bpy.types.Depsgraph, armature: bpy.types.Object, skins: list[bpy.types.Object]) -> Floats:
    """Corners (8, 3), world, of the box around the skins, or around the bones where there are none."""
    points = []
    for thing in skins:
        evaluated = thing.evaluated_get(depsgraph)
        points += [evaluated.matrix_world @ Vector(corner) for corner in evaluated.bound_box]
    if not points:
        posed = armature.evaluated_get(depsgraph)
        points = [posed.matrix_world @ end for bone in posed.pose.bones for end in (bone.head, bone.tail)]
    low, high = np.min(points, axis=0), np.max(points, axis=0)
    picks = np.array(np.meshgrid([0, 1], [0, 1], [0, 1])).reshape(3, 8).T
    return np.where(picks, high, low)


def _standing_height(armature: bpy.types.Object) -> float:
    """The rest skeleton's height in world units; a skeleton without height counts as human."""
    ends = [armature.matrix_world @ end for b in armature.data.bones for end in (b.head_local, b.tail_local)]
    height = float(np.ptp([end.z for end in ends])) if ends else 0.0
    return height if height > 1e-6 else HUMAN


def _build_camera(
    collection: bpy.types.Collection,
    boxes: Floats,
    at: NDArray[np.int64],
    rate: float,
    unit: float,
    yaw: float,
    size: tuple[int, int],
) -> bpy.types.Object:
    turn = _camera_turn(yaw)
    path = _camera_path(boxes, at / rate, unit)
    place = fit_camera((boxes - path[:, None]).reshape(-1, 3), turn, _half_views(size))
    data = bpy.data.cameras.new(f"{SET_NAME} Camera")
    data.lens, data.sensor_width, data.sensor_fit = LENS, SENSOR, "AUTO"
    data.clip_start, data.clip_end = 0.05 * unit, 1000.0 * unit
    camera = bpy.data.objects.new(data.name, data)
    collection.objects.link(camera)
    camera.matrix_world = Matrix.Translation(place) @ Matrix(turn.tolist()).to_4x4()
    if np.any(path):
        for frame, shift in zip(at, path, strict=True):
            camera.location = place + shift
            camera.keyframe_insert("location", frame=int(frame))
    return camera


def _camera_turn(yaw: float) -> Floats:
    """The camera's axes as columns (3, 3): right, up, backward; from the performer's left, a little ahead."""
    # The performer's left is +X at yaw 0 and its front -Y, so a turn towards the front is clockwise.
    around = yaw - AZIMUTH
    back = np.array([math.cos(around) * math.cos(PITCH), math.sin(around) * math.cos(PITCH), math.sin(PITCH)])
    right = np.cross([0.0, 0.0, 1.0], back)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(back, right), back], axis=1)


def _half_views(size: tuple[int, int]) -> Floats:
    """Tangents (2,) of half the angle that the picture shows across and up, less the margin."""
    wide = SENSOR / 2 / LENS
    longer = max(size)
    return np.array([wide * size[0] / longer, wide * size[1] / longer]) / MARGIN


def fit_camera(points: Floats, turn: Floats, half_views: Floats) -> Floats:
    """Where (3,) a camera turned by turn (3, 3) must stand to have points (N, 3) just within its picture.

    Exact: every point gives a plane that the camera must stay behind, so the nearest place follows
    from the greatest point along each picture edge's direction.
    """
    seen = points @ turn  # right, up, backward of each point
    place = np.zeros(3)
    for i, half in enumerate(half_views):
        high = np.max(seen[:, i] + half * seen[:, 2])
        low = np.max(-seen[:, i] + half * seen[:, 2])
        place[i] = (high - low) / 2
        distance = (high + low) / (2 * half)
        place[2] = distance if i == 0 else max(place[2], distance)
    return turn @ place


def _camera_path(boxes: Floats, seconds: Floats, unit: float) -> Floats:
    """How far (F, 3) the camera is moved at each frame: not at all, or smoothly after the performer."""
    ground = boxes.reshape(-1, 3)[:, :2]
    if np.max(np.ptp(ground, axis=0)) <= ROAM * unit:
        return np.zeros((len(boxes), 3))
    middles = boxes.mean(axis=1)
    gaps = (seconds[:, None] - seconds) / FOLLOW_SECONDS
    weights = np.exp(-0.5 * gaps**2)
    path = weights @ middles / weights.sum(axis=1, keepdims=True)
    path[:, 2] = 0.0
    return path


def _build_lights(
    collection: bpy.types.Collection, ground: Floats, unit: float, yaw: float
) -> tuple[bpy.types.Object, ...]:
    """A warm soft key from the camera's side and a cool rim from behind: suns, so they light any length of floor."""
    lights = []
    for name, azimuth, height, strength, softness, colour in (
        ("Key", -70.0, 60.0, 3.6, 12.0, (1.0, 0.93, 0.84)),
        ("Rim", 145.0, 55.0, 1.5, 10.0, (0.70, 0.84, 1.0)),
    ):
        data = bpy.data.lights.new(f"{SET_NAME} {name}", "SUN")
        data.energy, data.angle, data.color = strength, math.radians(softness), colour
        light = bpy.data.objects.new(data.name, data)
        collection.objects.link(light)
        turn = Matrix.Rotation(yaw + math.radians(azimuth), 4, "Z") @ Matrix.Rotation(math.radians(90 - height), 4, "Y")
        light.matrix_world = Matrix.Translation(ground) @ turn @ Matrix.Translation((0, 0, 5 * unit))
        lights.append(light)
    return tuple(lights)


def _build_floor(collection: bpy.types.Collection, ground: Floats, unit: float) -> bpy.types.Object:
    half = 40.0
    mesh = bpy.data.meshes.new(f"{SET_NAME} Floor")
    mesh.from_pydata([(-half, -half, 0), (half, -half, 0), (half, half, 0), (-half, half, 0)], [], [(0, 1, 2, 3)])
    mesh.materials.append(_floor_material())
    floor = bpy.data.objects.new(mesh.name, mesh)
    floor.location = ground
    floor.scale = (unit, unit, unit)  # so the material counts in the performer's metres
    collection.objects.link(floor)
    return floor


# --- Shaders ----------------------------------------------------------------------------------

_HORIZON, _ZENITH = (0.150, 0.190, 0.235), (0.030, 0.042, 0.060)  # linear colours of the backdrop
_TILES = (0.105, 0.112, 0.122), (0.072, 0.079, 0.090)
_LINE = (0.200, 0.210, 0.222)


class _Nodes:
    """A shader tree in the making: nodes by short calls, inputs wired or set by name or index."""

    def __init__(self, tree: bpy.types.NodeTree) -> None:
        self.tree = tree
        tree.nodes.clear()

    def add(self, kind: str, inputs: dict[str | int, object] | None = None, **settings: object) -> bpy.types.Node:
        node = self.tree.nodes.new(kind)
        for key, value in settings.items():
            setattr(node, key, value)
        for key, value in (inputs or {}).items():
            if isinstance(value, bpy.types.NodeSocket):
                self.tree.links.new(value, node.inputs[key])
            else:
                node.inputs[key].default_value = value
        return node

    def math(self, operation: str, *values: object) -> bpy.types.NodeSocket:
        return self.add("ShaderNodeMath", dict(enumerate(values)), operation=operation).outputs[0]

    def mix(self, share: object, low: object, high: object) -> bpy.types.NodeSocket:
        """The colour share of the way from low to high."""
        colours = [(*c, 1.0) if isinstance(c, tuple) else c for c in (low, high)]
        node = self.add("ShaderNodeMix", data_type="RGBA")
        for index, value in zip((0, 6, 7), (share, *colours), strict=True):
            if isinstance(value, bpy.types.NodeSocket):
                self.tree.links.new(value, node.inputs[index])
            else:
                node.inputs[index].default_value = value
        return node.outputs[2]

    def backdrop(self) -> bpy.types.NodeSocket:
        """The studio wall's colour: a gradient up the picture, the same for world and far floor."""
        window = self.add("ShaderNodeTexCoord").outputs["Window"]
        height = self.add("ShaderNodeSeparateXYZ", {0: window}).outputs[1]
        rise = self.add("ShaderNodeMapRange", {0: height, 1: 0.35, 2: 1.05}, interpolation_type="SMOOTHSTEP")
        return self.mix(rise.outputs[0], _HORIZON, _ZENITH)


def _build_world() -> bpy.types.World:
    """The fill light, and behind it, for the camera alone, the backdrop. One world serves all sets."""
    world = bpy.data.worlds.get(SET_NAME) or bpy.data.worlds.new(SET_NAME)
    compat.use_nodes(world)
    world.cycles.sampling_method = "NONE"  # an even fill needs no importance map, which costs a third of a frame
    nodes = _Nodes(world.node_tree)
    fill = nodes.add("ShaderNodeBackground", {0: (0.62, 0.74, 0.95, 1.0), 1: 0.42})
    wall = nodes.add("ShaderNodeBackground", {0: nodes.backdrop()})
    seen = nodes.add("ShaderNodeLightPath").outputs["Is Camera Ray"]
    both = nodes.add("ShaderNodeMixShader", {0: seen, 1: fill.outputs[0], 2: wall.outputs[0]})
    nodes.add("ShaderNodeOutputWorld", {0: both.outputs[0]})
    return world


def _floor_material() -> bpy.types.Material:
    """Half-metre tiles with a line every metre, so that speed and travel show; far off it becomes the backdrop."""
    name = f"{SET_NAME} Floor"
    if name in bpy.data.materials:
        return bpy.data.materials[name]
    material = bpy.data.materials.new(name)
    compat.use_nodes(material)
    nodes = _Nodes(material.node_tree)
    place = nodes.add("ShaderNodeTexCoord").outputs["Object"]
    # Off the whole numbers in z, where the checker would flicker.
    lifted = nodes.add("ShaderNodeVectorMath", {0: place, 1: (0, 0, 0.25)}, operation="ADD").outputs[0]
    tiles = nodes.add("ShaderNodeTexChecker", {"Vector": lifted, "Scale": 2.0}).outputs["Fac"]
    axes = nodes.add("ShaderNodeSeparateXYZ", {0: place})
    gaps = [nodes.math("PINGPONG", axes.outputs[i], 0.5) for i in (0, 1)]
    line = nodes.math("LESS_THAN", nodes.math("MINIMUM", *gaps), 0.011)
    colour = nodes.mix(line, nodes.mix(tiles, *_TILES), _LINE)
    shader = {"Base Color": colour, "Roughness": 0.55, "Specular IOR Level": 0.2}
    floor = nodes.add("ShaderNodeBsdfPrincipled", shader)
    away = nodes.add("ShaderNodeVectorMath", {0: place}, operation="LENGTH").outputs["Value"]
    fade = nodes.add("ShaderNodeMapRange", {0: away, 1: 3.5, 2: 11.0}, interpolation_type="SMOOTHSTEP").outputs[0]
    wall = nodes.add("ShaderNodeEmission", {0: nodes.backdrop()})
    both = nodes.add("ShaderNodeMixShader", {0: fade, 1: floor.outputs[0], 2: wall.outputs[0]})
    nodes.add("ShaderNodeOutputMaterial", {0: both.outputs[0]})
    return material


# --- Shooting ---------------------------------------------------------------------------------


# Cycles on the processor, tuned for quick clean frames: few samples, one bounce, the rest is denoised.
_LOOK: tuple[tuple[str, object], ...] = (
    ("render.engine", "CYCLES"),
    ("render.resolution_percentage", 100),
    ("render.pixel_aspect_x", 1.0),
    ("render.pixel_aspect_y", 1.0),
    ("render.use_border", False),
    ("render.film_transparent", False),
    ("render.use_persistent_data", True),
    ("render.use_motion_blur", False),
    ("cycles.device", "CPU"),
    ("cycles.samples", 12),
    ("cycles.use_adaptive_sampling", True),
    ("cycles.adaptive_threshold", 0.1),
    ("cycles.adaptive_min_samples", 4),
    ("cycles.use_light_tree", False),
    ("cycles.use_denoising", True),
    ("cycles.denoiser", "OPENIMAGEDENOISE"),
    ("cycles.denoising_prefilter", "FAST"),
    ("cycles.denoising_quality", "BALANCED"),
    ("cycles.max_bounces", 2),
    ("cycles.diffuse_bounces", 1),
    ("cycles.glossy_bounces", 1),
    ("cycles.transmission_bounces", 0),
    ("cycles.volume_bounces", 0),
    ("cycles.caustics_reflective", False),
    ("cycles.caustics_refractive", False),
    ("view_settings.view_transform", "AgX"),
    ("view_settings.look", "AgX - Medium High Contrast"),
    ("view_settings.exposure", 0.55),
    ("view_settings.gamma", 1.0),
)
# What the stills need besides, and only while they are shot.
_STILLS: tuple[tuple[str, object], ...] = (
    ("render.use_compositing", False),
    ("render.use_sequencer", False),
    ("render.use_stamp", False),
    ("render.use_file_extension", False),
)
_TOUCHED = ("render.resolution_x", "render.resolution_y", "render.filepath")


def dress(scene: bpy.types.Scene, size: tuple[int, int] = SIZE) -> None:
    """Give a scene the film's render settings for good, as for a scene made to be opened and rendered."""
    for path, value in _LOOK:
        _set(scene, path, value)
    scene.render.resolution_x, scene.render.resolution_y = _even(size)


@contextlib.contextmanager
def film_settings(scene: bpy.types.Scene, size: tuple[int, int] = SIZE) -> Iterator[None]:
    """The film's settings while the body runs; then everything is as the artist had it."""
    touched = [path for path, _ in _LOOK + _STILLS] + list(_TOUCHED)
    before = [(path, scene.path_resolve(path)) for path in touched]
    image_format = compat.image_format(scene.render)
    frame, part = scene.frame_current, scene.frame_subframe
    try:
        dress(scene, size)
        for path, value in _STILLS:
            _set(scene, path, value)
        compat.write_stills(scene.render)
        yield
    finally:
        compat.set_image_format(scene.render, image_format)
        for path, value in before:
            _set(scene, path, value)
        scene.frame_set(frame, subframe=part)


def _set(scene: bpy.types.Scene, path: str, value: object) -> None:
    owner, _, name = path.rpartition(".")
    setattr(scene.path_resolve(owner), name, value)


def _even(size: tuple[int, int]) -> tuple[int, int]:
    """The size with both sides even, as H.264 wants them."""
    return 2 * max(size[0] // 2, 1), 2 * max(size[1] // 2, 1)


def shoot(
    context: bpy.types.Context,
    folder: Path,
    size: tuple[int, int] = SIZE,
    fps: float | None = None,
    times: list[float] | None = None,
    progress: Progress | None = None,
) -> Footage:
    """Render the scene's frame range, through the scene's camera, into stills in folder.

    fps: of the footage, the scene's own when not given; the performance keeps its real speed at any.
    times: only these moments, s after the first frame. progress is told the fraction done.
    Raises ValueError when the scene has no camera.
    """
    scene = context.scene
    if scene.camera is None:
        raise ValueError("the scene has no camera to film with; build the film set first")
    rate = scene.render.fps / scene.render.fps_base
    fps = fps or rate
    if times is None:
        seconds = (scene.frame_end - scene.frame_start) / rate
        times = [i / fps for i in range(int(seconds * fps + 1e-6) + 1)]
    stills = []
    with film_settings(scene, size):
        for i, time in enumerate(times):
            whole, part = divmod(round(scene.frame_start + time * rate, 6), 1.0)
            scene.frame_set(int(whole), subframe=part)
            stills.append(Path(folder) / f"{i:05d}.png")
            scene.render.filepath = str(stills[-1])
            bpy.ops.render.render(write_still=True, scene=scene.name)
            if progress is not None:
                progress((i + 1) / len(times))
    return Footage(tuple(stills), tuple(times), fps, _even(size))


# --- Movie and contact sheet ------------------------------------------------------------------


def render_film(
    context: bpy.types.Context,
    path: Path,
    size: tuple[int, int] = SIZE,
    fps: float | None = None,
    footage: Footage | None = None,
    progress: Progress | None = None,
) -> Path:
    """Write the performance as an MP4, from footage where it has been shot already."""
    path = Path(path).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        if footage is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            footage = shoot(context, folder, size, fps, progress=progress)
        cut = bpy.data.scenes.new("Backflip Cut")
        stack.callback(bpy.data.scenes.remove, cut)
        _edit(cut, footage)
        cut.render.filepath = str(path)
        bpy.ops.render.render(animation=True, scene=cut.name)
    return path


def _edit(cut: bpy.types.Scene, footage: Footage) -> None:
    """Lay the stills out in an empty scene's sequencer, so that rendering it writes the movie."""
    strip = cut.sequence_editor_create().strips.new_image("Footage", str(footage.stills[0]), channel=1, frame_start=1)
    for still in footage.stills[1:]:
        strip.elements.append(still.name)
    cut.frame_start, cut.frame_end = 1, len(footage.stills)
    cut.view_settings.view_transform = "Standard"  # the stills are graded already
    render = cut.render
    render.resolution_x, render.resolution_y = footage.size
    render.resolution_percentage = 100
    render.fps = max(round(footage.fps), 1)
    render.fps_base = render.fps / footage.fps
    render.use_file_extension = False
    compat.write_movie(render)
    render.ffmpeg.constant_rate_factor = "PERC_LOSSLESS"
    render.ffmpeg.audio_codec = "NONE"


def render_contact_sheet(
    context: bpy.types.Context,
    path: Path,
    frames: int = 8,
    size: tuple[int, int] = SIZE,
    footage: Footage | None = None,
    columns: int = 4,
) -> Path:
    """Write frames moments of the performance, stamped with their time, as one PNG.

    Of footage the moments are picked closer together where more happens; without it they are evenly spread.
    """
    path = Path(path).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        if footage is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            scene = context.scene
            seconds = (scene.frame_end - scene.frame_start) * scene.render.fps_base / scene.render.fps
            footage = shoot(context, folder, size, times=np.linspace(0.0, seconds, frames).tolist())
        thumbnails = [_read_pixels(path)[::4, ::4].copy() for path in footage.stills]
        picks = telling_moments(thumbnails, frames)
        tiles = [_stamped(_read_pixels(footage.stills[i]), footage.times[i]) for i in picks]
    _write_pixels(path, contact_sheet(tiles, columns))
    return path


def telling_moments(stills: list[NDArray[np.float32]], count: int) -> list[int]:
    """Indices of at most count stills, first and last among them, between which about as much time and change lies."""
    if len(stills) <= count:
        return list(range(len(stills)))
    change = np.array([np.abs(b - a).mean() for a, b in zip(stills, stills[1:], strict=False)], dtype=float)
    flow = np.concatenate([[0.0], np.cumsum(change + max(change.mean(), 1e-9) / 2)])
    picks = [int(np.argmin(np.abs(flow - share))) for share in np.linspace(0.0, flow[-1], count)]
    return sorted(set(picks))


def contact_sheet(tiles: list[NDArray[np.float32]], columns: int) -> NDArray[np.float32]:
    """Pictures (H, W, 4), top row first, laid out in a grid with gutters."""
    height, width = tiles[0].shape[:2]
    gap = max(width // 80, 1)
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    sheet = np.ones((rows * (height + gap) + gap, columns * (width + gap) + gap, 4), dtype=np.float32)
    sheet[..., :3] = 0.09
    for i, tile in enumerate(tiles):
        top, left = gap + (i // columns) * (height + gap), gap + (i % columns) * (width + gap)
        sheet[top : top + height, left : left + width] = tile
    return sheet


# Five rows of three pixels a sign, a digit of octal a row.
_SIGNS = {
    "0": "75557", "1": "26227", "2": "71747", "3": "71717", "4": "55711", "5": "74717",
    "6": "74757", "7": "71222", "8": "75757", "9": "75717", ".": "00002", "s": "07473", " ": "00000",
}  # fmt: skip


def _stamped(tile: NDArray[np.float32], seconds: float) -> NDArray[np.float32]:
    """The picture with its time written in the lower left corner, where it is large enough to be read."""
    zoom = tile.shape[0] // 120
    if zoom:
        rows = [[int(_SIGNS[sign][row]) for sign in f"{seconds:.2f} s"] for row in range(5)]
        bits = np.array([[code >> 2 & 1, code >> 1 & 1, code & 1, 0] for row in rows for code in row])
        text = np.kron(bits.reshape(5, -1), np.ones((zoom, zoom))).astype(bool)
        margin = 4 * zoom
        corner = tile[-margin - text.shape[0] : -margin, margin : margin + text.shape[1]]
        corner[text] = (0.92, 0.92, 0.90, 1.0)
    return tile


def _read_pixels(path: Path) -> NDArray[np.float32]:
    """A picture's pixels (H, W, 4), top row first, as they are stored."""
    image = bpy.data.images.load(str(path))
    try:
        pixels = np.empty(len(image.pixels), dtype=np.float32)
        image.pixels.foreach_get(pixels)
        return pixels.reshape(image.size[1], image.size[0], 4)[::-1].copy()
    finally:
        bpy.data.images.remove(image)


def _write_pixels(path: Path, pixels: NDArray[np.float32]) -> None:
    image = bpy.data.images.new("Contact sheet", pixels.shape[1], pixels.shape[0])
    try:
        image.pixels.foreach_set(np.ascontiguousarray(pixels[::-1]).ravel())
        image.filepath_raw, image.file_format = str(path), "PNG"
        image.save()
    finally:
        bpy.data.images.remove(image)
