# SPDX-License-Identifier: GPL-3.0-or-later
"""A scene's frames as stills, and the stills as a movie.

Everything is rendered by Cycles on the processor, so it works without a window and without a GPU.
Frames are rendered once, into PNG stills; the movie and the contact sheet are both made of them.
The scene gets its own render settings back afterwards.
"""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import bpy

from ... import compat
from ..typed_data import current_scene, subtype

Progress = Callable[[float], None]  # is told the fraction done

SIZE = (640, 360)  # pixels, across and up


@dataclasses.dataclass(frozen=True)
class Footage:
    """Stills of a performance, in order. times: seconds since its first frame. size: pixels, across and up."""

    stills: tuple[Path, ...]
    times: tuple[float, ...]
    fps: float
    size: tuple[int, int]


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
# In its place where this Blender was built without a denoiser, as some Linux distributions' are
_UNDENOISED: tuple[tuple[str, object], ...] = (("cycles.use_denoising", False), ("cycles.samples", 64))
# What the stills need besides, and only while they are rendered.
_STILLS: tuple[tuple[str, object], ...] = (
    ("render.use_compositing", False),
    ("render.use_sequencer", False),
    ("render.use_stamp", False),
    ("render.use_file_extension", False),
)
_TOUCHED = ("render.resolution_x", "render.resolution_y", "render.filepath")


def apply_render_settings(scene: bpy.types.Scene, size: tuple[int, int] = SIZE) -> None:
    """Give a scene the film's render settings for good, as for a scene made to be opened and rendered."""
    known = [_set(scene, path, value) for path, value in _LOOK]
    for path, value in () if all(known) else _UNDENOISED:
        _set(scene, path, value)
    scene.render.resolution_x, scene.render.resolution_y = _even(size)


@contextlib.contextmanager
def temporary_render_settings(scene: bpy.types.Scene, size: tuple[int, int] = SIZE) -> Iterator[None]:
    """The film's settings while the body runs; then everything is as the artist had it."""
    touched = [path for path, _ in _LOOK + _STILLS] + list(_TOUCHED)
    before = [(path, scene.path_resolve(path)) for path in touched]
    image_format = compat.image_format(scene.render)
    frame, part = scene.frame_current, scene.frame_subframe
    try:
        apply_render_settings(scene, size)
        for path, value in _STILLS:
            _set(scene, path, value)
        compat.write_stills(scene.render)
        yield
    finally:
        compat.set_image_format(scene.render, image_format)
        for path, value in before:
            _set(scene, path, value)
        scene.frame_set(frame, subframe=part)


def _set(scene: bpy.types.Scene, path: str, value: object) -> bool:
    """Whether this Blender knows the value: without a denoiser there is none to choose."""
    owner, _, name = path.rpartition(".")
    try:
        setattr(scene.path_resolve(owner), name, value)
    except TypeError:
        return False
    return True


def _even(size: tuple[int, int]) -> tuple[int, int]:
    """The size with both sides even, as H.264 wants them."""
    return 2 * max(size[0] // 2, 1), 2 * max(size[1] // 2, 1)


def render_stills(
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
    scene = current_scene(context)
    if scene.camera is None:
        raise ValueError("the scene has no camera to film with; build the film set first")
    rate = scene.render.fps / scene.render.fps_base
    fps = fps or rate
    if times is None:
        seconds = (scene.frame_end - scene.frame_start) / rate
        times = [i / fps for i in range(int(seconds * fps + 1e-6) + 1)]
    stills = []
    with temporary_render_settings(scene, size):
        for i, time in enumerate(times):
            whole, part = divmod(round(scene.frame_start + time * rate, 6), 1.0)
            scene.frame_set(int(whole), subframe=part)
            stills.append(Path(folder) / f"{i:05d}.png")
            scene.render.filepath = str(stills[-1])
            bpy.ops.render.render(write_still=True, scene=scene.name)
            if progress is not None:
                progress((i + 1) / len(times))
    return Footage(tuple(stills), tuple(times), fps, _even(size))


def render_movie(
    context: bpy.types.Context,
    path: Path,
    size: tuple[int, int] = SIZE,
    fps: float | None = None,
    footage: Footage | None = None,
    progress: Progress | None = None,
) -> Path:
    """Write the performance as an MP4, from footage where there is some already."""
    path = Path(path).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        if footage is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            footage = render_stills(context, folder, size, fps, progress=progress)
        cut = bpy.data.scenes.new("Backflip Cut")
        stack.callback(bpy.data.scenes.remove, cut)
        _edit(cut, footage)
        cut.render.filepath = str(path)
        bpy.ops.render.render(animation=True, scene=cut.name)
    return path


def _edit(cut: bpy.types.Scene, footage: Footage) -> None:
    """Lay the stills out in an empty scene's sequencer, so that rendering it writes the movie."""
    strips = cut.sequence_editor_create().strips
    strip = subtype(strips.new_image("Footage", str(footage.stills[0]), channel=1, frame_start=1))
    for still in footage.stills[1:]:
        strip.elements.append(still.name)
    cut.frame_start, cut.frame_end = 1, len(footage.stills)
    subtype(cut.view_settings).view_transform = "Standard"  # the stills are graded already
    render = cut.render
    render.resolution_x, render.resolution_y = footage.size
    render.resolution_percentage = 100
    render.fps = max(round(footage.fps), 1)
    render.fps_base = render.fps / footage.fps
    render.use_file_extension = False
    compat.write_movie(render)
    encoder = subtype(render.ffmpeg)
    encoder.constant_rate_factor = "PERC_LOSSLESS"
    encoder.audio_codec = "NONE"
