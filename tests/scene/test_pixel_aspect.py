# SPDX-License-Identifier: GPL-3.0-or-later
"""A video whose pixels are not square: seen, and written, as if they were."""

from __future__ import annotations

from pathlib import Path

import pytest

bpy = pytest.importorskip("bpy")

from backflip_addon.scene import footage, write_frames  # noqa: E402

from . import rigs  # noqa: E402

WIDTH, HEIGHT, FRAMES = 64, 48, 4


def film(path: Path, aspect: float) -> Path:
    """A grey video of pixels so many times wider than high, as Blender writes one."""
    rigs.empty_scene()
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y, scene.render.pixel_aspect_x = WIDTH, HEIGHT, aspect
    scene.frame_end = FRAMES
    if hasattr(scene.render.image_settings, "media_type"):  # Blender 5.0 and later
        scene.render.image_settings.media_type = "VIDEO"
    scene.render.image_settings.file_format = "FFMPEG"
    scene.render.ffmpeg.format = "MPEG4"
    length = {"length": FRAMES} if bpy.app.version >= (5, 0) else {"frame_end": FRAMES + 1}
    scene.sequence_editor_create().strips.new_effect(name="Grey", type="COLOR", channel=1, frame_start=1, **length)
    scene.render.filepath, scene.render.use_file_extension = str(path), False
    bpy.ops.render.render(animation=True)
    return path


@pytest.mark.parametrize(("aspect", "width"), [(1.0, WIDTH), (2.0, 2 * WIDTH)])
def test_pixels_that_are_not_square_are_written_square(tmp_path: Path, aspect: float, width: int) -> None:
    video = film(tmp_path / "film.mp4", aspect)
    seen = footage.open_video(video)
    assert (seen.width, seen.height, seen.clip.display_aspect[0]) == (width, HEIGHT, aspect)
    written = write_frames.write(video, 1, 2, tmp_path / "frames")
    first = bpy.data.images.load(str(tmp_path / "frames" / "000001.bmp"))
    assert (written["width"], written["height"]) == (width, HEIGHT) == tuple(first.size)
    assert first.pixels[4 * width - 4] > 0.1, "the picture fills its frame"


def test_a_file_that_tells_nothing_sensible_of_its_pixels_has_square_ones(tmp_path: Path) -> None:
    odd = tmp_path / "odd.mp4"
    for pasp in (b"", bytes(8), bytes([0, 0, 0, 1, 0, 0, 0, 0]), bytes([255, 255, 255, 255, 0, 0, 0, 1])):
        box = b"\0\0\0\x10pasp" + pasp
        for head in ((len(box) + 8).to_bytes(4, "big") + b"moov", b"\0\0\0\1moov" + bytes([255] * 8), b"\0\0\0\0moov"):
            odd.write_bytes(head + box)
            assert write_frames.pixel_aspect(odd) == 1.0
