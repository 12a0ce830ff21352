# SPDX-License-Identifier: GPL-3.0-or-later
"""The words in Blender's module: `python -m backflip_addon.headless WORD ...`."""

from __future__ import annotations

import sys

from .. import register
from .console import leave
from .words import run

if __name__ == "__main__":
    register()
    leave(run(sys.argv[1:]))
