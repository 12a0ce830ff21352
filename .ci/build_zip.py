# SPDX-License-Identifier: GPL-3.0-or-later
"""The extension's zip: its manifest held to Blender's rules, and the same bytes for the same files.

Standard library alone, so that a zip takes a second and no Blender; the tests hold it against Blender's own builder.
"""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

MANIFEST = "blender_manifest.toml"
BESIDE = (MANIFEST, "LICENSE")  # files of the repository's root that stand in the extension's
NOT_PURE = {".so", ".pyd", ".dll", ".dylib", ".whl", ".exe"}
# Files and folders of a working copy, and the page for who reads the sources
LEFT_OUT = re.compile(r"\..*|__pycache__|.*(\.pyc|\.tmp|~)|README\.md")
TERSE_LENGTH = 64
PERMISSIONS = ("files", "network", "clipboard", "camera", "microphone")
# What Blender lists its add-ons by
TAGS = {
    *("3D View", "Add Curve", "Add Mesh", "Animation", "Bake", "Camera", "Compositing", "Development", "Game Engine"),
    *(
        "Geometry Nodes",
        "Grease Pencil",
        "Import-Export",
        "Lighting",
        "Material",
        "Mesh",
        "Modeling",
    ),
    *("Node", "Object", "Paint", "Physics", "Pipeline", "Render", "Rigging", "Scene", "Sculpt", "Sequencer", "System"),
    *("Text Editor", "Tracking", "UV", "User Interface"),
}
_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can hold
_SEMANTIC = re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?(\+[0-9A-Za-z.-]+)?")


class ZipError(Exception):
    """Why there is no zip, in one sentence."""


def make_zip(root: Path, out: Path) -> Path:
    """Write out/<id>-<version>.zip from the repository in root. Raises ZipError and OSError."""
    manifest = read_manifest(root / MANIFEST)
    files = dict(extension_files(root))
    if "__init__.py" not in files:
        raise ZipError("The package holds no __init__.py, so Blender would not take it for an add-on.")
    out.mkdir(parents=True, exist_ok=True)
    zip_file = out / f"{manifest['id']}-{manifest['version']}.zip"
    temporary = out / f".{zip_file.name}.{os.getpid()}.tmp"
    try:
        _write(temporary, files)
        os.replace(temporary, zip_file)
    finally:
        temporary.unlink(missing_ok=True)
    return zip_file


def extension_files(root: Path) -> Iterator[tuple[str, Path]]:
    """Name in the zip and file of everything in it, in no order. Raises ZipError for what must not be in it."""
    for name in BESIDE:
        yield name, root / name
    package = root / "backflip_addon"
    for path in package.rglob("*"):
        parts = path.relative_to(package).parts
        if any(LEFT_OUT.fullmatch(part) for part in parts):
            continue
        name = "/".join(parts)
        if path.is_symlink():
            raise ZipError(f"{name} is a link, and a zip must hold the file itself.")
        if path.suffix.lower() in NOT_PURE:
            raise ZipError(f"The add-on must be pure Python and holds {name}.")
        if path.is_file():
            yield name, path


def _write(zip_file: Path, files: dict[str, Path]) -> None:
    """A zip that says nothing of when, where and by whom it was made."""
    with zipfile.ZipFile(zip_file, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _DATE)
            entry.create_system = 3  # as on Unix, wherever we are
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, files[name].read_bytes(), zipfile.ZIP_DEFLATED, 9)


# The manifest


def read_manifest(file: Path) -> dict[str, Any]:
    """A manifest that Blender accepts. Raises ZipError with everything that it would refuse."""
    import tomllib  # build.py tells an older Python what it lacks

    try:
        manifest = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ZipError(f"{file.name} is no TOML: {error}.") from error
    if faults := manifest_faults(manifest):
        raise ZipError(f"Blender would refuse {file.name}: {'; '.join(faults)}.")
    return manifest


def manifest_faults(manifest: dict[str, Any]) -> list[str]:
    """What Blender's builder, or its extensions platform, would refuse in a manifest."""
    faults = [f"{key} is missing" for key, (_, needed) in _RULES.items() if needed and key not in manifest]
    faults += [f"{key} is no key that Backflip uses" for key in manifest if key not in _RULES]
    for key in manifest.keys() & _RULES.keys():
        if fault := _RULES[key][0](manifest[key]):
            faults.append(f"{key} {fault}")
    return sorted(faults)


def _matching(pattern: str | re.Pattern[str], words: str) -> Callable[[Any], str]:
    return lambda value: "" if isinstance(value, str) and re.fullmatch(pattern, value) else f"must be {words}"


def _line(value: Any) -> str:
    plain = isinstance(value, str) and value and value == value.strip() and value.isprintable()
    return "" if plain else "must be a line of text"


def _terse(value: Any) -> str:
    if fault := _line(value):
        return fault
    if len(value) > TERSE_LENGTH:
        return f"has {len(value)} letters and may have {TERSE_LENGTH}"
    return "" if value[-1].isalnum() or value[-1] in ")]}" else "must not end with punctuation"


def _identifier(value: Any) -> str:
    sound = isinstance(value, str) and value.isidentifier() and "__" not in value and value.strip("_") == value
    return "" if sound else "must be an identifier without leading, closing or double underscores"


def _lines(value: Any) -> str:
    sound = isinstance(value, list) and value and not any(map(_line, value))
    return "" if sound else "must be a list of lines of text"


def _tags(value: Any) -> str:
    unknown = [] if _lines(value) else [tag for tag in value if tag not in TAGS]
    return _lines(value) or (f"holds {', '.join(unknown)}, which Blender does not know" if unknown else "")


def _permissions(value: Any) -> str:
    if not isinstance(value, dict):
        return "must be a table"
    for key, reason in value.items():
        if key not in PERMISSIONS:
            return f"may ask for {', '.join(PERMISSIONS)} and not for {key}"
        if fault := _terse(reason):
            return f"for {key} {fault}"
    return ""


_VERSION = _matching(r"\d+\.\d+\.\d+", "three numbers")
_RULES: dict[str, tuple[Callable[[Any], str], bool]] = {  # key -> (check, needed)
    "schema_version": (_matching(_SEMANTIC, "a version such as 1.0.0"), True),
    "id": (_identifier, True),
    "version": (_matching(_SEMANTIC, "a version such as 1.0.0"), True),
    "name": (_line, True),
    "tagline": (_terse, True),
    "maintainer": (_line, True),
    "type": (_matching("add-on", "add-on"), True),
    "blender_version_min": (_VERSION, True),
    "license": (_lines, True),
    "blender_version_max": (_VERSION, False),
    "website": (_line, False),
    "tags": (_tags, False),
    "permissions": (_permissions, False),
}
