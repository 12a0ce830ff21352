# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an isolated Python (-I) trains a batch of jobs."""

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    runpy.run_module("backflip_addon.trainer.cluster.batch", run_name="__main__", alter_sys=True)
