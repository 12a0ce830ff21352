# SPDX-License-Identifier: GPL-3.0-or-later
"""Control steps a second on one core: ours, PyBullet's deep_mimic environment, the bare physics.

A control step is 1/30 s and so many physics steps in all of them. Ours: a policy's rollouts in the compiled step, with
network, observation, reward, disturbances and restarts; compiled: the same bodies and targets in the compiled step
alone. Search: the search's rollouts with their costs. Bare: PyBullet with the same body and servo, stepped alone.
PyBullet's: its environment with observation, reward and stable PD. They take turns in one run, so that a busy machine
slows them all.
"""

from __future__ import annotations

import io
import time
from contextlib import redirect_stdout

import common
import deepmimic
import humanoid
import numpy as np
import torch

from backflip_addon.core.body import Body
from backflip_addon.core.motion import Motion
from backflip_addon.trainer.imitation.compiled_rollouts import CompiledRollouts
from backflip_addon.trainer.imitation.disturbances import Disturbances
from backflip_addon.trainer.imitation.environment import Limits
from backflip_addon.trainer.imitation.reference_track import Track
from backflip_addon.trainer.imitation.target_trajectory import TargetTrajectory
from backflip_addon.trainer.physics.compiled.batch import CompiledBatch
from backflip_addon.trainer.physics.pybullet_world import PyBulletWorld
from backflip_addon.trainer.physics.simulator import CONTROL_RATE, SUBSTEPS
from backflip_addon.trainer.physics.state import Scene
from backflip_addon.trainer.rl.networks import ActorCritic
from backflip_addon.trainer.rl.rollouts import PolicyWorker, RolloutSettings
from backflip_addon.trainer.rl.settings import LearningSettings

BODIES = LearningSettings().bodies
HORIZON = 24
SAMPLES = 32


def main() -> int:
    parser = common.parser(__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="for each of them")
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    body = common.figure(options)
    reference = humanoid.clip(options.clip, body)
    contestants = {
        "ours": OurRollouts(body, reference),
        "compiled_physics": Compiled(body, reference),
        "search": Searched(body, reference),
        "pybullet_deep_mimic": DeepMimicEnvironment(options.clip),
        "bare_physics": Bare(body, reference),
    }
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(options.turns):
        for name, contestant in contestants.items():
            rates[name].append(_rate(contestant.run, options.seconds / options.turns))
    figures = {name: round(common.median(turns), 1) for name, turns in rates.items()}
    common.table([{"environment": name, "steps/s a core": rate} for name, rate in figures.items()])
    print(f"ours is {figures['ours'] / figures['pybullet_deep_mimic']:.1f} times PyBullet's")
    for name in ("ours", "search"):
        print(f"{name} is {figures[name] / figures['bare_physics']:.1f} times the bare physics")
    print(f"{1 - figures['ours'] / figures['compiled_physics']:.0%} of our time is outside the physics")
    common.write(options, {**figures, "turns": rates})
    return 0


def _rate(run: object, seconds: float) -> float:
    steps, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        steps += run()
    return steps / (time.perf_counter() - began)


class OurRollouts:
    """Rollouts, as a policy's worker collects them."""

    def __init__(self, body: Body, reference: Motion) -> None:
        torch.set_num_threads(1)
        track = Track(body, reference)
        trajectory = TargetTrajectory.of_track(track)
        self.worker = PolicyWorker(track, trajectory, BODIES, 0, Limits())
        env = self.worker.env
        env.refresh()
        observed, privileged = (part.shape[1] for part in env.observe(np.ones(BODIES, dtype=bool)))
        self.actor = ActorCritic(observed, privileged, env.layout.width, std=0.1).exploring_actor()
        self.rollout = RolloutSettings(Disturbances(), np.full(trajectory.steps, 1 / trajectory.steps))

    def run(self) -> int:
        self.worker.collect(self.actor, self.rollout, 2)
        return 2 * BODIES


class Compiled:
    """The compiled step alone, of as many bodies, along the clip."""

    def __init__(self, body: Body, reference: Motion) -> None:
        self.track = track = Track(body, reference)
        self.bodies = CompiledBatch(body, BODIES, track.allowed)
        self.steps = np.arange(BODIES) % track.steps
        self.bodies.reset(np.arange(BODIES), track.states[self.steps])

    def run(self) -> int:
        track = self.track
        self.steps = (self.steps + 1) % track.steps
        begun = np.flatnonzero(self.steps == 0)
        if len(begun):
            self.bodies.reset(begun, track.states[self.steps[begun]])
        self.bodies.set_targets(track.states.rotations[self.steps], track.states.joint_velocity[self.steps])
        self.bodies.step()
        return BODIES


class Searched:
    """The search's rollouts from frame 0, on one core."""

    def __init__(self, body: Body, reference: Motion) -> None:
        self.rollouts = CompiledRollouts(Track(body, reference), lost=10.0)
        self.random = np.random.default_rng(0)

    def run(self) -> int:
        track = self.rollouts.track
        offsets = 0.05 * self.random.standard_normal((SAMPLES, HORIZON, track.layout.width))
        return self.rollouts(track.states[:1], [Scene()], 0, offsets).steps


class Bare:
    """PyBullet's physics alone at the same rate: targets set, substeps."""

    def __init__(self, body: Body, reference: Motion) -> None:
        track = Track(body, reference)
        self.world = PyBulletWorld(body)
        self.world.reset(track.states[0])
        self.start = self.world.moment()
        offsets = 0.05 * np.random.default_rng(0).standard_normal((HORIZON, track.layout.width))
        self.targets = self.world.targets(track.targets(offsets, 0))
        self.velocities = self.world.velocities(track.velocities(0, HORIZON))

    def run(self) -> int:
        for _ in range(SAMPLES):
            self.world.go_back(self.start)
            for target, velocity in zip(self.targets, self.velocities, strict=True):
                self.world.step(target, velocity)
        return SAMPLES * HORIZON


class DeepMimicEnvironment:
    """PyBullet's own port, stepped by the reference's pose as action, as its gym wrapper does."""

    def __init__(self, clip: str) -> None:
        self.environment = deepmimic.environment(clip)

    def run(self) -> int:
        env = self.environment
        with redirect_stdout(io.StringIO()):
            env.reset()
        for step in range(HORIZON):
            figure = env._humanoid
            figure.setSimTime(step / 30.0)
            action = self._action(figure.computePose(figure._frameFraction))
            env.set_action(0, action)
            for _ in range(SUBSTEPS):
                env.update(1 / (CONTROL_RATE * SUBSTEPS))
            env.record_state(0)
            env.calc_reward(0)
        return HORIZON

    def _action(self, pose: list[float]) -> list[float]:
        """A pose as action: axis and angle for each spherical joint, an angle for each hinge."""
        action, index = [], 7
        for degrees in (4, 4, 4, 1, 4, 4, 1, 4, 1, 4, 4, 1):
            part = pose[index : index + degrees]
            index += degrees
            if degrees == 4:
                half = np.linalg.norm(part[:3])
                angle = 2 * np.arctan2(half, part[3])
                axis = np.array(part[:3]) / half if half > 1e-6 else np.array([1.0, 0, 0])
                action += [float(angle), *axis.tolist()]
            else:
                action.append(float(part[0]))
        return action


if __name__ == "__main__":
    raise SystemExit(main())
