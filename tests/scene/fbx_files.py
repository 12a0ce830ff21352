# SPDX-License-Identifier: GPL-3.0-or-later
"""FBX files as text: those that Blender writes turned into version 7.4's text, and small ones of version 6.1."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from backflip_addon import compat

SECOND = 46_186_158_000  # of FBX's time
_LEFT_OUT = (b"FileId", b"Content")  # bytes that text holds in another form, and no one needs


def as_text(binary: Path, path: Path) -> Path:
    """A binary file written anew as text, part by part."""
    compat.ensure_addon("io_scene_fbx")
    from io_scene_fbx import parse_fbx

    root, version = parse_fbx.parse(str(binary))
    lines = [f"; FBX {version // 1000}.{version // 100 % 10}.0 project file", ""]
    for part in root.elems:
        if part is not None and part.id not in _LEFT_OUT:
            lines += _part(part, "")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _part(part: Any, indent: str) -> list[str]:
    name = part.id.decode()
    words = ", ".join(_word(value, kind, indent) for value, kind in zip(part.props, part.props_type, strict=True))
    inner = [line for below in part.elems if below is not None and below.id not in _LEFT_OUT
             for line in _part(below, indent + "\t")]  # fmt: skip
    if not part.elems:
        return [f"{indent}{name}: {words}"]
    return [f"{indent}{name}: {words} {{", *inner, f"{indent}}}"]


def _word(value: Any, kind: int, indent: str) -> str:
    if chr(kind) in "SR":
        own, _, of = bytes(value).partition(b"\0\1")
        text = f"{of.decode()}::{own.decode()}" if of else own.decode()
        return '"' + text.replace('"', "&quot;") + '"'
    if chr(kind) in "bcilfd":
        numbers = ",".join(repr(number) for number in np.asarray(value).tolist())
        return f"*{len(value)} {{\n{indent}\ta: {numbers}\n{indent}}}"
    return ("T" if value else "F") if chr(kind) in "CB" else repr(value)


# Version 6.1


Joint = tuple[str, str | None, tuple[float, float, float]]  # name, parent, place in the world: metres, z up


def write_6100(
    path: Path, joints: Iterable[Joint], angle: Callable[[str, int], float], frames: int, kind: str = "LimbNode"
) -> Path:
    """A skeleton in a file of version 6.1, y up and in centimetres, at 24 frames a second.

    angle: degrees that a joint turns about the world's x at a frame. kind: of FBX's nodes, LimbNode or Null.
    """
    joints = list(joints)
    positions = {name: np.array([x, z, -y]) * 100.0 for name, _, (x, y, z) in joints}
    models, takes, ties = [], [], []
    for name, parent, _ in joints:
        offset = positions[name] - (positions[parent] if parent else 0.0)
        turns = [angle(name, frame) for frame in range(frames)]
        models.append(_model(name, kind, offset))
        takes.append(_take(name, offset, turns))
        ties.append(f'\tConnect: "OO", "Model::{name}", "Model::{parent or "Scene"}"')
    path.write_text(
        "; FBX 6.1.0 project file\nFBXHeaderExtension:  {\n\tFBXHeaderVersion: 1003\n\tFBXVersion: 6100\n}\n"
        "Objects:  {\n" + "\n".join(models) + "\n\tGlobalSettings:  {\n\t\tVersion: 1000\n\t\tProperties60:  {\n"
        + _settings() + "\n\t\t}\n\t}\n}\n"
        "Connections:  {\n" + "\n".join(ties) + "\n}\n"
        'Takes:  {\n\tCurrent: "Walk"\n\tTake: "Walk" {\n\t\tFileName: "Walk.tak"\n'
        f"\t\tLocalTime: 0,{_time(frames - 1)}\n\t\tReferenceTime: 0,{_time(frames - 1)}\n"
        + "\n".join(takes) + "\n\t}\n}\n"
    )  # fmt: skip
    return path


def _settings() -> str:
    numbers = {"UpAxis": 1, "UpAxisSign": 1, "FrontAxis": 2, "FrontAxisSign": 1, "CoordAxis": 0, "CoordAxisSign": 1}
    lines = [f'\t\t\tProperty: "{name}", "int", "",{value}' for name, value in numbers.items()]
    lines.append('\t\t\tProperty: "UnitScaleFactor", "double", "",1')
    lines.append('\t\t\tProperty: "TimeMode", "enum", "",11')  # 24 frames a second
    return "\n".join(lines)


def _model(name: str, kind: str, offset: np.ndarray) -> str:
    x, y, z = offset
    return (
        f'\tModel: "Model::{name}", "{kind}" {{\n\t\tVersion: 232\n\t\tProperties60:  {{\n'
        f'\t\t\tProperty: "Lcl Translation", "Lcl Translation", "A+",{x!r},{y!r},{z!r}\n'
        '\t\t\tProperty: "Lcl Rotation", "Lcl Rotation", "A+",0,0,0\n'
        '\t\t\tProperty: "Lcl Scaling", "Lcl Scaling", "A+",1,1,1\n\t\t}\n\t\tTypeFlags: "Skeleton"\n\t}'
    ).replace("np.float64", "").replace("(", "").replace(")", "")  # fmt: skip


def _take(name: str, offset: np.ndarray, turns: list[float]) -> str:
    channels = []
    for kind, values in (("T", offset), ("R", (turns, 0.0, 0.0)), ("S", (1.0, 1.0, 1.0))):
        curves = "".join(_curve(axis, value) for axis, value in zip("XYZ", values, strict=True))
        channels.append(f'\t\t\t\tChannel: "{kind}" {{\n{curves}\t\t\t\t}}\n')
    return (f'\t\tModel: "Model::{name}" {{\n\t\t\tVersion: 1.1\n\t\t\tChannel: "Transform" {{\n'
            + "".join(channels) + "\t\t\t}\n\t\t}")  # fmt: skip


def _curve(axis: str, values: float | list[float]) -> str:
    keyed = values if isinstance(values, list) else [values]
    keys = ",".join(f"{_time(frame)},{float(value)!r},L" for frame, value in enumerate(keyed))
    return (
        f'\t\t\t\t\tChannel: "{axis}" {{\n\t\t\t\t\t\tDefault: {float(keyed[0])!r}\n\t\t\t\t\t\tKeyVer: 4005\n'
        f"\t\t\t\t\t\tKeyCount: {len(keyed)}\n\t\t\t\t\t\tKey: {keys}\n\t\t\t\t\t}}\n"
    )


def _time(frame: int) -> int:
    return frame * SECOND // 24


def standing(joints: Iterable[Joint], angle: Callable[[str, int], float], frame: int) -> dict[str, np.ndarray]:
    """Where each joint is at a frame, worked out: metres, z up."""
    turn, place, rest = {}, {}, {}
    for name, parent, at in joints:
        a = math.radians(angle(name, frame))
        own = np.array([[1, 0, 0], [0, math.cos(a), -math.sin(a)], [0, math.sin(a), math.cos(a)]])
        rest[name] = np.array(at)
        turn[name] = (turn[parent] if parent else np.eye(3)) @ own
        place[name] = place[parent] + turn[parent] @ (rest[name] - rest[parent]) if parent else rest[name]
    return place
