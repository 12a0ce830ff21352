# SPDX-License-Identifier: GPL-3.0-or-later
"""The words without a window, on files by other people, and the demo that is a script of them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

import backflip_addon  # noqa: E402
from backflip_addon.core import body as bodies  # noqa: E402
from backflip_addon.core.motion import Motion, Take, save_take  # noqa: E402
from backflip_addon.headless import console, demo, options, training, words  # noqa: E402
from backflip_addon.headless import takes as takes_words  # noqa: E402
from backflip_addon.headless.measuring import as_shown  # noqa: E402
from backflip_addon.jobs import trainer_process  # noqa: E402
from backflip_addon.jobs.folder import JobFolder  # noqa: E402
from backflip_addon.jobs.status import JobStatus, read_status  # noqa: E402
from backflip_addon.operators import training as road  # noqa: E402
from backflip_addon.runtime import find  # noqa: E402
from backflip_addon.scene.film import render  # noqa: E402
from backflip_addon.scene.typed_data import current_view_layer  # noqa: E402
from backflip_addon.settings import BackflipDirection, BackflipSettings  # noqa: E402
from tests.scene import rigs, takes  # noqa: E402


@pytest.fixture
def clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pybullet_data of our own, which must not be imported."""
    package = tmp_path / "pybullet_data"
    folder = package / "data" / "motions"
    folder.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('was imported')")
    for name in ("humanoid3d_backflip", "humanoid3d_walk", "laikago_walk"):
        (folder / f"{name}.txt").write_text("{}")
    monkeypatch.delitem(sys.modules, "pybullet_data", raising=False)  # other tests may have imported the real one
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def test_clip_is_found_without_an_import(clips: Path, tmp_path: Path) -> None:
    assert demo.find_clip("backflip") == clips / "humanoid3d_backflip.txt"
    file = tmp_path / "mine.bvh"
    file.write_text("")
    assert demo.find_clip(str(file)) == file
    assert "pybullet_data" not in sys.modules


def test_unknown_clip_is_said(clips: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(demo.DemoError, match="one of: backflip, .*standing_backflip, .*walk"):
        demo.find_clip("moonwalk")
    assert demo.main(["--clip", "moonwalk", "--out", str(tmp_path / "out")]) == 1
    assert "The demo ended: There is no clip moonwalk" in capsys.readouterr().err


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (75, "1:15"), (3600, "1:00:00"), (-1, "0:00")])
def test_clock(seconds: float, text: str) -> None:
    assert console.clock(seconds) == text


def test_progress_line_is_one_line() -> None:
    status = JobStatus("running", 0.25, 30.0, 90.0, "Searching.\nmore", takes=2, landed=True)
    line = console.progress_line(status, 31.0)
    assert line == "  0:31 running   25%  2 takes, landed  1:30 left  Searching."


def test_ticker_speaks_when_something_is_new(capsys: pytest.CaptureFixture[str]) -> None:
    ticker = console.Console()
    for count in (0, 0, 0, 1, 1):
        ticker.show(JobStatus("running", takes=count))
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_shown_take_keeps_every_contact_and_force() -> None:
    """A touch, a torque peak and a push of one simulated frame show in the frame of the rig after them."""
    frames = 121
    contacts = np.zeros((frames, 2), dtype=bool)
    torque, assist = np.zeros(frames), np.zeros(frames)
    contacts[5, 1], torque[6], assist[117] = True, 0.9, 3.0
    turns = np.tile([1.0, 0.0, 0.0, 0.0], (frames, 2, 1))
    load = np.zeros((frames, 2))
    load[5, 1] = 400.0
    take = Take(Motion(120.0, np.zeros((frames, 3)), turns), contacts, torque, assist, {}, load)
    shown = as_shown(take, take.motion.resampled(30.0))
    assert shown.load is not None and shown.load[2, 1] == 100.0 and shown.load.sum() == 100.0
    assert shown.motion.frames == 31 == len(shown.contacts)
    assert np.flatnonzero(shown.contacts[:, 1]).tolist() == [2] and not shown.contacts[:, 0].any()
    assert np.flatnonzero(shown.torque).tolist() == [2] and np.flatnonzero(shown.assist).tolist() == [30]


def test_chatter_goes_nowhere(capfd: pytest.CaptureFixture[str]) -> None:
    with console.chatter_away() as tell:
        os.write(1, b"Saved: frame 1\n")
        tell("10%")
    print("after")
    sys.stdout.flush()
    assert capfd.readouterr().out == "10%\nafter\n"


REPORT_KEYS = {
    "landed",
    "success",
    "g_mpjpe_mm",
    "mpjpe_mm",
    "landed_cleanly",
    "hops",
    "slide_cm",
    "self_penetration_cm",
    "penetration_cm",
    "shake",
    "bake_error_mm",
    "bake_error_deg",
    "verdict",
    "seconds",
    "control_steps",
}


def standing_clip(path: Path, heights: Sequence[float] = (0.9,) * 31) -> Path:
    """A DeepMimic clip of somebody who stands: time, root place and turn, then the joints' angles. heights: the
    hips', m, 30 a second."""
    turn = [1.0, 0.0, 0.0, 0.0]
    leg, arm = [*turn, 0.0, *turn], [*turn, 0.0]
    frames = [[1 / 30, 0.0, height, 0.0, *turn, *turn, *turn, *leg, *arm, *leg, *arm] for height in heights]
    path.write_text(json.dumps({"Loop": "none", "Frames": frames}))
    return path


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A trainer without physics, and a film of the size of a stamp."""
    trainer = Path(__file__).parent / "operators" / "stand_in_trainer.py"
    monkeypatch.setattr(road, "python", lambda *_: sys.executable)
    monkeypatch.setattr(
        trainer_process, "command", lambda folder, python: [python.path, str(trainer), str(folder.path.resolve())]
    )
    monkeypatch.setattr(render, "SIZE", (64, 36))
    monkeypatch.setattr(demo, "FPS", 8)
    yield
    if hasattr(bpy.types.Scene, "backflip"):
        backflip_addon.unregister()


@pytest.fixture
def addon() -> Iterator[None]:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    backflip_addon.register()
    yield
    if hasattr(bpy.types.Scene, "backflip"):
        backflip_addon.unregister()


def test_the_whole_road(stand_in: None, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "a demo"
    clip = standing_clip(tmp_path / "humanoid3d_stand.txt")
    assert demo.main(["--clip", str(clip), "--out", str(out), "--minutes", "0.05", "--seed", "4"]) == 0
    report = json.loads((out / "report.json").read_text())
    assert set(report) >= REPORT_KEYS
    assert report["bake_error_mm"] < 1.0 and report["bake_error_deg"] < 0.1
    assert report["take"] == "0001_search.npz" and report["control_steps"] == 5 and report["seed"] == 4
    assert report["landed"] in (True, False)
    assert (out / "backflip.png").read_bytes().startswith(b"\x89PNG")
    assert (out / "backflip.mp4").read_bytes()[4:8] == b"ftyp"
    assert (out / "backflip.fbx").read_bytes().startswith(b"Kaydara FBX Binary")
    said = capfd.readouterr().out
    assert "finished" in said and "Append frame" not in said
    assert f"\n{report['verdict']}. " in said and report["landed_cleanly"] is not True, "nobody tried how robust it is"
    assert "Longest slide" in said and "Past joint limits" in said

    bpy.ops.wm.open_mainfile(filepath=str(out / "backflip.blend"))
    scene = bpy.context.scene
    assert scene.camera is not None and scene.frame_end > scene.frame_start
    armature = scene.backflip.avatar
    poses = []
    for frame in (scene.frame_start, scene.frame_end // 2, scene.frame_end):
        scene.frame_set(frame)
        evaluated = armature.evaluated_get(bpy.context.evaluated_depsgraph_get())
        poses.append(np.array([bone.matrix for bone in evaluated.pose.bones]))
    assert max(np.abs(pose - poses[0]).max() for pose in poses) > 0.01, "the saved file plays the take"


def test_failing_trainer_is_said(
    stand_in: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    crash = "import sys; print('ModuleNotFoundError: No module named 'pybullet''); sys.exit(1)"
    monkeypatch.setattr(trainer_process, "command", lambda folder, python: [python.path, "-c", crash])
    clip = standing_clip(tmp_path / "stand.txt")
    assert demo.main(["--clip", str(clip), "--out", str(tmp_path / "out"), "--minutes", "0.05"]) == 1
    assert "The demo ended: The trainer's Python lacks pybullet" in capsys.readouterr().err


def test_interrupt_goes_on_with_the_best_take(
    stand_in: None, addon: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while it learns, or a farm's SIGTERM, ends the learning and keeps the best."""
    waits = []
    really_wait = training.wait_for_end

    def wait(folder: JobFolder, timeout: float, on_status: object = None) -> JobStatus:
        waits.append(timeout)
        if len(waits) == 1:
            while not read_status(folder).takes:
                pass
            raise KeyboardInterrupt
        return really_wait(folder, timeout)

    monkeypatch.setattr(training, "wait_for_end", wait)
    blend, clip = saved(tmp_path / "shot.blend", "makehuman"), standing_clip(tmp_path / "stand.txt")
    job, report = str(tmp_path / "job"), tmp_path / "report.json"
    given = ["--character", "Hero", "--clip", str(clip), "--job", job, "--minutes", "10", "--json", str(report)]
    assert words.run(["train", str(blend), *given]) == 0
    assert json.loads(report.read_text())["best_take"] == "0001_search.npz" and len(waits) == 2


# Files by other people

_SIDE = {
    "makehuman": "clavicle.L upperarm01.L lowerarm01.L wrist.L upperleg01.L lowerleg01.L foot.L toe1-1.L",
    "rigify": "shoulder.L upper_arm.L forearm.L hand.L thigh.L shin.L foot.L toe.L",
}
_TRUNK = {
    "makehuman": "root spine05 spine03 spine01 neck01 head",
    "rigify": "spine spine.001 spine.002 spine.003 spine.004 spine.006",
}


def of_family(family: str) -> list[rigs.Bone]:
    """The figure of the tests with the names that a family's bones have."""
    side = ["shoulder.L", "upper_arm.L", "forearm.L", "hand.L", "thigh.L", "shin.L", "foot.L", "toe.L"]
    names = dict(zip(side, _SIDE[family].split(), strict=True))
    names |= {old.replace(".L", ".R"): new.replace(".L", ".R") for old, new in names.items()}
    names |= dict(zip(["pelvis", "spine", "chest", "upper_chest", "neck", "head"], _TRUNK[family].split(), strict=True))
    kept = [bone for bone in rigs.t_pose() if bone[0] in names]
    return [(names[name], names.get(parent or ""), head, tail) for name, parent, head, tail in kept]


def saved(blend: Path, family: str) -> Path:
    """A .blend with a character that Backflip has not seen, and another armature beside it."""
    if family == "generated":
        if not rigs.generate_rigify(blend):
            pytest.skip("this Blender has no Rigify")
        bpy.ops.wm.open_mainfile(filepath=str(blend), use_scripts=False)
        bpy.data.objects["rig"].name = "Hero"
        bpy.ops.wm.save_as_mainfile(filepath=str(blend))
        return blend
    bpy.ops.wm.read_factory_settings(use_empty=True)
    if family == "mannequin":
        demo.add_mannequin(bpy.context).name = "Hero"
    else:
        rigs.build(of_family(family), name="Hero", skin=True)
    rigs.build([("prop", None, (0, 0, 0), (0, 0, 1))], name="Prop")
    if family == "makehuman":  # as it is saved by somebody who is just editing it
        current_view_layer().objects.active = bpy.data.objects["Hero"]
        bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.wm.save_as_mainfile(filepath=str(blend))
    return blend


def told(file: Path, *arguments: object, code: int) -> Any:
    """Run a word; its report."""
    assert words.run([*map(str, arguments), "--json", str(file)]) == code, file.read_text()
    report = json.loads(file.read_text())
    assert report["exit"] == code and report["status"] == console.STATES[code]
    return report


def test_what_is_odd_about_a_clip_is_told_with_the_option_that_mends_it(addon: None, tmp_path: Path) -> None:
    """A leap of 0.8 s, recorded 60 times a second and stamped as 30."""
    blend, out = saved(tmp_path / "shot.blend", "mannequin"), tmp_path / "r"
    times = np.arange(-30, 79) / 60
    leap = standing_clip(tmp_path / "leap.txt", list(0.9 + 4.905 * np.maximum(times * (0.8 - times), 0.0)))
    train = ["train", blend, "--character", "Hero", "--clip", leap, "--dry-run"]
    note = next(note for note in told(out, *train, code=0)["notes"] if note["code"] == "time_scale")
    assert note["options"] == ["--time-scale 0.5"] and "speed it up 2 times" in note["sentence"]
    mended = told(out, *train, "--time-scale", "0.5", code=0)["notes"]
    assert "time_scale" not in [note["code"] for note in mended]


@pytest.mark.parametrize("family", ["makehuman", "rigify", "mannequin", "generated"])
def test_words_on_files_by_others(
    addon: None, tmp_path: Path, family: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """A job is written, trained elsewhere (a take comes back), found by the words, baked and exported."""
    blend, clip, out = saved(tmp_path / "a shot.blend", family), standing_clip(tmp_path / "stand.txt"), tmp_path / "r"
    before = blend.read_bytes()
    job = tmp_path / "a shot.backflip" / "one"
    train = ["train", blend, "--character", "Hero", "--clip", clip, "--job", job, "--prepare"]
    dry = told(out, *train, "--dry-run", code=0)
    assert dry["missing"] == [] and [note["code"] for note in dry["notes"]] == ["still"] and not job.exists()
    here = find.Runtime(sys.executable, (), "Ready.", "variable")
    monkeypatch.setattr(road, "find_runtime", lambda *_: here)
    assert told(out, *train[:-1], "--engine", "auto", "--dry-run", code=0)["missing"] == []
    assert told(out, *train[:-1], "--engine", "pybullet", "--dry-run", code=1)["missing"] == [road.NO_PYBULLET]
    told(out, *train, "--minutes", "0.5", "--friction", "0.4", "--parts", "name=thigh,mass=1.5", code=0)
    made = JobFolder(job).read_job()
    assert made.settings["minutes"] == 0.5 and made.settings["friction"] == pytest.approx(0.4) and made.avatar == "Hero"
    assert blend.read_bytes() == before, "the .blend is saved where that is asked for"
    assert told(out, "status", blend, code=0)["state"] == "idle"
    take = takes.take(
        bodies.from_json(dict(made.body)), name="From the farm", engine="compiled", measures={"landed": False}
    )
    save_take(JobFolder(job).takes / "0001_search.npz", take)
    assert "--out" not in told(out, "export", blend, "--character", "Hero", code=1)["error"]
    baked = told(out, "bake", blend, "--character", "Hero", "--start-frame", "5", code=0)
    assert baked["frames"][0] == 5 and baked["bake_error_mm"] < 1.0 and baked["take"] == "0001_search.npz"
    assert baked["engine"] == "compiled" and "Backflip's physics" in capsys.readouterr().out
    shot = tmp_path / "shot.bvh"
    assert told(out, "export", blend, "--character", "Hero", "--out", shot, code=0)["format"] == "BVH"
    assert shot.read_text().startswith("HIERARCHY")
    assert len(told(out, "jobs", blend, code=0)["jobs"]) == 1


def test_train_and_shoot_with_a_trainer(
    stand_in: None, addon: None, tmp_path: Path, monkeypatch: Any, capfd: Any
) -> None:
    blend, clip, out = saved(tmp_path / "shot.blend", "rigify"), standing_clip(tmp_path / "stand.txt"), tmp_path / "r"
    job = tmp_path / "job"
    named = [blend, "--character", "Hero", "--job", job, "--progress", "json"]
    assert told(out, "train", *named, "--clip", clip, "--minutes", "0.05", code=0)["state"] == "finished"
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines() if line.startswith("{")]
    assert {"progress", "line"} <= {line["kind"] for line in lines}
    (job / "stages" / "plan.npz").write_bytes(b"")
    shots = told(out, "shoot", *named, "--count", "2", "--seed", "7", "--slope", "10", code=3)
    assert [take["seed"] for take in shots["takes"]] == [7, 8] and "sloping" in shots["asked_for"]
    assert all(take["engine"] in ("", "pybullet", "compiled") for take in shots["takes"])
    simulated = [takes_words.simulated_by({"engine": name}) for name in ("pybullet", "compiled", "", "else")]
    assert simulated == [", PyBullet", ", Backflip's physics", "", ""]


def test_wrong_use_is_a_sentence(addon: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blend, report = saved(tmp_path / "shot.blend", "rigify"), tmp_path / "report.json"
    wrong = (
        ([], "WORD"),
        (["fly"], "invalid choice"),
        (["train", "nowhere.blend"], "no file"),
        (["train", str(tmp_path)], "is a folder"),
        (["status", str(tmp_path)], "no job in"),
        (["status", str(blend), "--character", "Hero"], "no job of Hero in"),
        (["batch", str(tmp_path)], "no job in"),
        (["batch", str(blend)], "no folder"),
        (["bake", str(blend), "--start-frame", "9999999999"], "too far from 0"),
        (["train", str(blend)], "Hero, Prop"),
        (["train", str(blend), "--character", "Nobody"], "no armature called Nobody"),
        (["train", str(blend), "--minutes", "soon"], "'soon' is not a number"),
        (["train", str(blend), "--cycles", "1"], "1 is not within 2 to 20"),
        (["train", str(blend), "--parts", "name=tail,mass=2"], "name=tail is none of"),
        (["train", str(blend), "--parts", "girth=2"], "'girth=2' is none of"),
        (["train", str(blend), "--character", "Hero", "--roles", "name=head,bone=Nose"], "no bone called Nose"),
        (["shoot", str(blend), "--loads", "name=zzz,kilograms=5"], "'name=zzz' is none of"),
        (["shoot", str(blend), "--slope", "80"], "80 is not within 0 to 45"),
        (["shoot", str(blend), "--manner", "badly"], "none of replanned, learned"),
        (["bake", str(blend), "--tak", "x"], "unrecognized arguments"),
        (["film", str(blend), "--size", "640"], "no size"),
        (["train", "--json"], "expected one argument"),
    )
    for arguments, sentence in wrong:
        named = ["--json", str(report)] if "--json" not in arguments else []
        assert words.run([*arguments, *named]) == 2, arguments
        said = capsys.readouterr().err
        assert sentence in said and said.count("\n") == 1 and "Traceback" not in said, said
        if named:
            told_of = json.loads(report.read_text())
            assert told_of["status"] == "used wrongly" and sentence in told_of["error"]


def test_what_fails_is_a_sentence(addon: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blend, broken = saved(tmp_path / "shot.blend", "rigify"), tmp_path / "broken.blend"
    broken.write_bytes(b"no blend")
    for arguments, sentence in (
        (["train", str(broken)], "cannot be opened"),
        (["train", str(blend), "--character", "Prop"], "only 1 bone"),
        (["bake", str(blend), "--character", "Hero"], "No job of Hero"),
        (["film", str(blend), "--character", "Hero"], "No take is baked"),
        (["shoot", str(blend), "--character", "Hero", "--job", str(tmp_path)], "job.json"),
    ):
        assert words.run(arguments) == 1, arguments
        said = capsys.readouterr().err
        assert sentence in said and "Traceback" not in said, said


def test_every_setting_of_the_panels_is_an_option(addon: None, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing of the groups is forgotten: each property is an option with its words, or is no setting."""
    texts = {}
    for word in ("train", "shoot", "bake", "export", "film", "status", "jobs"):
        assert words.run([word, "--help"]) == 0
        texts[word] = " ".join(capsys.readouterr().out.split())
    for group, of in ((BackflipSettings, None), (BackflipDirection, "shoot")):
        for prop in options.properties_of(group):
            if of is None and prop.identifier in options.NO_SETTINGS:
                continue
            word = of or options.OF_OTHER_WORDS.get(prop.identifier, "train")
            assert f"{options.flag(prop)} " in texts[word], prop.identifier
            described = prop.type == "COLLECTION" or prop.description.rstrip(".")[:30] in texts[word]
            assert described, prop.identifier
    assert {prop.identifier for prop in BackflipSettings.bl_rna.properties} >= options.NO_SETTINGS
