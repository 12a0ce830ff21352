# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m backflip_addon.trainer.video FOLDER`: a video's frames become a motion, see jobs.video_folder.

Exit status 0: the motion is there; 1: it is not, and progress.json says why; 2: wrong use.
"""

from __future__ import annotations

import logging
import os
import sys

from ...jobs.video_folder import VideoFolder


def main(arguments: list[str]) -> int:
    """Work through the folder that the arguments name; returns the exit status."""
    if len(arguments) != 1 or not arguments[0] or "\0" in arguments[0]:
        print("usage: python -m backflip_addon.trainer.video FOLDER", file=sys.stderr)
        return 2
    logging.basicConfig(format="%(levelname)s %(asctime)s %(name)s: %(message)s", level=logging.INFO, force=True)
    from .run import run  # takes a second: torch

    return run(VideoFolder(os.path.abspath(arguments[0])))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
