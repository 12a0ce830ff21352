# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of the clips in the list: drawn once, in a thread, and kept in the user's folder. None without a window.

Of files that Blender's importers read there are none: a picture must not put anything into the scene.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import Any

import bpy
import bpy.utils.previews

from .. import preferences
from ..core.clips.picture import picture, png_of
from ..core.motion import Motion
from ..core.rigs.rig import RigError
from ..core.worked_out import WorkedOut
from ..jobs.json_files import JobError
from ..scene import reference as clips
from ..scene.importing.importer import FileError
from ..scene.mannequin.skin import figure
from . import background_work, clip_library

SIZE = 128  # pixels
_FOLDER = "clip_pictures/1"  # another number where they are drawn otherwise
_MOST = 120  # clips that have one
_MOST_BYTES = 20_000_000  # of a clip's file: a longer one would keep the thread for long
_UNREADABLE = (FileError, RigError, ValueError, OSError)


def icon(name: str) -> int:
    """The picture of a clip in the library as Blender counts its icons; 0 where there is none, or not yet."""
    known = _previews.get(name) if _previews is not None else None
    return int(known.icon_id) if known is not None else 0


def _load(name: str, file: str) -> None:
    """Have Blender read a picture now, some kilobytes: left to itself it does when the menu is there already."""
    if _previews is not None:
        known: Any = _previews.load(name, file, "IMAGE")
        _ = tuple(known.image_size), tuple(known.icon_size)


def draw_ahead() -> None:
    """See to it that the clips in the library have their pictures soon. Cheap enough for drawing."""
    if background_work.waits():
        return
    ours, own = clip_library.library()
    files = {name: str(file) for name, file in [*ours.items(), *own.items()][:_MOST]}
    if files != _wanted:
        _forget()
        _wanted.update(files)
        _draw_next()


def _draw_next() -> None:
    """Ask for one picture after the other, so that what is more urgent comes in between."""
    folder = _folder()
    for name, file in _wanted.items() if folder else ():
        if name not in _asked:
            drawn = background_work.ask(_pictures, _draw_next, file, folder)
            if drawn is None:
                return
            _asked.add(name)
            if drawn:
                _load(name, drawn)


def _folder() -> str:
    try:
        return str(preferences.data_folder(_FOLDER))
    except JobError:
        return ""


def _draw(clip: str, folder: str) -> str:
    """The PNG of a clip's picture, drawn unless it is there; "" where none can be. Knows nothing of Blender."""
    file = Path(folder, f"{hashlib.sha256(clip.encode()).hexdigest()[:32]}.png")
    try:
        found = os.stat(clip)
        if Path(clip).suffix.lower() not in clips.READ_HERE or found.st_size > _MOST_BYTES:
            return ""
        with contextlib.suppress(OSError):
            if os.stat(file).st_mtime == found.st_mtime:  # drawn of the very file that is there
                return str(file)
        pixels = picture(_motion(Path(clip)), figure(), SIZE)
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        part.write_bytes(png_of(pixels))
        os.utime(part, (found.st_mtime, found.st_mtime))
        os.replace(part, file)
    except _UNREADABLE:
        return ""
    return str(file)


def _motion(clip: Path) -> Motion:
    read = clips.read_file(clip, figure())
    return read if isinstance(read, Motion) else read.on(figure(), read.guess())


_pictures = WorkedOut(_draw, most=1)
_wanted: dict[str, str] = {}  # clip in the library -> its file
_asked: set[str] = set()  # those of them that were looked at
_previews: bpy.utils.previews.ImagePreviewCollection | None = None


def _forget() -> None:
    """Have no pictures; their files stay."""
    _wanted.clear()
    _asked.clear()
    if _previews is not None:
        _previews.clear()


def register() -> None:
    global _previews
    if not bpy.app.background:
        _previews = bpy.utils.previews.new()


def unregister() -> None:
    global _previews
    _forget()
    _pictures.forget()
    if _previews is not None:
        bpy.utils.previews.remove(_previews)
    _previews = None
