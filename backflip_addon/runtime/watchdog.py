# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a command for as long as whoever started it lives. A program of its own: python watchdog.py command …

Its standard input is a pipe from Blender that nothing is written to. When Blender quits, crashes or is killed the
system closes the pipe, and the command ends with all that it has started: pip does not go on unseen.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

_WINDOWS = os.name == "nt"


def main(command: list[str]) -> int:
    """Returns the command's exit status; 128 and its number where a signal ended it."""
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    except OSError as error:
        print(f"ERROR: {command[0]} cannot be run: {error.strerror or error}")
        return 127
    threading.Thread(target=_end_with_starter, daemon=True).start()
    code = process.wait()
    return code if code >= 0 else 128 - code


def _end_with_starter() -> None:
    try:
        while os.read(0, 1024):
            pass
    except OSError:
        pass
    if _WINDOWS:
        system = os.environ.get("SYSTEMROOT", "C:\\Windows")
        taskkill = os.path.join(system, "System32", "taskkill.exe")
        subprocess.call([taskkill, "/F", "/T", "/PID", str(os.getpid())])
    else:
        os.killpg(os.getpid(), signal.SIGKILL)  # it was started as the leader of a group


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(status)  # not waiting for the thread, which waits for Blender
