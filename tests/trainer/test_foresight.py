# SPDX-License-Identifier: GPL-3.0-or-later
"""What one who observes a step late reckons to have come to since, against what came."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("pybullet")
pytest.importorskip("numba")

from backflip_addon.trainer.imitation.disturbances import Circumstances
from backflip_addon.trainer.imitation.environment import ImitationEnvironment
from backflip_addon.trainer.imitation.reference_track import Track
from backflip_addon.trainer.imitation.target_trajectory import TargetTrajectory
from backflip_addon.trainer.physics.pybullet_batch import PyBulletBatch
from backflip_addon.trainer.physics.state import Scene, stacked
from tests.benchmarks import humanoid

BODY = humanoid.humanoid()
SCENES = [
    Scene(),
    Scene(mass=1.1),
    Scene(floor=0.02),
    Scene(floor=-0.02),
    Scene(friction=0.6),
    Scene(gravity=(2.0, 0.0, -9.6)),
]


@pytest.fixture(scope="module")
def env() -> Iterator[ImitationEnvironment]:
    """Two bodies that stand and bend for the backflip, in PyBullet."""
    track = Track(BODY, humanoid.clip("backflip", BODY).trimmed(0.0, 0.5), 0.0)
    worlds = PyBulletBatch(BODY, 2)
    yield ImitationEnvironment(worlds, TargetTrajectory.of_track(track), track.allowed)
    worlds.close()


def late(env: ImitationEnvironment, scene: Scene, push: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What one who observes late knows of ten control steps, what was so, and what was so a step before; in a scene,
    pushed before the sixth step."""
    own = Circumstances(scene, delay=1, push_step=5, push=np.array([push, 0.0, 0.0]))
    state = env.trajectory.states[0]
    begun = dataclasses.replace(state, position=state.position + [0, 0, scene.floor])
    env.start(np.arange(2), np.zeros(2, dtype=int), stacked([begun] * 2), [own] * 2)
    env.refresh()
    fresh, known, so = np.ones(2, dtype=bool), [], []
    actions = np.random.default_rng(1).normal(scale=0.5, size=(11, 2, env.layout.width))
    for action in actions:
        observed, privileged = env.observe(fresh)
        fresh = np.zeros(2, dtype=bool)
        known.append(observed[:, : env.observations.width])
        so.append(privileged[:, : env.observations.width])
        env.step(action)
        env.refresh()
    return np.array(known[1:]), np.array(so[1:]), np.array(so[:-1])


@pytest.mark.parametrize("scene", SCENES)
def test_who_observes_late_reckons_what_came_since(env: ImitationEnvironment, scene: Scene) -> None:
    """With any weight and floor, which are not told, far nearer than what was seen; the physics performs in PyBullet
    and is reckoned with the compiled step."""
    known, so, before = late(env, scene)
    off, seen = (np.sqrt(np.mean((each - so) ** 2, axis=(0, 1))) for each in (known, before))
    for name, width in env.observations.parts.items():
        own, off, seen = (off[:width], seen[:width]), off[width:], seen[width:]
        assert np.linalg.norm(own[0]) < 0.35 * np.linalg.norm(own[1]) + 1e-6, name
    assert np.abs(known - so).max() > 1e-6, "it is not told what is so"


def test_what_others_did_is_not_foreseen(env: ImitationEnvironment) -> None:
    """A push is known a step late, and no sooner."""
    along = list(env.observations.parts).index("velocity")
    column = sum(list(env.observations.parts.values())[:along])
    known, so, _ = late(env, Scene(), push=1.0)
    off = (known - so)[:, 0, column]
    assert off[5] < -0.5, "in the step of the push"
    assert np.abs(np.delete(off, 5)).max() < 0.3, "and not after it"
