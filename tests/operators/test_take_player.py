# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes that play in the viewport: what is drawn of them, when, and that nothing else is touched."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from backflip_addon.core import body as bodies  # noqa: E402
from backflip_addon.core.motion import save_motion, save_take  # noqa: E402
from backflip_addon.core.rigs import binding as bindings  # noqa: E402
from backflip_addon.jobs.events import Budget  # noqa: E402
from backflip_addon.jobs.folder import JobFolder  # noqa: E402
from backflip_addon.jobs.messages import Job  # noqa: E402
from backflip_addon.operators import job_monitor, take_places, take_player  # noqa: E402
from backflip_addon.scene import puppet, stored_avatar  # noqa: E402
from backflip_addon.scene.baking import nla  # noqa: E402
from tests.job_events import tell  # noqa: E402
from tests.scene import rigs  # noqa: E402
from tests.scene.takes import take, tumble  # noqa: E402


def scene() -> Any:
    return bpy.context.scene


def settings() -> Any:
    return scene().backflip


@pytest.fixture
def job(ops: Any, tmp_path: Path) -> JobFolder:
    """A character and a job of it with five takes; the last one is chosen."""
    scene().render.fps = 24
    armature = rigs.build(skin=True, name="Hero")
    ops.pick_avatar()
    ops.build_body()
    body, binding = stored_avatar.body_and_binding(scene())
    folder = JobFolder(tmp_path / "job")
    folder.create(
        Job(
            avatar=armature.name,
            body=bodies.to_json(body),
            binding=bindings.to_json(binding),
            settings={"minutes": 1.0},
        )
    )
    save_motion(folder.reference_file, tumble(body))
    for number in range(5):
        save_take(folder.takes / f"{number:04d}_search.npz", take(body))
        tell(folder, "take", file=f"{number:04d}_search.npz", source="search", score=0.1 * number)
    job_monitor.set_job(scene(), folder.path)
    job_monitor.refresh(scene(), whole=True)
    return folder


def figures() -> list[take_player.Figure]:
    return take_player.figures(scene(), wait=True)


def seek(seconds: float) -> None:
    settings().browser.position = 100.0 * seconds / take_player.times(scene())[1]


def shown_by_blender() -> Any:
    mesh = bpy.data.objects["Skin"].evaluated_get(bpy.context.evaluated_depsgraph_get())
    points = np.empty(len(mesh.data.vertices) * 3)
    mesh.data.vertices.foreach_get("co", points)
    matrix = np.array(mesh.matrix_world)
    return points.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3]


def place_beside() -> np.ndarray:
    """The way to where takes are shown that play in a loop: to the left of the character, which keeps its place."""
    return np.array([take_places.SPACING * settings().body_height, 0.0, 0.0])


def test_the_chosen_take_is_drawn_as_it_would_be_baked(job: JobFolder, ops: Any) -> None:
    assert len(figures()) == 1
    seek(20 / 24)
    (figure,) = figures()
    assert figure.name == "0004_search.npz" and figure.colour == 0
    ops.bake_take(take="0004_search.npz", start_frame=1)
    scene().frame_set(21)
    np.testing.assert_allclose(figure.points - place_beside(), shown_by_blender(), atol=1e-4)


def test_a_take_on_a_slope_is_drawn_and_baked_on_it(job: JobFolder, ops: Any) -> None:
    """Simulated in its floor's frame, with gravity leaning by 30 degrees to the left of the character."""
    body, _ = stored_avatar.body_and_binding(scene())
    leaning = [9.81 * np.sin(np.radians(30)), 0.0, -9.81 * np.cos(np.radians(30))]
    save_take(job.takes / "0009_replan.npz", take(body, scene={"gravity": leaning}))
    tell(job, "take", file="0009_replan.npz", source="replan", score=0.9)
    job_monitor.refresh(scene(), whole=True)
    points = []
    for name in ("0004_search.npz", "0009_replan.npz"):
        ops.bake_take(take=name, start_frame=1)
        scene().frame_set(1)
        points.append(shown_by_blender())
    level, sloping = (each - each.mean(axis=0) for each in points)
    u, _, v = np.linalg.svd(level.T @ sloping)
    turn = (u @ v).T  # the rotation that brings one nearest to the other (Kabsch 1976)
    np.testing.assert_allclose(level @ turn.T, sloping, atol=1e-3)
    assert np.degrees(np.arccos(turn[2, 2])) == pytest.approx(30.0, abs=0.1), "that much the vertical leans"
    assert np.degrees(np.arccos((np.trace(turn) - 1) / 2)) == pytest.approx(30.0, abs=0.1), "and nothing else turns"


def test_it_plays_in_a_loop_while_the_timeline_stands(
    job: JobFolder, ops: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures()
    clock = time.perf_counter()
    frame, action = scene().frame_current, settings().avatar.animation_data
    places = []
    for seconds in (0.1, 0.7, 1.6, 1.5 + take_player.REST_SECONDS + 0.1):
        monkeypatch.setattr(time, "perf_counter", lambda seconds=seconds: clock + seconds)
        if not places:
            player = take_player._player(scene())
            player.began = clock
        places.append(take_player.times(scene())[0])
        figures()
    assert places == pytest.approx([0.1, 0.7, 1.5, 0.1], abs=1e-3), "it rests at its end and begins again"
    assert (scene().frame_current, settings().avatar.animation_data) == (frame, action)
    ops.play_take()
    held = take_player.times(scene())[0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock + 10.0)
    assert take_player.paused(scene()) and take_player.times(scene())[0] == held
    ops.play_take()
    monkeypatch.setattr(time, "perf_counter", lambda: clock + 10.3)
    assert take_player.times(scene())[0] == pytest.approx(held + 0.3, abs=1e-3)


def test_it_goes_with_the_timeline_where_that_is_wanted(job: JobFolder) -> None:
    settings().browser.timeline, settings().start_frame = True, 11
    figures()
    scene().frame_set(11 + 12)
    with_timeline = figures()[0].points
    assert take_player.times(scene())[0] == pytest.approx(0.5)
    seek(0.5)
    assert not settings().browser.timeline, "who drags the slider looks through the take"
    np.testing.assert_allclose(figures()[0].points - place_beside(), with_timeline, atol=1e-6)


def test_four_takes_and_the_reference_are_compared(job: JobFolder, ops: Any) -> None:
    for number in (0, 1, 2):
        ops.compare_take(take=f"{number:04d}_search.npz")
    settings().browser.compare_reference = True
    found = figures()
    seek(0.4)
    over = {figure.name: figure.points for figure in figures()}
    assert [(figure.name[:4], figure.colour) for figure in found] == [
        *(("0004", 0), ("0000", 1), ("0001", 2), ("0002", 3)),
        ("", -1),
    ]
    settings().browser.layout = "beside"
    places = {figure.name[:4]: figure.points - over[figure.name] for figure in figures()}
    step = place_beside()
    for name, times in {"0004": 0, "0000": 1, "0001": 2, "0002": 3, "": -2}.items():
        np.testing.assert_allclose(places[name], np.broadcast_to(times * step, places[name].shape), atol=1e-5)
    ops.compare_take(take="0003_search.npz")
    assert len(figures()) == 5, "never more than four takes"
    with pytest.raises(RuntimeError, match="4 takes are being compared already"):
        ops.compare_take()
    ops.compare_take(take="0001_search.npz")
    assert [figure.name[:4] for figure in figures()] == ["0004", "0000", "0002", "0003", ""]
    with pytest.raises(RuntimeError, match="no take called"):
        ops.compare_take(take="nonsense.npz")


def test_a_heavy_character_is_shown_by_its_bodys_shapes(job: JobFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    mesh = len(figures()[0].points)
    assert mesh == len(bpy.data.meshes["Skin"].vertices)
    settings().browser.solid = True
    seek(0.4)
    solid = figures()[0].points
    settings().browser.solid = False
    take_player._clear()
    monkeypatch.setattr(puppet, "MOST_VERTICES", 1)
    figures()
    seek(0.4)
    np.testing.assert_array_equal(figures()[0].points, solid)


def test_a_damaged_take_is_said_to_be_and_the_others_play(job: JobFolder, ops: Any) -> None:
    (job.takes / "0002_search.npz").write_bytes(b"nonsense")
    ops.compare_take(take="0002_search.npz")
    with pytest.raises(RuntimeError, match="0002_search.npz cannot be shown"):
        ops.play_take(blocking=True)
    assert [figure.name for figure in figures()] == ["0004_search.npz"]
    assert take_player.trouble(scene()).endswith(".")


def test_nothing_of_it_is_kept_in_the_file(job: JobFolder, ops: Any, tmp_path: Path) -> None:
    def held() -> dict[str, int]:
        return {name: len(getattr(bpy.data, name)) for name in ("objects", "meshes", "actions", "images", "texts")}

    before = held()
    ops.compare_take(take="0001_search.npz")
    figures()
    ops.play_take(blocking=True)
    assert held() == before
    blend = tmp_path / "shot.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(blend))
    bpy.ops.wm.open_mainfile(filepath=str(blend))
    job_monitor.refresh(scene(), whole=True)
    assert held() == before and take_player.pins(scene()) == []


def test_a_deleted_take_is_compared_no_more_and_another_of_its_name_is_shown(job: JobFolder, ops: Any) -> None:
    ops.compare_take(take="0004_search.npz")
    assert len(figures()) == 1
    ops.delete_take(take="0004_search.npz")
    assert take_player.pins(scene()) == [] and [figure.name for figure in figures()] == ["0003_search.npz"]
    body, _binding = stored_avatar.body_and_binding(scene())
    save_motion(job.takes / "0004_search.npz", tumble(body, seconds=3.0))  # no take at all
    tell(job, "take", file="0004_search.npz")
    job_monitor.refresh(scene(), whole=True)
    settings().take_index = 4
    assert figures() == [] and "0004_search.npz cannot be shown" in take_player.trouble(scene())
    settings().takes[4].name = "0009_of_another_job.npz"  # as an undone step leaves it until the list is looked through
    assert figures() == [] and take_player.trouble(scene()) == ""


def test_the_first_take_of_a_training_plays_and_what_is_chosen_plays(
    job: JobFolder, ops: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken: list[Any] = []
    monkeypatch.setattr(take_player, "wake", lambda: woken.append(True))
    job_monitor._tick()
    assert not woken, "nothing is new"
    body, _binding = stored_avatar.body_and_binding(scene())
    save_take(job.takes / "0005_search.npz", take(body))
    tell(job, "take", file="0005_search.npz")
    job_monitor._tick()
    assert woken
    assert figures()[0].name == "0005_search.npz"
    seek(0.5)
    assert take_player.paused(scene())
    settings().take_index = 0
    assert not take_player.paused(scene()) and figures()[0].name == "0000_search.npz"


def test_while_a_take_is_loaded_the_one_before_is_shown_on(job: JobFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    figures()
    settings().take_index = 0
    player = take_player._player(scene())
    with monkeypatch.context() as slow:
        slow.setattr(player.tracks, "get", lambda *_args: None)
        assert take_player._advance(scene()) == take_player.WAIT_SECONDS
        assert [figure.name for figure in take_player.figures(scene())] == ["0004_search.npz"]
    assert [figure.name for figure in figures()] == ["0000_search.npz"]


def test_off_means_off(job: JobFolder, ops: Any) -> None:
    settings().show_take = False
    assert figures() == [] and take_player.compared(scene()) == []
    ops.play_take()
    assert settings().show_take and len(figures()) == 1


def test_what_a_bake_has_hidden_is_shown_where_it_is_asked_for(job: JobFolder, ops: Any) -> None:
    def ask(owner: Any, **values: Any) -> None:
        for name, value in values.items():
            setattr(owner, name, value)

    browser = settings().browser
    for asked in (
        lambda: ask(settings(), take_index=0),  # a click in the list
        lambda: ask(settings(), take_index=0),  # and another one on what was baked
        lambda: ops.choose_take(which="NEXT"),
        lambda: ops.compare_take(take="0003_search.npz"),
        lambda: ask(browser, compare_reference=True),
        lambda: ask(browser, position=50.0),
        lambda: ask(browser, timeline=True),
    ):
        ops.bake_take(take="0004_search.npz")
        assert not settings().show_take
        asked()
        assert settings().show_take and figures()
    ops.bake_take(take="0004_search.npz")
    settings().take_index, settings().show_take = 4, False
    body, _binding = stored_avatar.body_and_binding(scene())
    save_take(job.takes / "0005_search.npz", take(body))
    tell(job, "take", file="0005_search.npz")
    job_monitor._tick()
    assert settings().take_index == 5 and not settings().show_take, "nobody asked for the latest one"


def test_the_timer_loads_and_reads_in_small_pieces_and_rests_when_nothing_moves(
    job: JobFolder, ops: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(take_player, "WORK_SECONDS", -1.0)
    waits = []
    while not waits or waits[-1] == take_player.WAIT_SECONDS:
        waits.append(take_player._advance(scene()))
        time.sleep(0.005)
        assert len(waits) < 1000
    assert len(waits) > 3 and waits[-1] == take_player.FRAME_SECONDS
    assert len(take_player.figures(scene())[0].points) == len(bpy.data.meshes["Skin"].vertices)
    ops.play_take()
    assert take_player._advance(scene()) is None
    settings().browser.timeline = True
    assert take_player._advance(scene()) is None
    settings().show_take = False
    assert take_player._advance(scene()) is None


def test_a_computer_that_draws_slowly_keeps_as_much_time_for_its_user() -> None:
    pace = take_player._Pace()
    clock, waits = 100.0, []
    for drawing in (0.0, 0.001, 0.2, 0.2, 5.0, 0.0):
        waits.append(pace.next(take_player.FRAME_SECONDS, clock, False))
        clock += waits[-1] + drawing
    waits.append(pace.next(take_player.FRAME_SECONDS, clock, False))
    quick, slow = take_player.FRAME_SECONDS, take_player.SLOWEST_SECONDS
    assert waits == pytest.approx([quick, quick, quick, 0.2, 0.2, slow, quick])


def test_a_character_whose_reading_an_undo_broke_off_is_read_anew(job: JobFolder) -> None:
    player = take_player._player(scene())
    assert player is not None
    player.load(scene(), wait=True)
    for _piece in range(4):
        assert player.read(scene(), Budget(0.0)), "more is to come"
    mesh = bpy.data.objects["Skin"]
    mesh.name = "Elsewhere"  # as an undo has it
    while player.read(scene(), Budget(0.0)):
        pass
    mesh.name = "Skin"
    assert not player.read(scene(), Budget()) and player.skin is None, "what cannot be read is not tried at every tick"
    bpy.app.handlers.undo_post[bpy.app.handlers.undo_post.index(take_player._on_undo)](scene())
    assert not player.read(scene(), Budget()) and player.skin is not None


def test_a_bake_that_nobody_sees_says_so(job: JobFolder, ops: Any, capfd: pytest.CaptureFixture[str]) -> None:
    words, hero = "Hero is not visible in this view layer: show it to see the take.", settings().avatar
    ops.bake_take(take="0004_search.npz")
    assert words not in "".join(capfd.readouterr())
    away = bpy.data.collections.new("Away")
    scene().collection.children.link(away)
    for ob in (hero, *hero.children_recursive):
        away.objects.link(ob)
        scene().collection.objects.unlink(ob)
    bpy.context.view_layer.layer_collection.children["Away"].exclude = True
    assert ops.bake_take(take="0004_search.npz") == {"FINISHED"} and len(nla.baked_tracks(hero)) == 2
    assert words in "".join(capfd.readouterr())
