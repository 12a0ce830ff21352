# SPDX-License-Identifier: GPL-3.0-or-later
"""Bone maps as preset files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import BinaryIO

from ..core.files import write_whole
from ..core.rigs import roles
from ..core.rigs.roles import RoleMap
from ..jobs.json_files import JobError, read_json
from ..scene.importing.importer import FileError


def load(path: Path) -> RoleMap:
    """A bone map from a file. Raises FileError."""
    try:
        return roles.from_json(read_json(path, follow=True))
    except JobError as error:
        raise FileError(f"{path.name} is not a bone map, or cannot be read.") from error
    except (ValueError, json.JSONDecodeError) as error:
        raise FileError(f"{path.name}: {error}.") from error


def save(path: Path, role_map: RoleMap) -> None:
    """Write a bone map, whole. Raises FileError."""
    text = json.dumps(roles.to_json(role_map), indent=1).encode()

    def write(file: BinaryIO) -> None:
        file.write(text)

    try:
        write_whole(path.resolve(), write)
    except OSError as error:
        raise FileError(f"{path} cannot be written: {error.strerror}.") from error
