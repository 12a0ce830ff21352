# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be known before Install is pressed: how large it is, where it goes, and under which licences it is."""

from __future__ import annotations

from pathlib import Path

from . import pins, pybullet_addition

LICENCES = "Licenses: BSD (PyTorch, numba) and zlib (PyBullet, where there is one)."


def before_installing(home: Path | None, wheels: str = "") -> list[str]:
    """A sentence or two for each; cheap. home: where it goes, None for nowhere. wheels: where it comes from, "" for
    downloaded."""
    size = pins.expected_size()
    much = f"{size.disk / 1e9:.1f} GB from {wheels}." if wheels else f"{size.in_words()}."
    place = [f"It goes to {home}."] if home is not None else []
    return [*([much] if size.disk else []), *place, LICENCES]


def before_adding_pybullet() -> str:
    """The sentence about the offer of PyBullet from conda-forge; cheap."""
    much = pybullet_addition.size().download / 1e6
    return f"PyBullet can be added from conda-forge: about {much:.0f} MB to download; license: zlib."
