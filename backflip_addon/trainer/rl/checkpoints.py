# SPDX-License-Identifier: GPL-3.0-or-later
"""Checkpoints: a policy's training as saved along a job's history, which calls them its stages.

Tensors, numbers and text only, so that torch reads them with weights_only=True: a checkpoint from a
stranger cannot run code. What it says of its sizes is held against limits before anything is unpacked.
"""

from __future__ import annotations

import io
import pickletools
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from ...core.arrays import AnyArray
from ...core.files import RefusedFile, read_limited, write_whole

STAGE_VERSION = 4
MOST_BYTES = 128_000_000  # of a checkpoint, packed and unpacked; ours have a few million
# What a checkpoint's pickle may name. torch allows more, of which one makes room for any size: bytearray.
NAMED = {"collections OrderedDict", "torch._utils _rebuild_tensor_v2"}
MOST_PARTS = 100_000  # lists, tensors, numbers and words in a checkpoint; ours have some hundred


def save(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint, whole or not at all. Arrays become tensors. Raises OSError."""
    # Packed in memory: torch tells a full disk, met while it writes, as an error of its own
    packed = io.BytesIO()
    torch.save({"version": STAGE_VERSION, **_tensors(content)}, packed)

    def write(file: BinaryIO) -> None:
        file.write(packed.getbuffer())

    write_whole(Path(path), write)


def load(path: Path) -> dict[str, Any]:
    """Read a checkpoint. Raises ValueError with one sentence on a damaged or foreign file, OSError from a bad disk."""
    path = Path(path)
    damaged = f"{path.name} cannot be read; it is damaged or nothing that Backflip has learned"
    try:
        data = io.BytesIO(read_limited(path, MOST_BYTES))
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError(f"{path.name} is missing") from None
    except RefusedFile as error:
        raise ValueError(f"{path.name} cannot be read: {error}") from error
    try:
        with zipfile.ZipFile(data) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
            # torch goes by the first bytes, zipfile by the last: what begins otherwise is read in an older way
            if unpacked > MOST_BYTES or bytes(data.getbuffer()[:4]) != b"PK\3\4":
                raise ValueError(damaged)
            for entry in archive.infolist():
                if entry.filename.lower().endswith(".pkl"):
                    _check_names(archive.read(entry), damaged)
        data.seek(0)
        content = torch.load(data, map_location="cpu", weights_only=True)
        _check(content, damaged)
    except Exception as error:  # torch, its unpickler and zipfile raise two dozen kinds
        raise ValueError(damaged) from error
    if not isinstance(content, dict) or "version" not in content:
        raise ValueError(f"{path.name} is nothing that Backflip has learned")
    if type(content["version"]) is not int or content["version"] != STAGE_VERSION:
        raise ValueError(f"{path.name} was written by another version of Backflip")
    return content


def _check_names(pickled: bytes, damaged: str) -> None:
    """Raises ValueError where a pickle names anything but what our checkpoints are made of, or goes on for too long;
    nothing is unpickled."""
    for count, (operation, name, _) in enumerate(pickletools.genops(pickled)):
        if count > MOST_PARTS:
            raise ValueError(damaged)
        if operation.name in ("GLOBAL", "STACK_GLOBAL", "INST"):
            storage = str(name).startswith("torch ") and str(name).endswith("Storage")
            if name not in NAMED and not storage:
                raise ValueError(damaged)


def _check(content: Any, damaged: str) -> None:
    """Raises ValueError where tensors claim to be larger than they are stored (a copy of them would be),
    hold numbers that are not finite, or where there are too many parts."""
    seen: set[int] = set()
    left, total = [content], 0
    while left:
        part = left.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, dict):
            left += [*part.keys(), *part.values()]
        elif isinstance(part, (list, tuple)):
            left += part
        elif isinstance(part, torch.Tensor):
            size = part.numel() * part.element_size()
            stored = part.layout == torch.strided and size <= part.untyped_storage().nbytes()
            total += size
            if not stored or total > MOST_BYTES or not bool(torch.isfinite(part).all()):
                raise ValueError(damaged)
        if len(seen) + len(left) > MOST_PARTS:
            raise ValueError(damaged)


def _tensors(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return torch.from_numpy(np.ascontiguousarray(value))
    if isinstance(value, dict):
        return {key: _tensors(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_tensors(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    return value


def arrays(tensors: dict[str, Any]) -> dict[str, AnyArray]:
    """The tensors of a dictionary as numpy arrays."""
    return {key: value.numpy() for key, value in tensors.items() if isinstance(value, torch.Tensor)}
