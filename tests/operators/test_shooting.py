# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of takes: the panel's fields, presets and the user's own, sweeps, and the queue."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

from backflip_addon.core import outcome  # noqa: E402
from backflip_addon.core.body import LINK_NAMES  # noqa: E402
from backflip_addon.core.direction import BOUNDS, MOST_IMPULSE, MOST_PART_MASS, PRESETS, Direction  # noqa: E402
from backflip_addon.jobs import trainer_process  # noqa: E402
from backflip_addon.jobs.folder import JobFolder  # noqa: E402
from backflip_addon.jobs.json_files import JobError  # noqa: E402
from backflip_addon.jobs.messages import Job, ShotRequest  # noqa: E402
from backflip_addon.operators import directions, job_monitor, training  # noqa: E402
from backflip_addon.settings.direction import PARTS, SWEEPS  # noqa: E402
from backflip_addon.settings.takes import OUTCOMES  # noqa: E402

ALL = Direction(
    push_at=0.7,
    push_link="foot.L",
    push_impulse=(12.0, -30.0, 9.0),
    friction=0.2,
    slope_deg=12.0,
    slope_heading_deg=-75.0,
    gravity=1.62,
    mass=1.5,
    part_mass={"chest": 15.0, "shin.L": 4.0},
    strength=0.8,
    fatigue=0.25,
    clumsiness=0.12,
    clumsiness_time=0.6,
    delay=0.15,
    drunk=0.7,
    start_noise=1.5,
    tone=0.0,
    reflex=False,
    falls_at=0.9,
)


def fields() -> Any:
    return bpy.context.scene.backflip.direction


def same(found: Direction, expected: Direction) -> None:
    found_values, values = found.to_json(), expected.to_json()
    assert found_values.keys() == values.keys()
    for name, value in values.items():
        assert found_values[name] == (
            value if isinstance(value, str | bool) else pytest.approx(value, rel=1e-4, abs=1e-4)
        ), name


@pytest.fixture
def folder(ops: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> JobFolder:
    """A job that has learned something, tied to the scene, and a trainer that never looks."""
    result = JobFolder(tmp_path / "job")
    result.create(Job(name="test", avatar="Hero", body={}, settings={}))
    (result.stages / "plan.npz").write_bytes(b"a plan")
    (result.stages / "0001_policy.pt").write_bytes(b"a policy")
    job_monitor.set_job(bpy.context.scene, result.path)
    monkeypatch.setattr(training, "python", lambda: None)
    monkeypatch.setattr(trainer_process, "start", lambda *_args: None)
    return result


def asked(folder: JobFolder) -> list[dict[str, Any]]:
    return [json.loads(file.read_text()) for file in sorted(folder.requests.glob("*.json"))]


def test_fields_that_nobody_touched_ask_for_nothing(ops: Any) -> None:
    assert directions.direction_of(fields()).to_json() == {}


@pytest.mark.parametrize("name", [*PRESETS, "everything"])
def test_a_preset_fills_the_fields_and_they_ask_for_it(ops: Any, name: str) -> None:
    directions.set_direction(fields(), ALL)  # what was asked for before is asked for no more
    if name != "everything":
        assert ops.use_direction(name=name) == {"FINISHED"}
    same(directions.direction_of(fields()), PRESETS.get(name, ALL))
    assert ops.use_direction(name=directions.UNDIRECTED) == {"FINISHED"}
    assert directions.direction_of(fields()).to_json() == {}


def test_a_push_points_where_its_angles_say(ops: Any) -> None:
    fields().push, fields().push_strength = True, 50.0
    for heading, elevation, expected in (
        (0.0, 0.0, (0.0, -50.0, 0.0)),  # the way it faces
        (90.0, 0.0, (50.0, 0.0, 0.0)),  # to its left
        (180.0, 30.0, (0.0, 50.0 * math.cos(math.radians(30)), 25.0)),
        (0.0, -90.0, (0.0, 0.0, -50.0)),
    ):
        fields().push_heading, fields().push_elevation = math.radians(heading), math.radians(elevation)
        assert directions.direction_of(fields()).push_impulse == pytest.approx(expected, abs=1e-3)


def test_limits_of_the_fields_are_those_of_a_direction(ops: Any) -> None:
    limits = {name: (least, most) for name, (least, most, _words) in BOUNDS.items()}
    degrees = {"slope_deg": "slope", "slope_heading_deg": "slope_heading"}
    for name, (least, most) in limits.items():
        factor = math.pi / 180 if name in degrees else 1.0
        field = fields().bl_rna.properties[degrees.get(name, name)]
        assert (field.hard_min, field.hard_max) == pytest.approx((least * factor, most * factor)), name
        assert field.description and field.name
    assert fields().bl_rna.properties["push_strength"].hard_max == MOST_IMPULSE
    load = bpy.types.BackflipLoad if hasattr(bpy.types, "BackflipLoad") else type(fields().loads.add())
    assert load.bl_rna.properties["kilograms"].hard_max == MOST_PART_MASS
    assert {part for part, _label, _meaning in PARTS} == set(LINK_NAMES)
    assert {kind for kind, _label, _meaning in OUTCOMES} == set(outcome.KINDS)


def test_shots_are_asked_for_with_seeds_counted_up_and_in_the_chosen_manner(folder: JobFolder, ops: Any) -> None:
    fields().count, fields().seed = 3, 7
    assert ops.shoot(preset="Ice rink") == {"FINISHED"}
    found = asked(folder)
    assert [shot["seed"] for shot in found] == [7, 8, 9] and fields().seed == 10
    assert all(shot["replan"] and shot["direction"] == {"friction": 0.1} for shot in found)
    fields().manner, fields().count, fields().stage = "learned", 1, "0001_policy.pt"
    ops.shoot()
    assert [shot["seed"] for shot in asked(folder)] == [7, 8, 9, 10]
    last = folder.pending_requests()[-1]
    shot = ShotRequest.of(last, 0.9)
    assert not shot.replan and shot.stage == "0001_policy.pt" and shot.direction.friction == 0.1 and not shot.disturbed


def test_the_queue_is_shown_and_can_be_emptied(folder: JobFolder, ops: Any) -> None:
    fields().count = 100
    ops.shoot(preset="Moon")
    folder.request("pause")
    job_monitor.refresh(bpy.context.scene, whole=True)
    waiting = job_monitor.queue(bpy.context.scene)
    assert len(waiting) == 100 and waiting[0].name == "Shot 0: gravity 1.62 m/s²" and waiting[99].seed == 99
    assert ops.empty_queue() == {"FINISHED"}
    assert job_monitor.queue(bpy.context.scene) == [] and [shot["kind"] for shot in asked(folder)] == ["pause"]
    with pytest.raises(RuntimeError, match="No take is waiting"):
        ops.empty_queue()


def test_a_strangers_request_in_the_queue_is_shown_as_such(folder: JobFolder) -> None:
    folder.request("shoot", seed=-5)
    folder.request("shoot", direction={"gravity": "down"})
    job_monitor.refresh(bpy.context.scene, whole=True)
    assert job_monitor.queue(bpy.context.scene) == [None, None]


@pytest.mark.parametrize(
    ("what", "first", "last", "field", "expected"),
    [
        ("gravity", 2.0, 10.0, "gravity", [2.0, 6.0, 10.0]),
        ("slope", 0.0, 20.0, "slope_deg", [0.0, 10.0, 20.0]),
        ("clumsiness", 0.0, 20.0, "clumsiness", [math.radians(x) for x in (0, 10, 20)]),
        ("friction", 0.1, 0.9, "friction", [0.1, 0.5, 0.9]),
        ("push_strength", 10.0, 90.0, "push_impulse", [(0.0, -x, 0.0) for x in (10.0, 50.0, 90.0)]),
        ("falls_at", 0.2, 1.0, "falls_at", [0.2, 0.6, 1.0]),
    ],
)
def test_a_sweep_goes_from_one_value_to_another(
    folder: JobFolder, ops: Any, what: str, first: float, last: float, field: str, expected: list[Any]
) -> None:
    fields().count, fields().sweep, fields().sweep_what = 3, True, what
    fields().sweep_from, fields().sweep_to = first, last
    ops.shoot()
    found = [Direction.from_json(shot["direction"]) for shot in asked(folder)]
    assert [getattr(direction, field) for direction in found] == [pytest.approx(value, abs=1e-4) for value in expected]


@pytest.mark.parametrize("what", [name for name, _label, _meaning in SWEEPS])
def test_a_value_that_is_chosen_for_a_sweep_brings_a_range_that_makes_sense(
    folder: JobFolder, ops: Any, what: str
) -> None:
    fields().push, fields().count, fields().sweep, fields().sweep_what = True, 4, True, "drunk"
    fields().sweep_what = what
    ops.shoot()
    names = [ShotRequest(direction=Direction.from_json(shot["direction"])).name for shot in asked(folder)]
    assert len(set(names)) == 4  # each says how much
    assert "…" in directions.title_of(fields())


def test_a_sweep_that_makes_no_sense_is_refused_and_nothing_is_asked_for(folder: JobFolder, ops: Any) -> None:
    fields().count, fields().sweep, fields().sweep_what, fields().sweep_to = 3, True, "gravity", 99.0
    with pytest.raises(RuntimeError, match="gravity, in m/s², is not a number from 0.5 to 30"):
        ops.shoot()
    fields().sweep_what = "push_at"
    with pytest.raises(RuntimeError, match="Nothing is pushed"):
        ops.shoot()
    assert asked(folder) == []


def test_the_users_own_presets_are_kept_for_all_files(
    ops: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(directions, "_folder", lambda: tmp_path / "directions")
    with pytest.raises(RuntimeError, match="name of letters"):
        ops.save_direction(name=" ./ ")
    with pytest.raises(RuntimeError, match="comes with the add-on"):
        ops.save_direction(name="Moon")
    directions.set_direction(fields(), ALL)
    assert ops.save_direction(name="Like in shot 12/b") == {"FINISHED"}
    bpy.ops.wm.read_factory_settings(use_empty=True)
    assert list(directions.saved_directions()) == ["Like in shot 12_b"]
    ops.use_direction(name="Like in shot 12_b")
    same(directions.direction_of(fields()), ALL)
    ops.delete_direction(name="Like in shot 12_b")
    with pytest.raises(RuntimeError, match="no preset called"):
        ops.use_direction(name="Like in shot 12_b")
    (tmp_path / "directions" / "Odd.json").write_text('{"gravity": 99}')
    with pytest.raises(JobError, match=r"Odd\.json cannot be used: .*gravity"):
        directions.read_direction("Odd")


def test_loads_are_added_and_removed(ops: Any) -> None:
    ops.add_load()
    ops.add_load()
    fields().loads[1].part, fields().loads[1].kilograms = "shin.L", 4.0
    assert directions.direction_of(fields()).part_mass == {"chest": 5.0, "shin.L": 4.0}
    ops.remove_load(index=0)
    with pytest.raises(RuntimeError, match="no such load"):
        ops.remove_load(index=1)
    assert directions.direction_of(fields()).part_mass == {"shin.L": 4.0}


def test_a_stage_is_chosen_by_name(folder: JobFolder, ops: Any) -> None:
    job_monitor.refresh(bpy.context.scene)
    assert job_monitor.stages(bpy.context.scene) == ["0001_policy.pt"]
    ops.choose_stage(stage="0001_policy.pt")
    assert fields().stage == "0001_policy.pt"
    with pytest.raises(RuntimeError, match="no stage called"):
        ops.choose_stage(stage="0009_policy.pt")
    (folder.stages / "0001_policy.pt").unlink()
    with pytest.raises(RuntimeError, match="no stage called 0001_policy.pt; choose another"):
        ops.shoot()
    assert asked(folder) == []
    ops.choose_stage()
    assert fields().stage == ""
