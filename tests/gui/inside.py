# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs inside the Blender that is walked through: draws words as buttons have them, tells facts, presses nothing.

    blender --python inside.py -- FOLDER

Each file N.ask in the folder is a JSON object, answered in N.npy (words) or N.json (facts).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import blf
import bpy
import gpu
import numpy as np
from bpy.app.handlers import persistent
from mathutils import Matrix

_FOLDER = Path(sys.argv[sys.argv.index("--") + 1])
_POINTS = 11.0  # of the letters on buttons, at a resolution scale of 1 (Blender's default style)
_MARGIN = 4  # pixels round the words
_SECONDS = 0.05


@persistent
def _tick() -> float:
    for asked in sorted(_FOLDER.glob("*.ask")):
        wanted = json.loads(asked.read_text(encoding="utf-8"))
        asked.unlink()
        if "words" in wanted:
            _write(asked.with_suffix(".npy"), lambda file, words=wanted["words"]: np.save(file, _drawn(words)))
        else:
            told = json.dumps(_facts()).encode()
            _write(asked.with_suffix(".json"), lambda file, told=told: file.write(told))
    return _SECONDS


def _write(path: Path, fill: Any) -> None:
    """Write a file whole, or not at all."""
    new = path.with_suffix(".new")
    with open(new, "wb") as file:
        fill(file)
    new.rename(path)


def _drawn(words: str) -> np.ndarray:
    """Words in the font and size of buttons, white on black; (rows, columns) of 0 to 255."""
    size = _POINTS * bpy.context.preferences.system.ui_scale
    blf.size(0, size)
    width, height = int(blf.dimensions(0, words)[0]) + 2 * _MARGIN, int(2 * size)
    screen = gpu.types.GPUOffScreen(width, height)
    flat = Matrix(((2 / width, 0, 0, -1), (0, 2 / height, 0, -1), (0, 0, 1, 0), (0, 0, 0, 1)))
    with screen.bind(), gpu.matrix.push_pop(), gpu.matrix.push_pop_projection():
        buffer = gpu.state.active_framebuffer_get()
        buffer.clear(color=(0.0, 0.0, 0.0, 1.0))
        gpu.matrix.load_matrix(Matrix.Identity(4))
        gpu.matrix.load_projection_matrix(flat)
        gpu.state.blend_set("ALPHA")
        blf.position(0, _MARGIN, size / 2, 0)
        blf.color(0, 1.0, 1.0, 1.0, 1.0)
        blf.draw(0, words)
        pixels = buffer.read_color(0, 0, width, height, 4, 0, "UBYTE")
    screen.free()
    pixels.dimensions = width * height * 4
    return np.array(pixels, np.uint8).reshape(height, width, 4)[::-1, :, 0]


def _facts() -> dict[str, Any]:
    """What is to be true at a walk's end, as Blender's own data has it."""
    settings = bpy.context.scene.backflip
    avatar = settings.avatar
    data = avatar.animation_data if avatar else None
    strips = [strip for track in data.nla_tracks for strip in track.strips] if data else []
    return {
        "avatar": avatar.name if avatar else "",
        "takes": [take.title for take in settings.takes],
        "job": settings.job_folder,
        "strips": [strip.action.name for strip in strips if strip.action],
        "frames": [settings.baked_first, settings.baked_last],
        "scale": bpy.context.preferences.system.ui_scale,
    }


bpy.app.timers.register(_tick, persistent=True)
