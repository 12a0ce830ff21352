# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of a file that holds no character or no clip: what it holds instead, and what can be done with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import bpy

from ...core.rigs.rig import FEWEST_BONES

_WORDS = {  # an object's type -> one of them, several
    "MESH": ("a mesh", "meshes"),
    "CAMERA": ("a camera", "cameras"),
    "LIGHT": ("a light", "lights"),
    "EMPTY": ("an empty", "empties"),
    "CURVE": ("a curve", "curves"),
}

_PICKLE = "it is a pickle, which can run code and is not opened: save its arrays with numpy's savez"
_USE_AS_AVATAR = "bring it in with File > Import, select its armature and press Use as Avatar"
_USE_ACTION = "bring it in with File > Import, then choose its armature and action and press Use Action"
_CLIP_ALONE = "it is an animation: import a character first, then the clip in step 2"
_RIG_HINTS = dict.fromkeys((".usd", ".usda", ".usdc", ".usdz", ".abc"), _USE_AS_AVATAR)
_RIG_HINTS |= dict.fromkeys((".vrma", ".npz"), _CLIP_ALONE)
_CLIP_HINTS = dict.fromkeys((".usd", ".usda", ".usdc", ".usdz"), _USE_ACTION)
_CLIP_HINTS |= {
    ".blend": "append its armature with File > Append, then choose it and its action and press Use Action",
    ".vrm": "it is a character: import it in step 1",
}
_HINTS = dict.fromkeys((".pkl", ".pickle", ".pt", ".pth", ".ckpt"), _PICKLE)
_HINTS |= {
    ".dae": "export it as FBX or GLB from the program that made it",
    ".zip": "unpack it and choose a file within",
    ".rar": "unpack it and choose a file within",
    ".7z": "unpack it and choose a file within",
}


def unknown_kind(path: Path, suffixes: Iterable[str], of_a_rig: bool) -> str:
    """A file of a kind that a step does not read: what to do with it, or else which kinds are read."""
    suffix = path.suffix.lower()
    hint = (_RIG_HINTS if of_a_rig else _CLIP_HINTS).get(suffix) or _HINTS.get(suffix)
    if hint:
        return f"{path.name} cannot be read here: {hint}."
    kinds = ", ".join(known[1:].upper() for known in suffixes)
    return f"{path.name or 'That'} is not a file that this step can read: choose one of {kinds}."


def contents(objects: Iterable[bpy.types.Object], lacking: str) -> str:
    """What objects there are, in words, and what is not among them: "a camera and 3 meshes, but no armature"."""
    counted: Counter[str] = Counter(ob.type for ob in objects)
    known = [
        one if counted[kind] == 1 else f"{counted[kind]} {several}"
        for kind, (one, several) in _WORDS.items()
        if counted[kind]
    ]
    if not counted:
        return "nothing that Blender can import"
    known = known or ["other things"]
    return f"{' and '.join(filter(None, (', '.join(known[:-1]), known[-1])))}, but no {lacking}"


def no_clip(objects: Iterable[bpy.types.Object], has_actions: bool) -> str:
    """Why an import is no clip, said of its file."""
    objects = list(objects)
    if any(ob.type == "ARMATURE" for ob in objects):
        return "holds a character but no animation: choose a file with one, or import it in step 1 as the avatar."
    verb = "animates" if has_actions else "holds"
    return f"{verb} {contents(objects, 'skeleton')}: choose an animation of {FEWEST_BONES} joints or more."
