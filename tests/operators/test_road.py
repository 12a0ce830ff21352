# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole road with the real trainer: a mannequin learns a small thing, and gets it as keyframes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from backflip_addon.core.clips.deepmimic import FRAME_NUMBERS, JOINT_ORDER  # noqa: E402
from backflip_addon.core.motion import load_take  # noqa: E402
from backflip_addon.jobs.json_files import JobError  # noqa: E402
from backflip_addon.operators import job_link, job_monitor, training  # noqa: E402
from backflip_addon.scene import stored_avatar  # noqa: E402
from backflip_addon.scene.baking import bake_error  # noqa: E402


def crouch(path: Path) -> Path:
    """A DeepMimic clip of 0.8 s: from standing, a little down and up again."""
    frames = []
    for phase in np.linspace(0, np.pi, 13):
        bend = 0.5 * np.sin(phase) ** 2
        hip, knee, ankle = bend, -2 * bend, bend  # about the figure's right: thigh ahead, shin back, foot level
        drop = 0.4215 * (1 - np.cos(bend)) + 0.4099 * (1 - np.cos(bend))
        values = [1 / 15, 0.0, 0.8814 - drop, 0.0, 1.0, 0.0, 0.0, 0.0]
        for name in JOINT_ORDER:
            angle = {"thigh": hip, "foot": ankle}.get(name.split(".")[0], 0.0)
            if name.startswith("shin"):
                values.append(knee)
            elif name.startswith("forearm"):
                values.append(0.1)
            else:
                values += [np.cos(angle / 2), 0.0, 0.0, np.sin(angle / 2)]
        assert len(values) == FRAME_NUMBERS
        frames.append([float(value) for value in values])
    frames[-1][0] = 0.0
    path.write_text(json.dumps({"Loop": "none", "Frames": frames}), encoding="utf-8")
    return path


@pytest.fixture
def trained(ops: Any, tmp_path: Path) -> Any:
    try:
        training.python()
    except JobError as error:
        pytest.skip(f"no trainer here: {error}")
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "road.blend"))
    ops.add_mannequin()
    ops.map_bones()
    ops.build_body()
    ops.import_reference(filepath=str(crouch(tmp_path / "crouch.txt")))
    ops.start_training(blocking=True, minutes=20.0, mode="search", seed=1, stop_when_landed=True)
    return ops


def test_the_road(trained: Any) -> None:
    learned_take_becomes_keyframes(trained)
    shoot_more_records_another_take(trained)


def learned_take_becomes_keyframes(trained: Any) -> None:
    scene = bpy.context.scene
    status = job_monitor.status_of(scene)
    assert status is not None and status.state == "finished" and status.landed, status
    trained.bake_take()
    take = load_take(job_link.job_of(scene).takes / status.best_take)
    assert take.meta["measures"]["landed"] is True
    assert not take.assist.any() and 0.0 < take.torque.max() <= 1.0 + 1e-6
    body, binding = stored_avatar.body_and_binding(scene)
    distance, angle = bake_error.bake_error(
        stored_avatar.avatar(scene), body, binding, take.motion, scene.backflip.baked_first, scene
    )
    assert distance < 1.0 and angle < 0.1


def shoot_more_records_another_take(trained: Any) -> None:
    scene = bpy.context.scene
    before = job_monitor.status_of(scene).takes
    trained.shoot_more(count=1, seed=7, friction=0.8, mass=1.05, blocking=True)
    files = job_link.job_of(scene).list_takes()
    take = load_take(files[-1])
    assert job_monitor.status_of(scene).takes == before + 1
    assert take.meta["source"] == "replan"
    assert take.meta["scene"]["friction"] == pytest.approx(0.8) and take.meta["scene"]["mass"] == pytest.approx(1.05)
