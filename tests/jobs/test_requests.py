# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests: in order, never lost, and nothing of a stranger's is obeyed, followed or deleted."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from backflip_addon.jobs import requests
from backflip_addon.jobs.folder import JobFolder
from backflip_addon.jobs.json_files import JobError
from backflip_addon.jobs.messages import REQUEST_KINDS, Job, Request


@pytest.fixture
def job(tmp_path: Path) -> JobFolder:
    folder = JobFolder(tmp_path / "a job")
    folder.create(Job(name="test", body={}, settings={}))
    return folder


def kinds(job: JobFolder) -> list[str]:
    return [request.kind for request in job.pending_requests()]


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_a_request_stays_until_it_has_been_obeyed(job: JobFolder) -> None:
    for number in range(20):
        job.request(REQUEST_KINDS[number % len(REQUEST_KINDS)], number=number)
    seen = job.pending_requests()
    assert [request.fields["number"] for request in seen] == list(range(20))
    assert [request.id + ".json" for request in seen] == names(job.requests)
    assert JobFolder(job.path).pending_requests() == seen == job.pending_requests(), "a look removes nothing"
    job.finish_request(seen[3])
    job.finish_request(seen[3])
    assert job.pending_requests() == seen[:3] + seen[4:] == JobFolder(job.path).pending_requests()
    for request in seen:
        job.finish_request(request)
    assert job.pending_requests() == [] and names(job.requests) == []


def test_requests_keep_their_order_when_the_clock_is_set_back(job: JobFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    job.request("pause")
    monkeypatch.setattr(requests.time, "time_ns", lambda: 10**18)
    job.request("resume")
    job.request("stop")
    assert kinds(job) == ["pause", "resume", "stop"]


BAD: dict[str, bytes] = {
    "empty": b"",
    "half": b'{"kind": "st',
    "list": b"[]",
    "number": b"5",
    "unknown": b'{"kind": "explode"}',
    "no kind": b"{}",
    "kind of another type": b'{"kind": ["stop"]}',
    "not UTF-8": b'{"kind": "stop", "why": "\xff"}',
    "NaN": b'{"kind": "shoot", "friction": NaN}',
    "infinity": b'{"kind": "shoot", "friction": -Infinity}',
    "beyond floats": b'{"kind": "shoot", "friction": 1e999}',
    "400 digits": b'{"kind": "shoot", "seed": ' + b"9" * 400 + b"}",
    "5000 digits": b'{"kind": "shoot", "seed": ' + b"9" * 5000 + b"}",
    "deep": b'{"kind": "shoot", "stage": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    "large": b'{"kind": "stop", "why": "' + b"x" * 70_000 + b'"}',
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_request_is_put_aside_and_loses_no_good_one_after_it(job: JobFolder, what: str) -> None:
    file = job.requests / "00000000000000000001-0000abcd.json"
    file.write_bytes(BAD[what])
    job.request("pause")
    assert kinds(job) == ["pause"] == kinds(job)
    aside = list(job.requests.glob("*.refused"))
    assert len(aside) == 1 and aside[0].read_bytes() == BAD[what] and not file.exists()


def test_a_folder_by_the_name_of_a_request_is_put_aside_whole(job: JobFolder) -> None:
    (job.requests / "0.json").mkdir()
    (job.requests / "0.json" / "treasure").write_text("gold")
    job.request("stop")
    assert kinds(job) == ["stop"]
    assert (next(job.requests.glob("*.refused")) / "treasure").read_text() == "gold"


@pytest.mark.skipif(os.name == "nt", reason="needs pipes with a name")
def test_a_pipe_by_the_name_of_a_request_does_not_hang(job: JobFolder) -> None:
    os.mkfifo(job.requests / "0.json")
    job.request("stop")
    assert kinds(job) == ["stop"]


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege")
def test_a_link_by_the_name_of_a_request_is_not_followed(job: JobFolder, tmp_path: Path) -> None:
    outside = tmp_path / "mine.json"
    outside.write_text('{"kind": "stop"}')
    (job.requests / "0.json").symlink_to(outside)
    (job.requests / "1.json").symlink_to("/nowhere")
    job.request("pause")
    assert kinds(job) == ["pause"] and outside.exists()


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege")
def test_requests_that_are_a_link_lead_nowhere(job: JobFolder, tmp_path: Path) -> None:
    outside = tmp_path / "another folder"
    outside.mkdir()
    for number in range(3):
        (outside / f"{number}.json").write_text('{"kind": "stop"}')
    (outside / "00000000000000000001-0000abcd.json").write_text('{"kind": "stop"}')
    before = names(outside)
    job.requests.rmdir()
    job.requests.symlink_to(outside, target_is_directory=True)
    assert job.pending_requests() == []
    job.finish_request(Request("stop", "00000000000000000001-0000abcd"))
    with pytest.raises(JobError, match="is a link"):
        job.request("stop")
    assert names(outside) == before


@pytest.mark.parametrize("name", ["../job", "../../mine", "/tmp/x", "..", ""])
def test_finishing_leads_to_no_other_folder(job: JobFolder, tmp_path: Path, name: str) -> None:
    (tmp_path / "mine.json").write_text("{}")
    job.finish_request(Request("stop", name))
    assert job.job_file.exists() and (tmp_path / "mine.json").exists()


def test_a_request_made_by_hand_is_obeyed_and_kept(job: JobFolder) -> None:
    """What does not carry our name may be somebody's only copy."""
    (job.requests / "my own.json").write_text('{"kind": "checkpoint", "id": "../job"}')
    (request,) = job.pending_requests()
    assert request == Request("checkpoint", "my own")
    job.finish_request(request)
    assert job.pending_requests() == [] and len(list(job.requests.glob("my own.json.*.obeyed"))) == 1


def test_a_request_that_cannot_be_removed_is_obeyed_once(job: JobFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    job.request("shoot", seed=1)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        job.finish_request(job.pending_requests()[0])
    assert job.pending_requests() == [] and len(names(job.requests)) == 1


def test_a_request_that_cannot_be_read_just_now_is_not_lost(job: JobFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    job.request("stop")

    def stale(*_: object, **__: object) -> dict[str, Any]:
        raise OSError(errno.ESTALE, "Stale file handle")

    with monkeypatch.context() as patch:
        patch.setattr(requests, "load_object", stale)
        assert job.pending_requests() == []
    assert kinds(job) == ["stop"]


def test_a_folder_that_cannot_be_listed_is_told_in_a_sentence(job: JobFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(requests.os, "scandir", fail)
    with pytest.raises(JobError, match=r"cannot be read: Input/output error\.$"):
        job.pending_requests()


def test_each_request_is_read_from_the_disk_once(job: JobFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    load = requests.load_object

    def count(path: Path, most: int) -> dict[str, Any]:
        read.append(path.name)
        return load(path, most)

    monkeypatch.setattr(requests, "load_object", count)
    for seed in range(30):
        job.request("shoot", seed=seed)
    for _ in range(5):
        assert len(job.pending_requests()) == 30
    assert len(read) == 30


def test_unknown_requests_are_a_programmers_mistake(job: JobFolder) -> None:
    with pytest.raises(ValueError):
        job.request("explode")


def test_requests_without_their_folder(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path)
    assert folder.pending_requests() == []
    folder.request("stop")
    assert len(folder.pending_requests()) == 1


def test_fields_do_not_change_what_a_request_is(job: JobFolder) -> None:
    name = job.request("shoot", id="another", seed=3)
    assert job.pending_requests() == [Request("shoot", name, {"seed": 3})]
    assert json.loads((job.requests / f"{name}.json").read_text())["id"] == name
