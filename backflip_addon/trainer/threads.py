# SPDX-License-Identifier: GPL-3.0-or-later
"""How many threads numpy's and torch's libraries may work with. Standard library alone: they read it on import."""

from __future__ import annotations

import os

ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def one_thread_each() -> None:
    """One thread a process, unless the environment names another number. The cores are for our own threads and workers;
    and the sums of several threads come out differently from run to run, and with them the takes of a seed."""
    for name, number in ONE_THREAD.items():
        os.environ.setdefault(name, number)
