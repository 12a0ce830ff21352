# SPDX-License-Identifier: GPL-3.0-or-later
"""What Windows does otherwise with files, by stand-ins for its answers."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from backflip_addon.core import files


def refusing(monkeypatch: pytest.MonkeyPatch, times: int) -> list[int]:
    """Have os.replace() refuse so many times, as Windows does while a file is open; returns the tries."""
    tries: list[int] = []
    real = os.replace

    def replace(source: Path, target: Path) -> None:
        tries.append(len(tries))
        if len(tries) <= times:
            raise PermissionError(errno.EACCES, "Access is denied", str(source), 5, str(target))
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    return tries


def test_a_file_that_is_open_for_a_moment_is_replaced_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_WINDOWS", True)
    tries = refusing(monkeypatch, 3)
    (tmp_path / "job.json").write_text("old")
    files.write_whole(tmp_path / "job.json", lambda file: file.write(b"new") and None)
    assert (tmp_path / "job.json").read_text() == "new" and len(tries) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["job.json"]


def test_what_stays_open_is_an_error_and_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_WINDOWS", True)
    monkeypatch.setattr(files, "REPLACE_SECONDS", 0.1)
    refusing(monkeypatch, 1000)
    (tmp_path / "job.json").write_text("old")
    with pytest.raises(PermissionError):
        files.write_whole(tmp_path / "job.json", lambda file: file.write(b"new") and None)
    assert (tmp_path / "job.json").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["job.json"]


def test_elsewhere_a_refusal_is_final(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_WINDOWS", False)
    tries = refusing(monkeypatch, 1000)
    with pytest.raises(PermissionError):
        files.replace(tmp_path / "a", tmp_path / "b")
    assert len(tries) == 1


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (r"C:\Users\Zoë B\x", r"\\?\C:\Users\Zoë B\x"),
        (r"\\server\share\x", r"\\?\UNC\server\share\x"),
        (r"\\?\C:\x", r"\\?\C:\x"),
    ],
)
def test_long_paths_are_named_as_windows_takes_them(monkeypatch: pytest.MonkeyPatch, path: str, words: str) -> None:
    assert files.extended(Path(path)) == path or os.name == "nt"
    monkeypatch.setattr(files, "_WINDOWS", True)
    assert files.extended(Path(path)) == words
