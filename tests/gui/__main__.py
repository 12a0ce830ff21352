# SPDX-License-Identifier: GPL-3.0-or-later
"""Walk through a real Blender with a window, and count.

    python -m tests.gui [--json FILE] [--pictures FOLDER]

BACKFLIP_BLENDER names the Blender, BACKFLIP_PYTHON the Python that trains; Linux, with Xvfb. The JSON file has try_it,
own and shoot, each with its presses (every click and key) and seconds.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path

from .blender import WalkError, missing
from .walks import prepare, walk
from .x11 import ScreenError


def main() -> int:
    """Returns 0 when all walks came to their ends, 1 when one did not, 2 when something is missing."""
    parser = argparse.ArgumentParser(prog="python -m tests.gui", description="Walk through a real Blender, and count.")
    parser.add_argument("--json", type=Path, help="where to write the counts")
    parser.add_argument("--pictures", type=Path, help="a folder for a picture of each step")
    options = parser.parse_args()
    if lacking := missing():
        print(lacking, file=sys.stderr)
        return 2
    try:
        walked = {name: dataclasses.asdict(each) for name, each in walk(prepare(options.pictures)).items()}
    except (WalkError, ScreenError) as error:
        print(error, file=sys.stderr)
        return 1
    told = json.dumps(walked, indent=1)
    print(told)
    if options.json:
        options.json.write_text(told + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
