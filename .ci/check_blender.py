# SPDX-License-Identifier: GPL-3.0-or-later
"""Says which Blender can be imported, or in one sentence why none can; run by build.py with an environment's Python."""

from __future__ import annotations

import re
import sys
import traceback

# What Blender's module takes from a Linux system, all of which a desktop has and a server may lack.
SYSTEM_PACKAGES = "libx11-6 libxrender1 libxfixes3 libxi6 libxkbcommon0 libsm6 libice6 libgl1 libegl1"


def lack_words(error: BaseException) -> str:
    """One sentence for why Blender's module cannot be imported."""
    if library := re.match(r"(\S+): cannot open shared object file", str(error)):
        return (
            f"Blender needs the system library {library[1]}; on Debian and Ubuntu run: "
            f"sudo apt-get install {SYSTEM_PACKAGES}"
        )
    last = traceback.format_exception_only(error)[-1].strip()
    return f"Blender's module cannot be imported: {last.splitlines()[0]}"


def main() -> int:
    """Print the version and return 0, or the sentence and return 1."""
    try:
        import bpy
    except BaseException as error:  # of any kind: it is others' machine code
        print(lack_words(error))
        return 1
    print(f"Blender {'.'.join(map(str, bpy.app.version))} is ready", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
