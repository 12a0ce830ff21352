# SPDX-License-Identifier: GPL-3.0-or-later
"""Damaged files for every reader: python3 tests/fuzz.py --minutes 5 [--seed 1] [--keep FOLDER] [--blender]

A reader must hand out finite numbers, or refuse with the one kind of error it is meant to, in one sentence with
the file's name; it must not take more memory than MOST_MEMORY, nor longer than MOST_SECONDS.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import random
import signal
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from backflip_addon.core import body as bodies
from backflip_addon.core import motion, reading
from backflip_addon.core.clips import bvh, deepmimic, key_poses, mimickit, smpl, vrma
from backflip_addon.core.formats import fbx_limits, gltf_limits
from backflip_addon.core.rigs import binding as bindings
from backflip_addon.core.rigs import roles
from backflip_addon.jobs.folder import JobFolder
from backflip_addon.jobs.json_files import JobError, read_json
from backflip_addon.jobs.status import read_status
from tests.core import performances
from tests.mutations import mutate
from tests.seeds import Seed, samples, seeds

SAMPLES = Path(__file__).resolve().parents[2] / "shared" / "samples"
MOST_MEMORY = 1_000_000_000  # bytes that reading a file of a few kilobytes may take
MOST_SECONDS = 60
SLOW_SECONDS = 2.0
MOST_WORDS = 600  # letters of a sentence


class TooLong(BaseException):
    """A reader that does not come back; no reader catches it."""


@dataclasses.dataclass(frozen=True)
class Reader:
    """read: takes the file's path. refuses: the errors it may raise. named: its sentence has the file's name."""

    read: Callable[[Path], Any]
    refuses: tuple[type[Exception], ...]
    named: bool = True


def _of_json(from_json: Callable[[dict[str, Any]], Any]) -> Callable[[Path], Any]:
    return lambda path: from_json(read_json(path, follow=True))


def _of_job(read: Callable[[JobFolder], Any], *place: str) -> Callable[[Path], Any]:
    """A reader of a job folder in which the file stands at place."""

    def reading_job(path: Path) -> Any:
        with tempfile.TemporaryDirectory() as name:
            folder = JobFolder(name)
            folder.make_rooms()
            (folder.path / "job.json").write_bytes(b"{}")
            folder.path.joinpath(*place).write_bytes(path.read_bytes())
            return read(folder)

    return reading_job


def _status(folder: JobFolder) -> Any:
    """What a job's events add up to; the latest event itself is handed on as it is."""
    return dataclasses.replace(read_status(folder), event={})


READERS: dict[str, Reader] = {
    "bvh": Reader(bvh.read_bvh, (reading.UnreadableFile,)),
    "deepmimic": Reader(deepmimic.load, (reading.UnreadableFile,)),
    "mimickit": Reader(mimickit.load, (reading.UnreadableFile,)),
    "key_poses": Reader(lambda path: key_poses.load(path, performances.body()), (reading.UnreadableFile,)),
    "smpl": Reader(smpl.read_smpl, (reading.UnreadableFile,)),
    "vrma": Reader(vrma.read_vrma, (reading.UnreadableFile,)),
    "gltf": Reader(gltf_limits.read_gltf, (reading.UnreadableFile,)),
    "fbx": Reader(fbx_limits.check_fbx, (reading.UnreadableFile,)),
    "take": Reader(motion.load_take, (ValueError,)),
    "motion": Reader(motion.load_motion, (ValueError,)),
    "body": Reader(_of_json(bodies.from_json), (ValueError, JobError), named=False),
    "binding": Reader(_of_json(bindings.from_json), (ValueError, JobError), named=False),
    "map": Reader(_of_json(roles.from_json), (ValueError, JobError), named=False),
    "job": Reader(_of_job(JobFolder.read_job, "job.json"), (JobError,)),
    "trainer": Reader(_of_job(_status, "trainer.json"), ()),
    "events": Reader(_of_job(_status, "events.jsonl"), ()),
    "request": Reader(_of_job(JobFolder.pending_requests, "requests", "1-a.json"), ()),
}


@dataclasses.dataclass
class Report:
    """What came of the files. faults: what was wrong, by file. slow: seconds, by file."""

    files: int = 0
    accepted: int = 0
    refused: int = 0
    faults: list[str] = dataclasses.field(default_factory=list)
    slow: list[str] = dataclasses.field(default_factory=list)
    memory: int = 0


def fuzz(made: list[Seed], folder: Path, seed: int, goes_on: Callable[[int], bool], keep: Path | None = None) -> Report:
    """Damage files of made, one after the other, and have them read, while goes_on(how many there were)."""
    report = Report()
    while goes_on(report.files):
        one = made[report.files % len(made)]
        data = mutate(random.Random(f"{seed}/{report.files}"), one.kind, one.data)
        path = folder / one.name
        path.write_bytes(data)
        if keep is not None:  # should the interpreter itself fall
            (keep / f"last-{one.name}").write_bytes(data)
        fault = fault_of(READERS[one.reader], path, report)
        if fault:
            report.faults.append(f"{one.name} ({one.reader}, {seed}/{report.files}): {fault}")
            if keep is not None:
                (keep / f"{seed}-{report.files}-{one.name}").write_bytes(data)
        path.unlink()
        report.files += 1
    return report


def fault_of(reader: Reader, path: Path, report: Report) -> str:
    """What is wrong with how a file was read, "" if nothing; counted in report."""
    begun = time.monotonic()
    tracemalloc.start(1)
    try:
        with _at_most(MOST_SECONDS), np.errstate(all="ignore"):
            result = reader.read(path)
        report.accepted += 1
        fault = "" if finite(result) else "numbers that are not finite were taken"
    except reader.refuses as error:
        report.refused += 1
        fault = _sentence_fault(str(error), path.name if reader.named else "")
    except TooLong:
        fault = f"it takes more than {MOST_SECONDS} s"
    except Exception as error:  # the very thing that is looked for
        fault = f"{type(error).__name__}: {str(error)[:200]}"
    finally:
        memory = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    seconds = time.monotonic() - begun
    report.memory = max(report.memory, memory)
    if seconds > SLOW_SECONDS:
        report.slow.append(f"{path.name}: {seconds:.1f} s")
    return fault or (f"it takes {memory / 1e6:.0f} MB" if memory > MOST_MEMORY else "")


def _sentence_fault(words: str, name: str) -> str:
    if not words or len(words) > MOST_WORDS or "\n" in words or "Traceback" in words:
        return f"no one sentence: {words[:300]!r}"
    return "" if name in words else f"the sentence lacks the file's name: {words[:300]}"


def finite(value: Any) -> bool:
    """Whether all numbers in a result are finite."""
    if isinstance(value, float):
        return bool(np.isfinite(value))
    if isinstance(value, np.ndarray):
        return value.dtype.kind not in "fc" or bool(np.isfinite(value).all())
    if isinstance(value, gltf_limits.Gltf):
        return finite(value.content)
    if dataclasses.is_dataclass(value):
        return all(finite(getattr(value, field.name)) for field in dataclasses.fields(value))
    if isinstance(value, dict):
        return all(finite(item) for item in value.values())
    return all(finite(item) for item in value) if isinstance(value, (list, tuple)) else True


@contextlib.contextmanager
def _at_most(seconds: int) -> Iterator[None]:
    """TooLong is raised inside after so many seconds, where the system can do that."""
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def ring(_number: int, _frame: object) -> None:
        raise TooLong

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _with_blender(made: list[Seed]) -> list[Seed]:
    """The seeds that Blender's importers read, through scene.importing.importer; needs bpy."""
    import bpy

    from backflip_addon.scene.importing import importer

    def import_and_remove(path: Path) -> None:
        kinds = [kind for kind in importer.KINDS if kind != "libraries"]
        before = {kind: len(getattr(bpy.data, kind)) for kind in kinds}
        try:
            importer.remove(importer.import_rig(str(path))[1])
        finally:
            left = [kind for kind in kinds if len(getattr(bpy.data, kind)) > before[kind]]
            if left:
                raise AssertionError(f"left behind: {', '.join(left)}")

    READERS["rig"] = Reader(import_and_remove, (importer.FileError,))
    rigs = [seed for seed in made if Path(seed.name).suffix in importer.RIG_SUFFIXES]
    return [dataclasses.replace(seed, reader="rig") for seed in rigs]


def _limit_memory(size: int) -> None:
    """Have the system refuse what would starve the machine."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (size, resource.getrlimit(resource.RLIMIT_AS)[1]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0, help="another seed makes other files; 0: a new one each time")
    parser.add_argument("--keep", type=Path, help="a folder for the files that found a fault")
    parser.add_argument("--reader", action="append", choices=sorted(READERS), help="of these readers alone")
    parser.add_argument("--blender", action="store_true", help="Blender's importers (needs bpy) instead of our readers")
    asked = parser.parse_args()
    seed = asked.seed or random.SystemRandom().randrange(1, 10**6)
    made = [*seeds() * 4, *samples(SAMPLES)]  # real files are larger and slower
    made = _with_blender(made) if asked.blender else made
    made = [one for one in made if not asked.reader or one.reader in asked.reader]
    if asked.keep:
        asked.keep.mkdir(parents=True, exist_ok=True)
    _limit_memory(16_000_000_000 if asked.blender else 6_000_000_000)
    end = time.monotonic() + asked.minutes * 60
    with tempfile.TemporaryDirectory() as folder:
        report = fuzz(made, Path(folder), seed, lambda _: time.monotonic() < end, asked.keep)
    for line in report.faults:
        print(line)
    for line in report.slow:
        print(f"slow: {line}")
    print(
        f"seed {seed}: {report.files} files, {report.accepted} accepted, {report.refused} refused, "
        f"{len(report.faults)} faults, {len(report.slow)} slow, {report.memory / 1e6:.0f} MB at most"
    )
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
