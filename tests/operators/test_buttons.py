# SPDX-License-Identifier: GPL-3.0-or-later
"""No button lies: dialogs ask each time, steps show what they used, and in a bad moment there is a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

from backflip_addon.core import body as bodies  # noqa: E402
from backflip_addon.core.motion import save_motion, save_take  # noqa: E402
from backflip_addon.core.rigs import binding as bindings  # noqa: E402
from backflip_addon.jobs.folder import JobFolder  # noqa: E402
from backflip_addon.jobs.messages import Job  # noqa: E402
from backflip_addon.operators import (  # noqa: E402  # noqa: E402
    avatar,
    baking,
    bone_map,
    directions,
    export,
    job_link,
    job_monitor,
    reference,
    shooting,
    take_browser,
    take_player,
    takes,
    training,
)
from backflip_addon.operators.base import FileStep, SaveStep  # noqa: E402
from backflip_addon.scene import stored_avatar  # noqa: E402
from backflip_addon.scene.armature.bind_matrix import SkeletonError  # noqa: E402
from backflip_addon.scene.baking import nla  # noqa: E402
from backflip_addon.scene.exporting import exporter  # noqa: E402
from backflip_addon.scene.exporting.exporter import ExportError  # noqa: E402
from tests.job_events import tell  # noqa: E402
from tests.scene import rigs  # noqa: E402
from tests.scene.takes import take, tumble  # noqa: E402

STEP_FILES = (
    avatar,
    bone_map,
    reference,
    training,
    takes,
    directions,
    shooting,
    take_browser,
    take_player,
    baking,
    export,
)
STEPS = [step for file in STEP_FILES for step in file.CLASSES]


def settings() -> Any:
    return bpy.context.scene.backflip


def rna(step: Any) -> Any:
    return getattr(bpy.ops.backflip, step.bl_idname.partition(".")[2]).get_rna_type().properties


def job(folder: Path, *events: dict[str, Any]) -> JobFolder:
    """A job of the avatar's with a take for each event; the scene is tied to it."""
    scene = bpy.context.scene
    body, binding = stored_avatar.body_and_binding(scene)
    job = JobFolder(folder)
    job.create(
        Job(
            name="job",
            avatar=settings().avatar.name,
            body=bodies.to_json(body),
            binding=bindings.to_json(binding),
            settings={},
        )
    )
    save_motion(job.reference_file, tumble(body))
    for number, event in enumerate(events):
        name = f"{number:04d}_search.npz"
        save_take(job.takes / name, take(body, name=f"Take {number}"))
        tell(job, "take", file=name, **event)
    job_monitor.set_job(scene, job.path)
    job_monitor.refresh(scene, whole=True)
    return job


@pytest.fixture
def hero(ops: Any) -> Any:
    armature = rigs.build(skin=True, name="Hero")
    ops.pick_avatar()
    ops.build_body()
    return armature


@pytest.fixture
def baked(hero: Any, ops: Any, tmp_path: Path) -> Any:
    job(tmp_path / "job", {"landed": True, "score": 0.5})
    ops.bake_take()
    return hero


# Files


@pytest.mark.parametrize("step", [s for s in STEPS if issubclass(s, FileStep)] + [training.FindJob])
def test_no_path_is_remembered_from_one_press_to_the_next(ops: Any, step: Any) -> None:
    for name in ("filepath", "directory", "filename", "files", "asked", "check_existing"):
        if name in rna(step):
            assert rna(step)[name].is_skip_save, name


@pytest.mark.parametrize("step", [s for s in STEPS if issubclass(s, FileStep)])
@pytest.mark.parametrize("path", ["", "folder/"])
def test_a_dialog_left_without_a_file_says_to_choose_one(
    baked: Any, ops: Any, tmp_path: Path, step: Any, path: str
) -> None:
    (tmp_path / "folder").mkdir()
    words = "Name the file to write" if issubclass(step, SaveStep) else "Choose a file"
    with pytest.raises(RuntimeError, match=words):
        getattr(ops, step.bl_idname.partition(".")[2])(filepath=path and f"{tmp_path}/{path}")


class Pressed:
    """What an operator has of Blender's, without a window."""

    def __init__(self, step: Any, **given: Any) -> None:
        self.__dict__.update(dict(filepath="", format="FBX", shown_format="FBX", asked=False, filter_glob=""), **given)
        self.properties = self
        self.step = step
        self.given = given

    def is_property_set(self, name: str) -> bool:
        return name in self.given

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.step, name)
        return found.__get__(self) if callable(found) else found


class Window:
    """A context whose window counts the dialogs."""

    def __init__(self) -> None:
        self.scene, self.window_manager, self.dialogs = bpy.context.scene, self, 0

    def fileselect_add(self, _operator: Any) -> None:
        self.dialogs += 1


@pytest.mark.parametrize("step", [bone_map.SaveMap])
def test_a_button_that_writes_asks_even_where_a_name_is_given(hero: Any, step: Any, tmp_path: Path) -> None:
    window = Window()
    pressed = Pressed(step, filepath=str(tmp_path / "map.json"))
    assert SaveStep.invoke(pressed, window, None) == {"RUNNING_MODAL"}
    assert window.dialogs == 1 and pressed.asked and rna(step)["check_existing"].default


@pytest.mark.parametrize(
    ("typed", "kind", "shown", "after"),
    [
        ("shot", "FBX", "shot.fbx", "FBX"),
        ("shot.v2", "FBX", "shot.v2.fbx", "FBX"),
        ("shot.blend", "FBX", "shot.blend.fbx", "FBX"),
        ("shot.glb", "FBX", "shot.glb", "GLTF"),
        ("SHOT.FBX", "FBX", "SHOT.FBX", "FBX"),
        ("shot.usdz", "BVH", "shot.usdz", "USD"),
    ],
)
def test_the_dialog_shows_the_name_that_will_be_written(
    ops: Any, tmp_path: Path, typed: str, kind: str, shown: str, after: str
) -> None:
    pressed = Pressed(export.ExportShot, filepath=str(tmp_path / typed), format=kind, shown_format=kind)
    export.ExportShot.check(pressed, None)
    assert (Path(pressed.filepath).name, pressed.format) == (shown, after)
    assert not export.ExportShot.check(pressed, None)


def test_another_format_in_the_dialog_changes_the_ending(ops: Any, tmp_path: Path) -> None:
    pressed = Pressed(export.ExportShot, filepath=str(tmp_path / "shot.v2.fbx"), format="GLTF", shown_format="FBX")
    assert export.ExportShot.check(pressed, None)
    assert Path(pressed.filepath).name == "shot.v2.glb"


def test_a_file_that_the_dialog_did_not_show_is_not_replaced(baked: Any, ops: Any, tmp_path: Path) -> None:
    (tmp_path / "shot.fbx").write_text("good")
    with pytest.raises(RuntimeError, match="exists already"):
        ops.export_shot(filepath=str(tmp_path / "shot"), format="FBX", asked=True)
    with pytest.raises(RuntimeError, match="Name the file"):
        ops.export_shot(filepath=f"{tmp_path}/", format="FBX")
    assert (tmp_path / "shot.fbx").read_text() == "good"


def test_no_name_is_shortened(baked: Any, ops: Any, tmp_path: Path) -> None:
    (tmp_path / "shot.fbx").write_text("good")
    (tmp_path / "map.json").write_text("good")
    ops.export_shot(filepath=str(tmp_path / "shot.v2"), format="FBX")
    ops.export_shot(filepath=str(tmp_path / "shot.blend"), format="FBX")
    ops.save_map(filepath=str(tmp_path / "map.old"))
    assert (tmp_path / "shot.fbx").read_text() == (tmp_path / "map.json").read_text() == "good"
    for name in ("shot.v2.fbx", "shot.blend.fbx", "map.old.json"):
        assert (tmp_path / name).stat().st_size > 100


@pytest.mark.parametrize(("kind", "name"), [("FBX", "shot.fbx"), ("GLTF", "shot.gltf"), ("USD", "shot.usdz")])
def test_a_good_export_survives_a_failed_one(
    baked: Any, ops: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, name: str
) -> None:
    place = tmp_path / "out"
    place.mkdir()
    (place / name).write_text("good")

    def fail(path: str, _staged: Any) -> None:
        Path(path).write_text("half")
        raise RuntimeError("Error: no room")

    with monkeypatch.context() as patch:
        patch.setitem(exporter._WRITERS, kind, fail)
        with pytest.raises(RuntimeError, match="no room"):
            ops.export_shot(filepath=str(place / name), format=kind)
    assert [file.name for file in place.iterdir()] == [name] and (place / name).read_text() == "good"
    ops.export_shot(filepath=str(place / name), format=kind)
    assert (place / name).stat().st_size > 1000
    assert not [file.name for file in place.iterdir() if file.name.startswith(".")]
    if name.endswith(".gltf"):
        buffer = json.loads((place / name).read_text())["buffers"][0]["uri"]
        assert buffer == "shot.bin" and (place / buffer).is_file()


def test_a_name_is_proposed(baked: Any, ops: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    pressed, name = Pressed(export.ExportShot, format="GLTF"), "Hero_Take_0_Helped_along.glb"
    assert SaveStep.proposed(pressed, bpy.context) == str(tmp_path / name), "beside the file"
    monkeypatch.setitem(SaveStep.folders, pressed.bl_idname, str(tmp_path.parent))
    assert SaveStep.proposed(pressed, bpy.context) == str(tmp_path.parent / name), "where it was left"


WROTE = exporter.Exported(Path("x.fbx"), 1, 1)


def test_the_export_is_of_the_take_that_plays(baked: Any, ops: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    spans = []
    monkeypatch.setattr(export.exporter, "export_shot", lambda _ob, path, _kind, *span: spans.append(span) or WROTE)
    first = nla.playing_track(baked).name
    ops.bake_take(start_frame=100)
    ops.export_shot(filepath="x.fbx")
    ops.show_take(track=first)
    ops.export_shot(filepath="x.fbx")
    assert spans == [(100, 136), (1, 37)]
    ops.show_take(own=True)
    with pytest.raises(RuntimeError, match="press Show Take first"):
        ops.export_shot(filepath="x.fbx")


# What a step lacks, and what it used


def test_bake_needs_a_take_and_shoot_more_something_learned(hero: Any, ops: Any, tmp_path: Path) -> None:
    assert not ops.bake_take.poll() and not ops.shoot_more.poll()
    folder = job(tmp_path / "job")
    assert not ops.bake_take.poll() and not ops.shoot_more.poll()
    with pytest.raises(RuntimeError, match="There is no take yet"):
        ops.bake_take()
    with pytest.raises(RuntimeError, match="nothing yet"):
        ops.shoot_more()
    (folder.stages / "plan.npz").write_bytes(b"plan")
    job_monitor.refresh(bpy.context.scene)
    assert ops.shoot_more.poll()
    assert rna(takes.ShootMore)["blocking"].is_hidden


def test_the_best_take_stands(hero: Any, ops: Any, tmp_path: Path) -> None:
    job(
        tmp_path / "job",
        {"landed": False, "score": 0.99},
        {"landed": True, "score": 0.9, "stands_3_s": False},
        {"landed": True, "score": 0.7, "stands_3_s": True},
        {"landed": True, "score": 0.8, "success": False, "stands_3_s": True},
        {"landed": True, "score": 0.85},
    )
    assert takes.find_take(bpy.context.scene).name == "0002_search.npz"
    files = {file.name: file for file in job_link.job_of(bpy.context.scene).list_takes()}
    assert takes._best(bpy.context.scene, files).name == "0002_search.npz"


def test_a_take_of_another_character_says_whose_it_is(hero: Any, ops: Any, tmp_path: Path) -> None:
    job(tmp_path / "job", {"landed": True})
    rigs.build(rigs.a_pose(), name="Villain")
    ops.pick_avatar(armature="Villain")
    ops.build_body()
    with pytest.raises(RuntimeError, match="performed by Hero, and the avatar is Villain; choose Hero as the avatar"):
        ops.bake_take()
    bpy.data.objects.remove(hero)
    with pytest.raises(RuntimeError, match="performed by Hero, and the avatar is Villain; train Villain"):
        ops.bake_take()


@pytest.mark.parametrize(("scale", "words"), [((3, 3, 3), "scaled"), ((-1, 1, 1), "mirrored")])
def test_a_rig_of_another_size_is_refused_by_every_step(
    hero: Any, ops: Any, tmp_path: Path, samples: Path, scale: tuple, words: str
) -> None:
    ops.import_reference(filepath=str(samples / "motions" / "deepmimic_sideflip.txt"))
    job(tmp_path / "job", {"landed": True})
    hero.scale = scale
    bpy.context.view_layer.update()
    for press in (ops.bake_take, ops.check_pose):
        with pytest.raises(RuntimeError, match=f"{words} since"):
            press()
    with pytest.raises(SkeletonError, match=f"{words} since"):
        training.create_job(bpy.context.scene, tmp_path / "new", {})
    assert not (tmp_path / "new").exists()


class Used:
    """Runs a step as Blender does, and keeps what it has in the end."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch

    def __call__(self, step: Any, **given: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        run = step.run

        def spy(operator: Any, context: Any) -> Any:
            result = run(operator, context)
            names = [prop.identifier for prop in rna(step)]
            found.update({name: getattr(operator, name) for name in names if name != "rna_type"})
            return result

        with self.monkeypatch.context() as patch:
            patch.setattr(step, "run", spy)
            getattr(bpy.ops.backflip, step.bl_idname.partition(".")[2])(**given)
        return found


def test_steps_show_what_they_used(hero: Any, ops: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used = Used(monkeypatch)
    job(tmp_path / "job", {"landed": True})
    settings().start_frame = 21
    shown = used(baking.BakeTake)
    assert (shown["start_frame"], shown["take"], shown["name"]) == (21, "0000_search.npz", "Hero Take 0 Helped along")
    assert used(baking.BakeTake, start_frame=0)["start_frame"] == 0
    assert used(baking.ShowTake)["track"].startswith("Backflip: ")
    assert used(avatar.BuildBody)["mass"] == pytest.approx(settings().body_mass, rel=1e-3)
    assert settings().mass == 0.0
    settings().mass = 80.0
    assert used(avatar.BuildBody)["mass"] == pytest.approx(80.0)
    assert used(avatar.PickAvatar)["armature"] == "Hero"
    hero.data.bones.active = hero.data.bones["spine"]
    shown = used(bone_map.SetRole, role="chest")
    assert (shown["role"], shown["bone"]) == ("chest", "spine")


def test_internal_names_are_not_shown(ops: Any) -> None:
    hidden = {
        baking.BakeTake: ("take",),
        baking.ShowTake: ("track",),
        takes.ShootMore: ("blocking",),
        bone_map.SetRole: ("role",),
        bone_map.ClearRole: ("role",),
        reference.ApplyFix: ("code",),
        reference.ReferenceFromAction: ("slot",),
    }
    for step, names in hidden.items():
        assert all(rna(step)[name].is_hidden for name in names), step
    for step in STEPS:  # nothing is filled in from the last time but by the step itself
        kept = [p.identifier for p in rna(step) if p.identifier not in ("rna_type", "timeout") and not p.is_skip_save]
        assert not kept, (step, kept)


# Bad moments


def _edit(armature: Any) -> None:
    bpy.context.view_layer.objects.active = armature
    bpy.ops.object.mode_set(mode="EDIT")


def _pose(armature: Any) -> None:
    bpy.context.view_layer.objects.active = armature
    bpy.ops.object.mode_set(mode="POSE")


def _excluded(armature: Any) -> None:
    collection = bpy.data.collections.new("Away")
    bpy.context.scene.collection.children.link(collection)
    collection.objects.link(armature)
    bpy.context.scene.collection.objects.unlink(armature)
    bpy.context.view_layer.layer_collection.children["Away"].exclude = True


def _damaged(armature: Any) -> None:
    action = nla.playing_track(armature).strips[0].action
    action["backflip_before"], action["backflip_own"] = 5, "[1"
    armature["backflip_check"], armature["backflip_vrm"] = "x", 3
    settings()["reference_notes"] = "nonsense"


MOMENTS: dict[str, Callable[[Any], Any]] = {
    "as it should be": lambda _ob: None,
    "edit mode": _edit,
    "pose mode": _pose,
    "nothing active": lambda _ob: setattr(bpy.context.view_layer.objects, "active", None),
    "hidden": lambda ob: ob.hide_set(True),
    "disabled": lambda ob: (setattr(ob, "hide_viewport", True), setattr(ob, "hide_select", True)),
    "avatar deleted": lambda ob: bpy.data.objects.remove(ob),
    "avatar out of the scene": lambda ob: bpy.context.scene.collection.objects.unlink(ob),
    "collection excluded": _excluded,
    "another scene": lambda _ob: bpy.ops.scene.new(type="NEW"),
    "damaged memories": _damaged,
}
QUIET = {"backflip.start_training", "backflip.resume_training", "backflip.shoot_more", "backflip.shoot"}
QUIET |= {"backflip.wait_job"}


@pytest.mark.parametrize("moment", MOMENTS)
def test_every_button_finishes_or_says_why_not(baked: Any, ops: Any, tmp_path: Path, moment: str) -> None:
    MOMENTS[moment](baked)
    for step in STEPS:
        if step.bl_idname in QUIET:
            continue  # they start processes, or wait for them
        given = {"filepath": str(tmp_path / "any.bvh")} if issubclass(step, FileStep) else {}
        for _ in range(2):
            try:
                getattr(ops, step.bl_idname.partition(".")[2])(**given)
            except RuntimeError as error:
                assert "Traceback" not in str(error), (step, error)
                assert len(str(error).strip()) > 20


@pytest.mark.parametrize("moment", ["hidden", "disabled", "pose mode", "nothing active"])
def test_a_hidden_avatar_is_exported_and_hidden_again(baked: Any, ops: Any, tmp_path: Path, moment: str) -> None:
    MOMENTS[moment](baked)
    before = (baked.hide_get(), baked.hide_viewport, baked.hide_select)
    ops.export_shot(filepath=str(tmp_path / "shot.bvh"))
    assert "JOINT" in (tmp_path / "shot.bvh").read_text()
    assert before == (baked.hide_get(), baked.hide_viewport, baked.hide_select)


def test_an_avatar_that_is_not_in_the_view_layer_is_exported(baked: Any, ops: Any, tmp_path: Path) -> None:
    _excluded(baked)
    ops.export_shot(filepath=str(tmp_path / "shot.fbx"))
    assert (tmp_path / "shot.fbx").stat().st_size > 50_000
    with pytest.raises(ExportError, match="Name the file"):
        exporter.export_shot(baked, "", "FBX", 1, 2)
