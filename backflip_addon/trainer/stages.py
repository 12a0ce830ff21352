# SPDX-License-Identifier: GPL-3.0-or-later
"""Stages: a policy's training as saved along a job's history.

Tensors, numbers and text only, so that torch reads them with weights_only=True: a stage from a
stranger cannot run code.
"""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

STAGE_VERSION = 2
UNSAFE = torch.serialization.pickle.UnpicklingError  # a file that would need code to be read


def save(path: Path, content: dict[str, Any]) -> None:
    """Write a stage, whole or not at all. Arrays become tensors."""
    path = Path(path)
    temporary = path.with_name(path.name + ".tmp")
    with open(temporary, "wb") as file:
        torch.save({"version": STAGE_VERSION, **_tensors(content)}, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def load(path: Path) -> dict[str, Any]:
    """Read a stage. Raises ValueError with one sentence on a damaged or foreign file."""
    path = Path(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ValueError(f"{path.name} is missing") from None
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, UNSAFE, zipfile.BadZipFile) as error:
        raise ValueError(f"{path.name} cannot be read; it is damaged or not a Backflip stage") from error
    if not isinstance(content, dict) or "version" not in content:
        raise ValueError(f"{path.name} is not a Backflip stage")
    if content["version"] != STAGE_VERSION:
        raise ValueError(f"{path.name} was written by another version of Backflip")
    return content


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


def arrays(tensors: dict[str, Any]) -> dict[str, np.ndarray]:
    """The tensors of a dictionary as numpy arrays."""
    return {key: value.numpy() for key, value in tensors.items() if isinstance(value, torch.Tensor)}
