# SPDX-License-Identifier: GPL-3.0-or-later
"""Which processes run on this machine, and what they are. Standard library alone; nothing here raises OSError."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

MOST_PID = 2**31
_WINDOWS = os.name == "nt"


def process_alive(pid: int) -> bool:
    """Whether a process of that id runs on this machine (a zombie does not count)."""
    if not 0 < pid < MOST_PID:
        return False
    if _WINDOWS:
        return bool(_windows_program(pid))
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    except OSError:
        return False
    return True


def command_line(pid: int) -> str:
    """A live process's command line (on Windows its program alone); "" where it cannot be known."""
    if not process_alive(pid):
        return ""
    if _WINDOWS:
        return _windows_program(pid)
    try:
        return os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes()).removesuffix("\0").replace("\0", " ")
    except OSError:
        pass
    if sys.platform != "darwin":
        return ""
    asked = ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)]
    try:
        return os.fsdecode(subprocess.run(asked, capture_output=True, check=False, timeout=5, cwd="/").stdout).strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def _windows_program(pid: int) -> str:
    """The path of a live process's program, "?" where Windows will not say, "" where there is no such process."""
    import ctypes

    query_limited, still_active = 0x1000, 259
    kernel = ctypes.windll.kernel32  # type: ignore[attr-defined]  # Windows alone has it
    kernel.OpenProcess.restype = ctypes.c_void_p
    handle = ctypes.c_void_p(kernel.OpenProcess(query_limited, False, pid))
    if not handle:
        return ""
    try:
        code = ctypes.c_ulong()
        kernel.GetExitCodeProcess(handle, ctypes.byref(code))
        if code.value != still_active:
            return ""
        size = ctypes.c_ulong(1024)
        text = ctypes.create_unicode_buffer(size.value)
        kernel.QueryFullProcessImageNameW(handle, 0, text, ctypes.byref(size))
        return text.value or "?"
    finally:
        kernel.CloseHandle(handle)
