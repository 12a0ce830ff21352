# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the trainer was told by a signal to end. Standard library alone: it listens before anything else is loaded.

A handler that raised would do so in the middle of whatever is being written. So it notes the wish, and the run
looks for it between its steps.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

SIGNALS = ("SIGTERM", "SIGINT", "SIGBREAK")  # the last one is Windows's own

_stop_requested = False


def stop_requested() -> bool:
    """Whether a signal to end has come."""
    return _stop_requested


def _note(_signal: int, _frame: object) -> None:
    global _stop_requested
    _stop_requested = True


@contextlib.contextmanager
def listening() -> Iterator[None]:
    """Note signals instead of dying of them; to be entered in the main thread."""
    global _stop_requested
    _stop_requested = False
    before = {kind: signal.signal(kind, _note) for name in SIGNALS if (kind := getattr(signal, name, None)) is not None}
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
