# SPDX-License-Identifier: GPL-3.0-or-later
"""Body roles of a skeleton whose names tell nothing: by symmetry, chains and heights."""

from __future__ import annotations

from .rig import Rig


def guess(rig: Rig) -> dict[str, str]:
    """role -> bone name, as far as the skeleton's structure tells."""
    return {}
