# SPDX-License-Identifier: GPL-3.0-or-later
"""Two engines that perform: the same performance by either, and one of them enough for the whole road."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba")

from backflip_addon.core import metrics, rotations
from backflip_addon.core import motion as motions
from backflip_addon.core.body import Body
from backflip_addon.core.direction import Direction
from backflip_addon.core.motion import Motion, Take
from backflip_addon.jobs.folder import JobFolder
from backflip_addon.jobs.json_files import JobError
from backflip_addon.jobs.messages import JobSettings
from backflip_addon.trainer.imitation.performance import Performance
from backflip_addon.trainer.imitation.reference_track import Track
from backflip_addon.trainer.physics import engines
from backflip_addon.trainer.physics.compiled.recorded_batch import RecordedBatch
from backflip_addon.trainer.physics.state import Scene, States, stacked
from tests.core import performances
from tests.trainer.conftest import ENGINES
from tests.trainer.whole_jobs import PATIENCE, REPOSITORY, events, make_job, of_kind

BODY = performances.body()
WEIGHT = 9.81 * sum(link.mass for link in BODY.links)  # N
FEET = [BODY.index("foot.L"), BODY.index("foot.R")]
X, Y, Z = np.eye(3)


def performed(engine: str, reference: Motion, scene: Scene | None = None, body: Body = BODY) -> Take:
    """A reference's own controls, performed from its first frame."""
    track = Track(body, reference)
    performance = Performance(track, scene or Scene(), track.states[0], engine)
    performance.run(track.targets(np.zeros((track.steps, track.layout.width)), 0))
    take = performance.final_take(seed=3)
    performance.close()
    return take


def dropped(height: float) -> Motion:
    """Standing in the air, an arm swinging."""
    motion = performances.standing(BODY, 0.5)
    turns = motion.rotations.copy()
    turns[:, BODY.index("upper_arm.L")] = rotations.from_axis_angle(Y, np.linspace(0.0, 0.6, motion.frames))
    return dataclasses.replace(motion, position=motion.position + height * Z, rotations=turns)


def off_path(takes: list[Take], frames: slice) -> float:
    """How far apart the roots of two takes come, m."""
    one, other = (take.motion.position[frames] for take in takes)
    return float(np.linalg.norm(one - other, axis=1).max())


def test_both_fall_alike_and_touch_down_in_the_same_frame() -> None:
    pytest.importorskip("pybullet")
    takes = [performed(engine, dropped(0.2)) for engine in ENGINES]
    touched = [int(np.argmax(take.contacts.any(axis=1))) for take in takes]
    # 0.2 m are fallen in 0.2019 s, frame 24.2; PyBullet and the step find a contact at a substep's beginning
    assert touched[0] == touched[1] and 24 <= touched[0] <= 26
    assert off_path(takes, slice(touched[0])) < 0.001
    for take in takes:
        assert not take.load[: touched[0]].any(), "nothing bears in the air"


def test_both_stand_alike() -> None:
    pytest.importorskip("pybullet")
    reference = performances.astride(BODY)
    takes = [performed(engine, reference) for engine in ENGINES]
    assert off_path(takes, slice(None)) < 0.02
    one, other = (metrics.evaluate_take(BODY, reference, take) for take in takes)
    assert one.stands_3_s and other.stands_3_s and not one.illegal_contacts and not other.illegal_contacts
    for name, tolerance in (("g_mpjpe_mm", 4.0), ("slide_cm", 1.0), ("slip_cm_s", 0.5), ("landing_bw", 0.1)):
        assert getattr(one, name) == pytest.approx(getattr(other, name), abs=tolerance), name


@pytest.mark.parametrize("mass", [1.0, 1.3])
def test_a_standing_body_weighs_what_it_weighs(engine: str, mass: float) -> None:
    take = performed(engine, performances.astride(BODY), Scene(mass=mass))
    load = take.load[-60:]
    assert load.sum(axis=1).mean() == pytest.approx(mass * WEIGHT, rel=0.02)
    assert not np.delete(load, FEET, axis=1).any() and not np.delete(take.contacts, FEET, axis=1).any()


@pytest.mark.parametrize("mass", [1.0, 1.3])
def test_effort_is_the_torque_of_the_joint_nearest_its_limit(engine: str, mass: float) -> None:
    """An arm held out sideways: what it weighs times how far out, over what the shoulder can do."""
    shoulder, others = BODY.index("upper_arm.L"), 1e5
    links = [dataclasses.replace(k, torque=others if k.torque else 0.0) for k in BODY.links]
    links[shoulder] = dataclasses.replace(links[shoulder], torque=60.0)
    body = dataclasses.replace(BODY, links=tuple(links))
    motion = performances.astride(BODY)
    turns = motion.rotations.copy()
    turns[:, shoulder] = rotations.from_axis_angle(Y, -np.pi / 2)
    reference = dataclasses.replace(motion, rotations=turns)
    positions, world = body.forward(reference.position[0], turns[0])
    arm = [i for i, name in enumerate(body.names) if name in ("upper_arm.L", "forearm.L", "hand.L")]
    centres = positions + rotations.rotate(world, np.array([link.centre for link in body.links]))
    out = centres[arm, 0] - positions[shoulder, 0]
    torque = mass * 9.81 * sum(body.links[i].mass * x for i, x in zip(arm, out, strict=True))
    take = performed(engine, reference, Scene(mass=mass), body)
    assert 0.1 < abs(torque) / 60.0 < 0.9
    assert np.median(take.torque[-60:]) == pytest.approx(abs(torque) / 60.0, rel=0.1)


def test_a_take_says_which_engine_made_it_and_is_recorded_the_same_way(engine: str, tmp_path: Path) -> None:
    reference = performances.standing(BODY, 0.2)
    take = performed(engine, reference)
    assert take.meta["engine"] == engine and take.meta["seed"] == 3 and take.meta["stands_3_s"] in (True, False)
    steps = Track(BODY, reference).steps
    assert take.motion.rate == 120.0 and take.motion.frames == 4 * steps + 1
    frames = (take.motion.frames, len(BODY.links))
    assert take.contacts.shape == take.load.shape == frames and take.load.dtype == np.float32
    assert take.torque.shape == (frames[0],) and 0 < take.torque.max() <= 1 + 1e-6 and not take.assist.any()
    motions.save_take(tmp_path / "take.npz", take)
    assert motions.load_take(tmp_path / "take.npz").meta["engine"] == engine


@pytest.fixture
def company() -> Iterator[RecordedBatch]:
    yield RecordedBatch(BODY, 3)


def states_of(take: Take) -> tuple[np.ndarray, np.ndarray]:
    return take.motion.position, take.motion.rotations


def test_the_compiled_engine_performs_the_same_recorded_or_not_and_in_company(company: RecordedBatch) -> None:
    """Bit for bit: what the other lanes do is none of a body's business."""
    track = Track(BODY, performances.standing(BODY, 0.2))
    start = track.states[0]
    falling = dataclasses.replace(start, angular_velocity=np.array([2.0, 0.0, 1.0]))
    alone, silent = RecordedBatch(BODY, 1), RecordedBatch(BODY, 1)
    company.record([1])
    alone.record([0])
    company.reset(np.arange(3), stacked([falling, start, falling]))
    controls = zip(track.targets(np.zeros((6, track.layout.width)), 0), track.velocities(0, 6), strict=True)
    for batch in (alone, silent):
        batch.reset(np.array([0]), start[None])
    for target, velocity in controls:
        touched = []
        for batch in (company, alone, silent):
            count = batch.count
            batch.set_targets(np.repeat(target[None], count, axis=0), np.repeat(velocity[None], count, axis=0))
            touched.append(batch.step()[1 % count])
        assert np.array_equal(touched[0], touched[1]) and np.array_equal(touched[1], touched[2])
    ends = [company.states()[1], alone.states()[0], silent.states()[0]]
    for name in (field.name for field in dataclasses.fields(States)):
        assert len({getattr(end, name).tobytes() for end in ends}) == 1, name
    one, other = company.recording(1).take(), alone.recording(0).take()
    for a, b in zip((*states_of(one), one.load), (*states_of(other), other.load), strict=True):
        assert np.array_equal(a, b)


def test_a_branch_goes_on_as_a_replay_from_the_start_and_leaves_what_it_left_as_it_was() -> None:
    """Bit for bit, shoved before and after, and tiring."""
    track = Track(BODY, performances.standing(BODY, 0.4))
    asked = Direction(push_at=0.3, push_link="chest", push_impulse=(9.0, 0.0, 0.0), fatigue=0.2, clumsiness=0.02)
    targets = track.targets(np.zeros((track.steps, track.layout.width)), 0)
    one, replay = (Performance(track, Scene(), track.states[0], "compiled", asked, 5) for _ in range(2))
    replay.run(targets)
    takes = []
    for first, count in ((0, 3), (3, 9), (12, track.steps - 12)):
        branch = one.branch()
        assert branch is not None
        branch.run(targets[first:])
        takes.append(branch.final_take())
        one.run(targets[first : first + count])
    for take in (*takes, one.final_take()):
        own, other = take, replay.final_take()
        for a, b in zip(
            (*states_of(own), own.load, own.torque), (*states_of(other), other.load, other.torque), strict=True
        ):
            assert np.array_equal(a, b)
        assert np.array_equal(own.contacts, other.contacts) and own.meta["stands_3_s"] == other.meta["stands_3_s"]


def test_what_cannot_be_copied_has_no_branch() -> None:
    pytest.importorskip("pybullet")
    track = Track(BODY, performances.standing(BODY, 0.1))
    performance = Performance(track, Scene(), track.states[0], "pybullet")
    assert performance.branch() is None
    performance.close()


def test_a_new_recording_begins_with_every_reset(engine: str) -> None:
    track = Track(BODY, performances.standing(BODY, 0.2))
    bodies = engines.new_simulator(BODY, 1, engine)
    bodies.record([0])
    for steps in (3, 1):
        bodies.reset(np.array([0]), track.states[:1])
        for _ in range(steps):
            bodies.set_targets(track.controls[:1], track.velocities(0, 1))
            bodies.step()
    assert len(bodies.recording(0).states) == 4 + 1
    bodies.record(())
    with pytest.raises(LookupError):
        bodies.recording(0)
    bodies.close()


def test_all_that_a_performance_needs_is_compiled_ahead() -> None:
    from numba.core.registry import CPUDispatcher

    from backflip_addon.trainer.warm_up import warm_up

    def compiled() -> dict[str, int]:
        ours = [module for name, module in sys.modules.items() if name.startswith("backflip_addon.trainer")]
        kernels = [value for module in ours for value in vars(module).values() if isinstance(value, CPUDispatcher)]
        return {kernel.__qualname__: len(kernel.signatures) for kernel in kernels}

    warm_up(lambda _what, _fraction: None)
    before = compiled()
    assert before["step_groups"] == before["look_at_groups"] == 1
    performed("compiled", performances.standing(BODY, 0.1))
    assert compiled() == before


def test_an_engine_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="no engine called mujoco; there are auto, pybullet, compiled"):
        engines.chosen("mujoco")
    for wrong in ("mujoco", "", None, 3, ["auto"]):
        with pytest.raises(JobError, match="engine that is not known here; known are auto, pybullet, compiled"):
            JobSettings.from_json({"engine": wrong})
    assert JobSettings.from_json({}).engine == "auto", "jobs of older versions ask for none"


# Without PyBullet


@pytest.fixture
def without_pybullet(tmp_path: Path) -> dict[str, str]:
    """The variables of a process that cannot import PyBullet, nor can those that it starts."""
    for name in ("pybullet", "pybullet_utils", "pybullet_data"):
        folder = tmp_path / "hidden" / name
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text(f"raise ImportError('{name} is hidden')\n")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path / "hidden"), str(REPOSITORY)])}


def test_without_pybullet_all_but_its_own_files_can_be_imported(without_pybullet: dict[str, str]) -> None:
    pytest.importorskip("torch")
    package = REPOSITORY / "backflip_addon"
    files = [file.relative_to(package).with_suffix("") for file in (package / "trainer").rglob("*.py")]
    modules = sorted(".".join(("backflip_addon", *file.parts)) for file in files if file.name != "__main__")
    ours = [module for module in modules if not module.rpartition(".")[2].startswith("pybullet")]
    assert len(modules) - len(ours) == 2
    script = f"import importlib\nfor module in {ours!r}: importlib.import_module(module)"
    done = subprocess.run([sys.executable, "-c", script], env=without_pybullet, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def train(without_pybullet: dict[str, str]) -> Callable[[JobFolder], int]:
    def run(job: JobFolder) -> int:
        line = [sys.executable, "-m", "backflip_addon.trainer", str(job.path)]
        with open(job.path / "output.txt", "ab") as log:
            done = subprocess.run(line, cwd=REPOSITORY, env=without_pybullet, stdout=log, stderr=log, timeout=PATIENCE)
        return done.returncode

    return run


def test_without_pybullet_a_job_is_searched_and_shot(tmp_path: Path, train: Callable[[JobFolder], int]) -> None:
    job = make_job(tmp_path / "job")
    assert train(job) == 0, (job.path / "output.txt").read_text()
    assert of_kind(job, "started")[0]["engine"] == "compiled"
    assert events(job)[-1]["reason"] == "landed"
    job.request("shoot", seed=1, disturbed=False)
    assert train(job) == 0 and events(job)[-1]["reason"] == "shot"
    takes = of_kind(job, "take")
    assert takes[-1]["source"] == "replan" and {take["engine"] for take in takes} == {"compiled"}
    assert {motions.load_take(file).meta["engine"] for file in job.list_takes()} == {"compiled"}
    assert takes[-1]["success"] and takes[-1]["slip_cm_s"] is not None, "judged, the floor's load known"


def test_without_pybullet_a_policy_learns_and_is_tried(tmp_path: Path, without_pybullet: dict[str, str]) -> None:
    pytest.importorskip("torch")
    script = """
import sys
import numpy as np
from backflip_addon.trainer.imitation.disturbances import NONE
from backflip_addon.trainer.planning.plan import Plan
from backflip_addon.trainer.rl.settings import LearningSettings
from backflip_addon.trainer.rl.trainer import PolicyTraining
from tests.core import performances
if __name__ == "__main__":
    body = performances.body()
    few = {"feedback_fit": 1, "feedback_trials": 4, "feedback_variations": 0}
    plan, settings = Plan(np.zeros((8, 28)), 4), LearningSettings(bodies=2, length=4, hidden=(8,), **few)
    with PolicyTraining(body, performances.standing(body, 0.3), settings, 1, plan=plan, hold=0.0) as training:
        for _ in range(2):
            training.iterate()
        assert len(training.evaluate(2, NONE).trials) == 2
        training.save("a.pt")
        training.load("a.pt")
        print("ENGINE", training.attempt(5).meta["engine"], "pybullet" in sys.modules)
"""
    (tmp_path / "learn.py").write_text(script)  # a file: workers import what started them
    line = [sys.executable, "learn.py"]
    done = subprocess.run(line, cwd=tmp_path, env=without_pybullet, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    assert "ENGINE compiled False" in done.stdout


def test_a_job_that_asks_for_pybullet_where_it_is_not_is_told(
    tmp_path: Path, train: Callable[[JobFolder], int]
) -> None:
    job = make_job(tmp_path / "job", engine="pybullet")
    assert train(job) == 1
    (told,) = of_kind(job, "error")
    assert told["message"].startswith("PyBullet was asked for") and "pybullet is hidden" in told["message"]
    assert "Traceback" not in (job.path / "output.txt").read_text()


def test_a_job_that_asks_for_the_compiled_step_gets_it_beside_pybullet(tmp_path: Path) -> None:
    from backflip_addon.trainer.runner.run_context import RunContext

    job = make_job(tmp_path / "job", engine="compiled")
    assert RunContext(job, job.read_job()).engine == "compiled"
