# SPDX-License-Identifier: GPL-3.0-or-later
"""The trainer: `python -m backflip_addon.trainer JOB_FOLDER`.

Exit status 0: the job ended as it should, whether it landed or not; 1: an error, told in the
job's events and on standard error.
"""

from __future__ import annotations

import sys

from .run import run_job


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: python -m backflip_addon.trainer JOB_FOLDER", file=sys.stderr)
        return 2
    return run_job(arguments[0])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
