# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of a run: obeyed in order, removed when obeyed, and a stop before everything."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from backflip_addon.jobs.folder import JobFolder
from backflip_addon.jobs.messages import Job
from backflip_addon.trainer.runner import inbox as inboxes
from backflip_addon.trainer.runner import signals
from backflip_addon.trainer.runner.inbox import Inbox, JobGone, Stopped


@pytest.fixture
def job(tmp_path: Path) -> JobFolder:
    folder = JobFolder(tmp_path / "job")
    folder.create(Job(name="test", body={}, settings={}))
    return folder


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def inbox(job: JobFolder, told: list[str], monkeypatch: pytest.MonkeyPatch) -> Inbox:
    monkeypatch.setattr(inboxes, "LOOK_SECONDS", 0.0)
    return Inbox(job, lambda event: told.append(event.kind))


def kinds(job: JobFolder) -> list[str]:
    return [request.kind for request in job.pending_requests()]


def later(do: Callable[[], object]) -> None:
    threading.Timer(0.4, do).start()


def test_pause_then_stop_before_anybody_looked_stops(job: JobFolder, inbox: Inbox) -> None:
    for kind in ("pause", "shoot", "stop"):
        job.request(kind)
    with pytest.raises(Stopped):
        inbox.obey()
    inbox.close()
    assert kinds(job) == ["shoot"], "what steered the run is gone with it, the shot is kept"


@pytest.mark.parametrize(
    "asked", [["pause", "resume"], ["resume"], ["pause", "pause", "resume"], ["pause", "resume", "pause", "resume"]]
)
def test_resume_asked_for_before_anybody_looked_leaves_it_running(
    job: JobFolder, inbox: Inbox, told: list[str], asked: list[str]
) -> None:
    for kind in asked:
        job.request(kind)
    inbox.obey()
    assert not kinds(job) and told.count("paused") == told.count("resumed")


def test_the_order_of_pause_and_resume_counts(job: JobFolder, inbox: Inbox, told: list[str]) -> None:
    for kind in ("pause", "resume", "pause"):
        job.request(kind)
    later(lambda: job.request("resume"))
    inbox.obey()
    assert told == ["paused", "resumed", "paused", "resumed"] and inbox.paused_seconds > 0.2


def test_a_stop_while_paused_ends_it(job: JobFolder, inbox: Inbox, told: list[str]) -> None:
    job.request("pause")
    later(lambda: job.request("stop"))
    with pytest.raises(Stopped):
        inbox.obey()
    assert told == ["paused"]


def test_a_signal_while_paused_ends_it(job: JobFolder, inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    job.request("pause")
    later(lambda: monkeypatch.setattr(signals, "_stop_requested", True))
    with pytest.raises(Stopped):
        inbox.obey()


@pytest.mark.parametrize("fate", ["deleted", "moved"])
def test_a_folder_that_goes_away_while_paused_ends_it(job: JobFolder, inbox: Inbox, fate: str) -> None:
    job.request("pause")
    away = job.path.with_name("elsewhere")
    later(lambda: shutil.rmtree(job.path) if fate == "deleted" else job.path.rename(away))
    with pytest.raises(JobGone):
        inbox.obey()


def test_shots_asked_for_while_paused_are_kept_and_said_to_be(job: JobFolder, inbox: Inbox, told: list[str]) -> None:
    job.request("pause")
    for seed in (1, 2):
        job.request("shoot", seed=seed)
    later(lambda: job.request("resume"))
    inbox.obey()
    assert told == ["paused", "warning", "resumed"]
    assert [shot.fields["seed"] for shot in inbox.shots()] == [1, 2] and kinds(job) == ["shoot", "shoot"]


def test_a_request_is_removed_when_it_has_been_obeyed_and_not_before(job: JobFolder, inbox: Inbox) -> None:
    for kind in ("checkpoint", "shoot"):
        job.request(kind)
    inbox.obey()
    assert kinds(job) == ["checkpoint", "shoot"]
    for request in inbox.checkpoints():
        inbox.finish(request)
    assert kinds(job) == ["shoot"] and not inbox.checkpoints()


def test_a_request_that_cannot_be_removed_is_obeyed_once(
    job: JobFolder, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    job.request("shoot")
    inbox.obey()

    def refuse(_request: object) -> None:
        raise PermissionError

    monkeypatch.setattr(job, "finish_request", refuse)
    inbox.finish(inbox.shots()[0])
    inbox.check()
    assert kinds(job) == ["shoot"] and not inbox.shots()


def test_a_shot_recorded_by_a_trainer_that_was_killed_before_it_could_say_so_is_not_recorded_twice(
    job: JobFolder, inbox: Inbox
) -> None:
    first, second = job.request("shoot", seed=1), job.request("shoot", seed=2)
    inbox.forget_recorded({first: time.time() + 1.0, second: time.time() - 1000.0, "another": time.time()})
    assert [shot.id for shot in inbox.shots()] == [second], "a file that is newer than its take is a new wish"


def test_a_folder_that_cannot_be_read_for_a_while_ends_nothing(
    job: JobFolder, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    job.request("shoot")
    inbox.check()

    def fail() -> list:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(job, "pending_requests", fail)
    inbox.obey()
    assert len(inbox.shots()) == 1
