# SPDX-License-Identifier: GPL-3.0-or-later
"""Events and takes read bit by bit, whatever a folder holds."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from backflip_addon.jobs import events as events_module
from backflip_addon.jobs import status as status_module
from backflip_addon.jobs.events import SLICE_BYTES, Budget, EventLog
from backflip_addon.jobs.folder import JobFolder
from backflip_addon.jobs.messages import Event, Job, TakeRecorded
from backflip_addon.jobs.status import JobReader, JobStatus, plain, read_status, wait_for_end
from backflip_addon.jobs.takes import TakeList
from tests.job_events import tell

NOTHING = -1.0  # s: a budget that is spent from the start


def line(kind: str, **fields: Any) -> str:
    return json.dumps({"time": 1.0, "kind": kind, **fields}) + "\n"


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    result = JobFolder(tmp_path / "job")
    result.create(Job(name="test", avatar="Hero", body={}, settings={}))
    return result


def read_all(log: EventLog, most: int = 10_000) -> list[Event]:
    """All events, in the smallest steps."""
    events = log.read(Budget(NOTHING))
    while log.more:
        events += log.read(Budget(NOTHING))
        most -= 1
        assert most, "it never ends"
    return events


def test_a_step_reads_no_more_than_a_slice_and_all_steps_together_read_everything_once(folder: JobFolder) -> None:
    folder.events_file.write_text("".join(line("take", file=f"{n}.npz") for n in range(5000)))
    log = EventLog(folder.events_file)
    first = log.read(Budget(NOTHING))
    assert log.more and 0 < log.offset <= SLICE_BYTES and 0.0 < log.fraction < 1.0
    assert [event.file for event in first + read_all(log)] == [f"{n}.npz" for n in range(5000)]


def test_progress_is_parsed_only_where_no_newer_follows(folder: JobFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [line("progress", fraction=n / 5000, control_steps=n) for n in range(5000)]
    rows += [line("take", file="a.npz"), line("progress", control_steps=7)]
    folder.events_file.write_text(line("started") + "".join(rows))
    parsed = []
    loads = json.loads
    monkeypatch.setattr(events_module.json, "loads", lambda text: parsed.append(text) or loads(text))
    log = EventLog(folder.events_file)
    events = read_all(log)
    slices = -(-folder.events_file.stat().st_size // SLICE_BYTES)
    assert len(parsed) <= slices + 5
    assert [event.kind for event in events if event.kind != "progress"] == ["started", "take"]
    assert events[-1].control_steps == 7 and events[-3].control_steps == 4999


def test_a_log_that_did_not_change_is_not_opened_again(folder: JobFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.events_file.write_text(line("started") + '{"half')
    log = EventLog(folder.events_file)
    assert len(read_all(log)) == 1
    monkeypatch.setattr(events_module, "open_regular", lambda path: pytest.fail("opened"))
    assert log.read(Budget()) == [] and not log.more


def test_half_a_line_waits_for_its_other_half(folder: JobFolder) -> None:
    log = EventLog(folder.events_file)
    assert log.read(Budget()) == []
    whole = line("take", file="a.npz")
    folder.events_file.write_text(whole[:20])
    assert log.read(Budget()) == []
    folder.events_file.write_text(whole)
    assert [event.file for event in log.read(Budget())] == ["a.npz"]


@pytest.mark.parametrize("length", [SLICE_BYTES - 1, SLICE_BYTES, SLICE_BYTES + 1, 3 * SLICE_BYTES, 1_000_000])
def test_an_endless_line_is_skipped_in_slices(folder: JobFolder, length: int) -> None:
    text = line("take", file="a.npz") + "x" * length + "\n" + line("take", file="b.npz")
    folder.events_file.write_text(text)
    log = EventLog(folder.events_file)
    assert [event.file for event in read_all(log)] == ["a.npz", "b.npz"]
    folder.events_file.write_text(text + "y" * length)  # and one without an end
    assert read_all(log) == [] and not log.more
    with open(folder.events_file, "a") as file:
        file.write("\n" + line("take", file="c.npz"))
    assert [event.file for event in read_all(log)] == ["c.npz"]


@pytest.mark.parametrize("longer", [True, False])
def test_another_job_in_the_folder_is_read_anew(folder: JobFolder, longer: bool) -> None:
    reader = JobReader(folder)
    folder.events_file.write_text(line("started", seed=1) + line("take", file="a.npz") + line("take", file="b.npz"))
    assert reader.read(Budget()).takes == 2
    other = line("started", seed=2) + line("take", file="c.npz") * (9 if longer else 1)
    folder.events_file.write_text(other)
    assert reader.read(Budget()).takes == (9 if longer else 1)
    assert set(reader.story.told) == {"c.npz"}
    folder.events_file.unlink()
    assert reader.read(Budget()).takes == 0


def test_of_a_long_job_the_last_state_is_known_first(folder: JobFolder) -> None:
    between = "".join(line("stage", file="x") for _ in range(20_000))
    folder.events_file.write_text(line("started") + between + line("finished", reason="stopped"))
    reader = JobReader(folder)
    first = reader.read(Budget(NOTHING))
    assert first.state == "stopped" and first.read < 1.0
    while reader.log.more:
        status = reader.read(Budget(NOTHING))
    assert status.state == "stopped" and status.read == 1.0


HOSTILE = [
    '{"kind": "take", "file": "a.npz", "score": 1' + "0" * 400 + "}",
    '{"kind": "progress", "fraction": 1' + "0" * 400 + ', "seconds": -1' + "0" * 400 + "}",
    '{"kind": "progress", "fraction": "half", "seconds": [], "seconds_left": {}, "message": 5, "control_steps": "9"}',
    '{"kind": "progress", "fraction": NaN, "seconds": Infinity}',
    '{"kind": "take", "file": "a.npz", "score": "good", "landed": "no", "success": []}',
    '{"kind": "take", "file": ["a"], "score": null}',
    '{"kind": "take", "file": "' + "n" * 5000 + '"}',
    '{"kind": "take", "file": "\\u0000/\\ud800"}',
    '{"kind": "error", "message": "\\ud800 \\u0000 broken", "best_take": {"a": 1}}',
    '{"kind": ["take"]}',
    '{"kind": "started", "time": "now", "pid": "7"}',
    '{"time": 1' + "0" * 5000 + ', "kind": "progress"}',
    "[" * 10_000,
    '{"a":' * 5_000,
    "5",
    "null",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_event_breaks_the_reading(folder: JobFolder, text: str) -> None:
    folder.events_file.write_text(line("started") + text + "\n" + line("take", file="last.npz", score=0.5))
    status = read_status(folder)
    assert "last.npz" in status_module.reader_of(folder).story.told
    status.message.encode("utf-8")
    assert 0.0 <= status.progress <= 1.0


def test_bytes_that_are_no_text_are_no_event(folder: JobFolder) -> None:
    folder.events_file.write_bytes(b'{"kind": "take", "file": "\xff\xfe.npz"}\n' + line("take", file="b.npz").encode())
    assert JobReader(folder).read(Budget()).takes == 1


def test_any_text_becomes_one_that_blender_can_hold() -> None:
    assert plain("a\ud800b\0c") == "a?b c" and len(plain("x" * 5000)) == 1000 and plain(5) == "5"
    assert plain("a\x1b[31mb\nc\x7fd\x9b\x85e\u2028f\té") == "a [31mb c d  e f é"


def test_what_a_trainer_says_is_one_line_that_steers_no_terminal(folder: JobFolder) -> None:
    tell(folder, "error", message="bad\x1b[31mRED\x1b]0;title\x07\nsecond line")
    assert read_status(folder).message == "bad [31mRED ]0;title  second line"
    folder.events_file.write_text(line("started"))
    folder.log_file.write_text("--- started\nKilled\x1b[2J\nhere\x07\n")
    assert read_status(folder).message.splitlines()[1:] == ["Killed [2J", "here "]


def test_a_take_that_does_what_it_should_beats_one_that_only_landed(folder: JobFolder) -> None:
    for file, landed, success, score in (("a", True, True, 0.5), ("b", True, False, 0.9), ("c", False, False, 1.0)):
        tell(folder, "take", file=f"{file}.npz", landed=landed, success=success, score=score)
        (folder.takes / f"{file}.npz").touch()
    status = read_status(folder)
    assert status.best_take == "a.npz" and status.landed


def test_takes_that_are_not_there_do_not_count(folder: JobFolder) -> None:
    for file, landed, score in (("a", True, 0.5), ("b", False, 0.9), ("c", False, 0.1)):
        (folder.takes / f"{file}.npz").touch()
        tell(folder, "take", file=f"{file}.npz", landed=landed, success=landed, score=score)
    tell(folder, "finished", reason="landed", best_take="a.npz", landed=True)
    whole = read_status(folder)
    assert (whole.takes, whole.best_take, whole.landed, whole.lost) == (3, "a.npz", True, False)
    (folder.takes / "c.npz").unlink()
    assert (read_status(folder).takes, read_status(folder).lost, read_status(folder).message) == (
        2,
        False,
        whole.message,
    )
    (folder.takes / "a.npz").unlink()
    (folder.takes / "a.npz").mkdir()
    left = read_status(folder)
    assert (left.takes, left.best_take, left.landed, left.lost) == (1, "b.npz", False, True)
    assert left.state == "finished" and "not there any more" in left.message
    tell(folder, "take", file="zzz.npz", landed=True, success=True, score=9.0)
    assert not read_status(folder).landed, "nobody made that take"


def test_which_takes_are_there_is_asked_of_their_folder_alone(
    folder: JobFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    for name in ("stat", "lstat"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda path, *a, real=real, **k: asked.append(str(path)) or real(path, *a, **k))
    folder.events_file.write_text("".join(line("take", file=f"{n:04d}.npz") for n in range(500)))
    for number in range(400):
        (folder.takes / f"{number:04d}.npz").touch()
    assert read_status(folder).takes == 400 and not [path for path in asked if path.endswith(".npz")]


@pytest.mark.parametrize("number", [13, 5, 116, 36])  # EACCES, EIO, ESTALE, ENAMETOOLONG
def test_a_share_that_went_away_is_a_sentence_and_comes_back(
    folder: JobFolder, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    tell(folder, "take", file="a.npz")
    reader = JobReader(folder)
    with monkeypatch.context() as away:
        away.setattr(os, "stat", lambda *a, **k: (_ for _ in ()).throw(OSError(number, os.strerror(number))))
        status = reader.read(Budget())
        assert status.state == "unreadable" and os.strerror(number) in status.message and reader.away
    assert reader.read(Budget()).takes == 1 and not reader.away


def test_waiting_outlasts_a_share_that_is_away_for_a_moment(folder: JobFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    states = iter(("running", "unreadable", "unreadable", "running", "finished"))
    monkeypatch.setattr(status_module, "read_status", lambda folder: JobStatus(next(states)))
    assert wait_for_end(folder, 60.0, interval=0.001).state == "finished"


def test_events_that_are_a_pipe_or_a_link_are_not_opened(folder: JobFolder, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text(line("started"))
    folder.events_file.symlink_to(tmp_path / "elsewhere")
    assert read_status(folder).state == "unreadable"
    folder.events_file.unlink()
    os.mkfifo(folder.events_file)
    assert read_status(folder).state == "unreadable"


# Takes


def settle(takes: Path) -> None:
    """Have a folder look as if it had last been changed a while ago."""
    os.utime(takes, (1.7e9, 1.7e9))


def look(takes: TakeList, told: dict[str, TakeRecorded], mark: object) -> None:
    """Look to the end, in the smallest steps."""
    for _ in range(10_000):
        if not takes.look(told, mark, Budget(NOTHING)):
            return
    pytest.fail("it never ends")


def test_takes_are_listed_once_a_change_and_in_steps(folder: JobFolder) -> None:
    for number in range(1000):
        (folder.takes / f"{number:04d}.npz").touch()
    settle(folder.takes)
    told = {f"{n:04d}.npz": TakeRecorded(landed=n % 2 == 0, score=n) for n in range(2000)}
    takes = TakeList(folder.takes, lambda file: pytest.fail("read"))
    assert takes.look(told, 1, Budget(NOTHING)) and not takes.names, "a first step is not all"
    look(takes, told, 1)
    assert takes.names == sorted(told)[:1000] and takes.landed == 500 and takes.listings == 1
    version = takes.version
    for _ in range(10):
        assert not takes.look(told, 1, Budget())
    assert (takes.listings, takes.version) == (1, version)
    (folder.takes / "0003.npz").unlink()
    look(takes, told, 1)
    assert len(takes.names) == 999 and "0003.npz" not in takes.facts and takes.version > version


def test_takes_of_which_no_event_told_are_read_one_at_a_time(folder: JobFolder) -> None:
    for name in ("a.npz", "b.npz", "c.npz"):
        (folder.takes / name).touch()
    settle(folder.takes)
    read: list[str] = []

    def facts_of(file: Path) -> TakeRecorded:
        read.append(file.name)
        return TakeRecorded(score=0.25)

    takes = TakeList(folder.takes, facts_of)
    most = 0
    while True:
        before = len(read)
        more = takes.look({"b.npz": TakeRecorded(score=1.0)}, 1, Budget())
        most = max(most, len(read) - before)
        if not more:
            break
    assert takes.names == ["a.npz", "b.npz", "c.npz"] and list(takes.scores) == [0.25, 1.0, 0.25]
    assert sorted(read) == ["a.npz", "c.npz"] and most == 1


def test_what_is_no_take_is_not_listed(folder: JobFolder, tmp_path: Path) -> None:
    (folder.takes / "x.txt").touch()
    (folder.takes / "folder.npz").mkdir()
    (folder.takes / "link.npz").symlink_to(tmp_path)
    Path(os.fsdecode(os.fsencode(folder.takes) + b"/\xff.npz")).touch()
    takes = TakeList(folder.takes, lambda file: TakeRecorded())
    look(takes, {}, 1)
    assert takes.names == []


def test_a_takes_folder_that_leads_elsewhere_has_no_takes(folder: JobFolder, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.npz").touch()
    folder.takes.rmdir()
    folder.takes.symlink_to(tmp_path / "other")
    takes = TakeList(folder.takes, lambda file: TakeRecorded())
    look(takes, {"a.npz": TakeRecorded()}, 1)
    assert takes.names == []


def test_a_listing_that_fails_is_done_again(folder: JobFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder.takes / "a.npz").touch()
    settle(folder.takes)
    takes = TakeList(folder.takes, lambda file: TakeRecorded())
    with monkeypatch.context() as away:
        away.setattr(os, "scandir", lambda path: (_ for _ in ()).throw(OSError(5, "Input/output error")))
        with pytest.raises(OSError, match="Input/output"):
            takes.look({"a.npz": TakeRecorded()}, 1, Budget())
    look(takes, {"a.npz": TakeRecorded()}, 1)
    assert takes.names == ["a.npz"]
