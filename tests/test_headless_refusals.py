# SPDX-License-Identifier: GPL-3.0-or-later
"""What the words without a window refuse, and before which work they do."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

from backflip_addon.headless import console, pictures, words  # noqa: E402
from backflip_addon.jobs.folder import JobFolder  # noqa: E402
from backflip_addon.jobs.messages import Job  # noqa: E402
from backflip_addon.scene.film import contact_sheet, render  # noqa: E402
from tests.job_events import tell  # noqa: E402
from tests.test_headless import addon as addon  # noqa: E402
from tests.test_headless import saved, standing_clip, told  # noqa: E402

usefixtures = pytest.mark.usefixtures


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such pipes")
@pytest.mark.parametrize("linked", [False, True])
def test_a_report_goes_into_a_pipe_and_not_in_its_place(tmp_path: Path, linked: bool) -> None:
    pipe = named = tmp_path / "pipe"
    os.mkfifo(pipe)
    if linked:
        named = tmp_path / "link"
        named.symlink_to(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert words.run(["jobs", str(tmp_path), "--json", str(named)]) == 0
        assert json.loads(os.read(reader, 65536))["jobs"] == []
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.lstat().st_mode) and len(list(tmp_path.iterdir())) == 1 + linked


def test_a_report_replaces_a_file_whole_and_follows_a_link(tmp_path: Path) -> None:
    file, link = tmp_path / "report.json", tmp_path / "link.json"
    file.write_text("an older report, and a longer one" * 99)
    link.symlink_to(file)
    assert told(link, "jobs", tmp_path, code=0)["jobs"] == [] and link.is_symlink()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such pipes")
@pytest.mark.parametrize(
    ("option", "place", "why"),
    [
        ("--json", "file/report.json", "Not a directory"),
        ("--json", "folder", "Is a directory"),
        ("--json", "n" * 300, "name too long"),
        ("--json", "shut/new/report.json", "Permission denied"),
        ("--sheet", "file/sheet.png", "Not a directory"),
        ("--sheet", "folder", "Is a directory"),
        ("--save-as", "pipe", "no regular file"),
    ],
)
def test_what_cannot_be_written_is_said_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, option: str, place: str, why: str
) -> None:
    (tmp_path / "file").write_text("")
    for folder in ("folder", "shut"):
        (tmp_path / folder).mkdir()
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr(os, "access", lambda path, _mode: Path(path).name != "shut")
    monkeypatch.setattr(pictures, "open_blend", lambda _options: pytest.fail("it began"))
    assert words.run(["film", "shot.blend", option, str(tmp_path / place)]) == console.WRONG_USE
    said = capsys.readouterr().err
    assert (
        f"{tmp_path / place} cannot be written: " in said and why in said and option in said and "\n" not in said[:-1]
    )


def test_a_report_that_is_lost_at_the_end_leaves_the_exit_status_of_what_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_file: Path, _report: object) -> None:
        raise console.HeadlessError("The disk is full.")

    monkeypatch.setattr(words, "write_report", refuse)
    report = ["--json", str(tmp_path / "report.json")]
    assert words.run(["jobs", str(tmp_path / "nowhere"), *report]) == 2
    assert words.run(["jobs", str(tmp_path), *report]) == 1


def playing(_opened: object, _track: str) -> tuple[str, int, int]:
    """A baked take that plays."""
    return "Take", 1, 2


@usefixtures("addon")
def test_a_film_and_an_export_name_what_they_cannot_write_before_they_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blend, out = saved(tmp_path / "shot.blend", "rigify"), tmp_path / "r"
    monkeypatch.setattr(pictures, "playing", playing)
    (tmp_path / "Take.mp4").mkdir()
    (tmp_path / "file").write_text("")
    film = ("film", blend, "--character", "Hero")
    assert "Take.mp4 cannot be written" in told(out, *film, code=2)["error"]
    assert "Take.mp4 cannot be written" in told(out, *film, "--out", tmp_path / "Take.mp4", code=2)["error"]
    export = told(out, "export", *film[1:], "--out", tmp_path / "file" / "x.bvh", code=2)
    assert "x.bvh cannot be written" in export["error"]


def test_a_sheet_that_fails_leaves_the_movie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = []

    def fail(*_arguments: object, **_options: object) -> None:
        raise FileExistsError(17, "File exists")

    monkeypatch.setattr(render, "render_stills", lambda *a, **k: None)
    monkeypatch.setattr(render, "render_movie", lambda *a, **k: done.append("movie"))
    monkeypatch.setattr(contact_sheet, "render_contact_sheet", fail)
    with pytest.raises(console.HeadlessError, match="movie is written; the sheet .*sheet.png cannot be: File exists"):
        pictures.shoot_film(tmp_path / "movie.mp4", tmp_path / "sheet.png", (64, 36), console.Console())
    assert done == ["movie"]


@usefixtures("addon")
def test_what_is_not_there_and_what_would_go_unheard_is_wrong_use(tmp_path: Path, capsys: Any) -> None:
    blend, clip = saved(tmp_path / "shot.blend", "rigify"), standing_clip(tmp_path / "stand.txt")
    job, gone = tmp_path / "job", str(tmp_path / "gone")
    hero = [str(blend), "--character", "Hero"]
    made = ["train", *hero, "--clip", str(clip), "--job", str(job), "--prepare"]
    assert words.run(made) == 0
    train, shoot, bake = ["train", *hero, "--dry-run"], ["shoot", *hero, "--job"], ["bake", *hero, "--job"]
    capsys.readouterr()
    for arguments, sentence in (
        ([*train, "--clip", gone], "no file"),
        ([*train, "--clip", str(clip), "--clip-map", gone], "(--clip-map)"),
        ([*train, "--bone-map", gone], "(--bone-map)"),
        ([*bake, gone], "job.json is missing"),
        ([*shoot, str(tmp_path)], "job.json is missing"),
        ([*bake, str(job), "--take", "nothing"], "no take yet"),
        ([*shoot, str(job), "--preset", "Upside Down"], "no preset called Upside Down"),
        ([*shoot, str(job), "--stage", "0009.pt"], "no stage called 0009.pt"),
        ([*train, "--clip-map", str(blend)], "about the file of --clip"),
        ([*train, "--clip", str(clip), "--clip-character", "Nope"], "leave out --clip-character"),
        ([*train, "--clip", str(clip), "--clip-action", "Nope"], "leave out --clip-action"),
        ([*train, "--clip", str(clip), "--reference-action", "Nope"], "leave out one"),
        ([*train, "--clip", str(clip), "--reference-slot", "Nope"], "--reference-slot"),
        ([*train, "--clip", str(clip), "--frames-last", "3"], "--frames-last"),
        ([*train, "--reference-action", "Nope"], "no action called Nope"),
        ([*train, "--frames-first", "0"], "counts with --use-frames"),
        ([*train, "--use-frames", "--frames-first", "9", "--frames-last", "3"], "Frame 9 comes after frame 3"),
        (["batch", str(job), "--cores", "-1"], "no number of 1 or more"),
        (["batch", str(job), "--cores", "0"], "no number of 1 or more"),
    ):
        assert words.run(arguments) == 2, arguments
        said = capsys.readouterr().err
        assert sentence in said and said.count("\n") == 1, said


@usefixtures("addon")
def test_who_is_not_in_a_clip_of_several_is_wrong_use(tmp_path: Path, capsys: Any) -> None:
    blend, clip = saved(tmp_path / "shot.blend", "rigify"), tmp_path / "nods.glb"
    for frame, angle in ((1, 0.0), (10, 0.3)):
        for bone in bpy.data.objects["Hero"].pose.bones[:3]:
            bone.rotation_mode = "XYZ"
            bone.rotation_euler.x = angle
            bone.keyframe_insert("rotation_euler", frame=frame)
    bpy.ops.export_scene.gltf(filepath=str(clip))
    train = ["train", str(blend), "--character", "Hero", "--dry-run", "--clip", str(clip)]
    capsys.readouterr()
    for option, sentence in (
        ("--clip-action", "no action called Nope"),
        ("--clip-character", "no character called Nope"),
    ):
        assert words.run([*train, option, "Nope"]) == 2
        assert sentence in capsys.readouterr().err


@usefixtures("addon")
def test_a_dry_run_says_that_a_job_cannot_be_written(tmp_path: Path) -> None:
    blend, clip, out = saved(tmp_path / "shot.blend", "rigify"), standing_clip(tmp_path / "stand.txt"), tmp_path / "r"
    for job in (clip, clip / "job"):
        train = ("train", blend, "--character", "Hero", "--clip", clip, "--job", job, "--prepare")
        (missing,) = told(out, *train, "--dry-run", code=1)["missing"]
        assert f"The job's folder {job} cannot be written: Not a directory." in missing
        assert missing in told(out, *train, code=1)["error"]


def test_a_folder_that_cannot_be_read_hides_no_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("shut", "b", "a"):
        JobFolder(tmp_path / name).create(Job(name=name, avatar="Hero", body={}, settings={}))
    os.utime(tmp_path / "b" / "job.json", (1.7e9, 1.7e9))
    real = os.stat

    def refuse(path: Any, *arguments: Any, **options: Any) -> os.stat_result:
        if os.fspath(path) == str(tmp_path / "shut" / "job.json"):
            raise PermissionError(13, "Permission denied")
        return real(path, *arguments, **options)

    monkeypatch.setattr(os, "stat", refuse)
    rows = told(tmp_path / "r", "jobs", tmp_path, code=0)["jobs"]
    assert [Path(row["job"]).name for row in rows] == ["b", "a"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_nothing_of_a_job_folder_steers_the_terminal(tmp_path: Path, capsys: Any) -> None:
    named = os.fsdecode(b"red\x1b[31m\nline\x9b \xff")
    job = JobFolder(tmp_path / named)
    job.create(Job(name="a", avatar="He\x1b[0mro", body={}, settings={}))
    tell(job, "error", message="bad\x1b]0;title\x07\nsecond line\x7f")
    for form in ("text", "json"):
        for arguments, code in ((["jobs", tmp_path], 0), (["status", job.path], 1), (["bake", job.path], 2)):
            assert words.run([*map(str, arguments), "--progress", form]) == code
            said = capsys.readouterr()
            assert "red" in said.out + said.err
            assert not [c for c in said.out + said.err if c != "\n" and not c.isprintable()]
            assert form == "json" or arguments[0] == "bake" or said.out.count("\n") == 1
