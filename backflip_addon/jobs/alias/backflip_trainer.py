# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an isolated Python (-I) starts the trainer: it knows no path of ours but the one set here.

The workers that the trainer spawns are isolated too and are given its sys.path.
"""

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    runpy.run_module("backflip_addon.trainer", run_name="__main__", alter_sys=True)
