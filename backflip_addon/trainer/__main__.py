# SPDX-License-Identifier: GPL-3.0-or-later
"""The trainer: `python -m backflip_addon.trainer JOB_FOLDER`; Blender starts it isolated, see jobs.trainer_process.

With `--cluster ADDRESS` its workers are those of a Ray cluster; of one that it starts on this computer: `local`.

Exit status 0: the job ended as it should, whether it landed or not; 1: an error, told in the
job's events and on standard error; 2: wrong use; 3: another trainer is at work on the job, and nothing was written.
"""

from __future__ import annotations

import contextlib
import os
import sys

from .threads import one_thread_each

ALREADY_TRAINED = 3


def main(arguments: list[str]) -> int:
    """Run the job whose folder the arguments name; returns the exit status."""
    cluster = arguments.pop() if len(arguments) == 3 and arguments.pop(1) == "--cluster" else ""
    if len(arguments) != 1 or not arguments[0] or "\0" in arguments[0] or arguments[0].startswith("--"):
        print("usage: python -m backflip_addon.trainer JOB_FOLDER [--cluster ADDRESS]", file=sys.stderr)
        return 2
    try:
        path = os.path.abspath(arguments[0])
    except OSError:
        print("The working directory is gone; name the job folder from the root.", file=sys.stderr)
        return 2
    _leave_open_folders(path)
    one_thread_each()
    import logging

    # trainer.log holds what the trainer prints. The level comes first in a line: jobs.status passes over INFO.
    logging.basicConfig(format="%(levelname)s %(asctime)s %(name)s: %(message)s", level=logging.INFO, force=True)
    from .runner import signals

    with signals.listening():  # from here on a signal is a wish to stop, also while all the rest is loaded
        return _train(path, cluster)


def _train(path: str, cluster: str) -> int:
    from ..jobs.folder import JobFolder
    from ..jobs.json_files import JobError
    from ..jobs.messages import Failed

    folder = JobFolder(path)
    try:
        if not folder.hold():
            print(f"Another trainer is at work in {path}; this one ends.", file=sys.stderr)
            return ALREADY_TRAINED
    except JobError as error:
        print(error, file=sys.stderr)
        return 1
    try:
        folder.prepare()
        from .runner.runner import run_job  # takes seconds: numba, PyBullet, torch

        return run_job(folder.path, cluster)
    except JobError as error:
        print(error, file=sys.stderr)
        with contextlib.suppress(OSError, JobError):
            folder.append_event(Failed(message=str(error)))
        return 1
    finally:
        folder.let_go()


def _leave_open_folders(job: str) -> None:
    """Import nothing more from where a shell happens to be or from the job, here and in the workers.

    Done before anything heavy is imported: `python -m` puts the working directory first on sys.path, and a
    worker takes over sys.path and the working directory.
    """
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    left = {os.path.realpath(job)}
    with contextlib.suppress(OSError):  # the working directory may be gone
        left.add(os.path.realpath(os.curdir))
    kept = [path for path in sys.path if os.path.isabs(path) and os.path.realpath(path) not in left]
    alias = os.path.join(package, "jobs", "alias")
    sys.path[:] = [alias, *(path for path in kept if path != alias)]

    from ..core.isolation import safe_folder

    os.chdir(safe_folder(sys.executable))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
