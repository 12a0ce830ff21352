# SPDX-License-Identifier: GPL-3.0-or-later
"""Installs the trainer's packages as the button does, and trains with them: `python tests/installed.py`.

For a computer that nobody has tried yet; the tests themselves download nothing. Takes the Python that it is run with in
the place of Blender's (numpy is needed), 0.7 to 1.3 GB of disk (5 where PyTorch's own index cannot be reached) and some
minutes. Exit status 0: a take was recorded, a policy was trained, and nothing was written beside the interpreter.
"""

from __future__ import annotations

import argparse
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from backflip_addon.jobs import trainer_process
from backflip_addon.jobs.status import wait_for_end
from backflip_addon.runtime import deletion, find, pins
from backflip_addon.runtime.find import Runtime
from backflip_addon.runtime.install import LOG_NAME, Installation
from tests.trainer.whole_jobs import make_job, of_kind

STEP_SECONDS = 5.0  # between two lines of progress
ENDING_SECONDS = 900.0  # a trainer may take so long beyond its minutes: it compiles what is out of date, and ends


def installed(home: Path, python: str) -> Runtime:
    """The runtime in a folder, installed there first where there is none."""
    runtime = find.find_runtime("", home)
    if runtime.source == "installed" and runtime.ready:
        return runtime
    begin = told = time.monotonic()
    installation = Installation.begin(home, python)
    while (progress := installation.poll()).state == "running":
        if time.monotonic() - told >= STEP_SECONDS:
            told = time.monotonic()
            print(f"{told - begin:6.0f} s {progress.fraction:5.0%}  {progress.message}", flush=True)
        time.sleep(0.1)
    print(f"{time.monotonic() - begin:6.0f} s  {progress.message} {progress.remark}")
    if progress.state != "done":
        print((home / LOG_NAME).read_text(encoding="utf-8", errors="replace")[-3000:])
        raise SystemExit(1)
    deletion.wait()
    return find.find_runtime("", home)


def bytecode() -> set[Path]:
    """The bytecode of this Python's standard library."""
    return set(Path(sysconfig.get_path("stdlib")).rglob("*.pyc"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, help="where it is installed and kept; else in a folder that goes")
    parser.add_argument("--python", default=deletion.own_python(), help="the interpreter (this one)")
    parser.add_argument("--minutes", type=float, default=1.0, help="of training")
    options = parser.parse_args()
    print(f"{pins.system_name()}, Python {sys.version.split()[0]}: {pins.expected_size().in_words()}")
    with tempfile.TemporaryDirectory(prefix="backflip ", ignore_cleanup_errors=True) as folder:
        before = bytecode()
        runtime = installed((options.home or Path(folder) / "runtime").resolve(), options.python)
        print(runtime.sentence)
        job = make_job(Path(folder) / "a job", minutes=options.minutes, mode="auto")
        trainer_process.start(job, runtime.interpreter)
        status = wait_for_end(job, options.minutes * 60.0 + ENDING_SECONDS)
        kinds = {kind: len(of_kind(job, kind)) for kind in ("take", "stage", "evaluation", "error")}
        print(f"{status.state}: {status.message} {kinds}")
        written = bytecode() - before
        print(f"{len(written)} files written beside the interpreter")
        good = runtime.ready and status.state == "finished" and kinds["take"] and kinds["stage"] and not kinds["error"]
        if not good:
            print(job.log_file.read_text(encoding="utf-8", errors="replace")[-3000:])
    return 0 if good and not written else 1


if __name__ == "__main__":
    sys.exit(main())
