# SPDX-License-Identifier: GPL-3.0-or-later
"""DeepMimic's published policies, performing in PyBullet's own environment, recorded as takes.

Peng et al. 2018, "DeepMimic: Example-Guided Deep Reinforcement Learning of Physics-Based Character Skills"; the
policies ship with pybullet_data, the environment with pybullet_envs.
"""

from __future__ import annotations

import importlib
import io
import sys
import types
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import humanoid
import numpy as np
import tensor_bundle

from backflip_addon.core.arrays import Array
from backflip_addon.core.body import Body
from backflip_addon.core.motion import Motion, Take
from backflip_addon.trainer.physics.simulator import CONTROL_RATE, TOUCHING

STEP_RATE = 240.0  # Hz, of that environment
FRAME_STEPS = 2  # steps a recorded frame
POLICIES = humanoid.DATA / "data" / "policies" / "humanoid3d"
ACTOR = "agent/main/actor"


def environment(clip: str) -> Any:
    """PyBullet's own port of DeepMimic's environment, which starts at the clip's first frame."""
    _without_gym()
    parser_module = importlib.import_module("pybullet_utils.arg_parser")
    module = importlib.import_module("pybullet_envs.deep_mimic.env.pybullet_deep_mimic_env")
    arguments = parser_module.ArgParser()
    with redirect_stdout(io.StringIO()):
        file = humanoid.DATA / "args" / f"run_humanoid3d_{clip}_args.txt"
        arguments.load_file(str(file if file.exists() else humanoid.DATA / "args" / "run_humanoid3d_walk_args.txt"))
        return module.PyBulletDeepMimicEnv(arguments, False, None, init_strategy=module.InitializationStrategy.START)


def _without_gym() -> None:
    """pybullet_envs asks for gym in its __init__, which this environment does without."""
    if "pybullet_envs" not in sys.modules:
        package = types.ModuleType("pybullet_envs")
        package.__path__ = [str(Path(find_spec("pybullet_data").origin).parents[1] / "pybullet_envs")]
        sys.modules["pybullet_envs"] = package


def has_policy(clip: str) -> bool:
    """Whether a policy of that clip was published."""
    return POLICIES.joinpath(f"humanoid3d_{clip}.ckpt.index").is_file()


class Policy:
    """A published policy, without exploration: two layers of rectified units between two normalisations."""

    def __init__(self, clip: str) -> None:
        tensors = tensor_bundle.read(POLICIES / f"humanoid3d_{clip}.ckpt")
        self.layers = [
            (tensors[f"{ACTOR}/{layer}/kernel"], tensors[f"{ACTOR}/{layer}/bias"])
            for layer in ("0/dense", "1/dense", "dense")
        ]
        self.observed, self.acted = (
            (tensors[f"agent/resource/{name}/mean"], tensors[f"agent/resource/{name}/std"])
            for name in ("s_norm", "a_norm")
        )

    def __call__(self, observation: Array) -> Array:
        """The action for one observation."""
        mean, deviation = self.observed
        hidden = (observation - mean) / deviation
        for kernel, bias in self.layers[:-1]:
            hidden = np.maximum(hidden @ kernel + bias, 0.0)
        kernel, bias = self.layers[-1]
        action: Array = (hidden @ kernel + bias) * self.acted[1] + self.acted[0]
        return action


def perform(clip: str, body: Body, seconds: float) -> Take:
    """What a clip's policy does from frame 0, on the body of humanoid.humanoid()."""
    env, policy = environment(clip), Policy(clip)
    figure, world = env._humanoid, env._pybullet_client
    model, floor = figure._sim_model, env._planeId
    joints = {world.getJointInfo(model, j)[12].decode(): j for j in range(world.getNumJoints(model))}
    numbers = [joints[_urdf_name(name)] for name in body.names]
    links = {j: i for i, j in enumerate(numbers)}
    poses, contacts, loads = [_pose(world, model, numbers)], [], []
    touching, load = _floor_contact(world, model, floor, links, len(numbers))
    contacts.append(touching)
    loads.append(0.0 * load)
    per_action = round(STEP_RATE / CONTROL_RATE)
    for step in range(round(seconds * STEP_RATE)):
        if step % per_action == 0:
            env.set_action(0, policy(env.record_state(0)).tolist())
        with redirect_stdout(io.StringIO()):
            env.update(1 / STEP_RATE)
        touching, load = _floor_contact(world, model, floor, links, len(numbers))
        if step % FRAME_STEPS == 0:
            loads.append(np.zeros(len(numbers)))
        loads[-1] = loads[-1] + load / FRAME_STEPS
        if step % FRAME_STEPS == FRAME_STEPS - 1:
            poses.append(_pose(world, model, numbers))
            contacts.append(touching)
    world.disconnect()
    positions, turns = (np.array(part) for part in zip(*poses, strict=True))
    motion = Motion(STEP_RATE / FRAME_STEPS, positions, turns)
    nothing = np.zeros(motion.frames)
    return Take(motion, np.array(contacts), nothing, nothing, {}, np.array(loads[: motion.frames], dtype=np.float32))


def _urdf_name(link: str) -> str:
    part, _, side = link.partition(".")
    return {"L": "left_", "R": "right_", "": ""}[side] + humanoid.JOINTS[part][0]


def _pose(world: Any, model: int, numbers: list[int]) -> tuple[Array, Array]:
    """Root position (3,) and rotations (L, 4) in our frames."""
    turns = np.tile([1.0, 0.0, 0.0, 0.0], (len(numbers), 1))
    root = world.getLinkState(model, numbers[0], computeForwardKinematics=True)
    turns[0] = _turned(root[5])
    for i, joint in enumerate(numbers[1:], start=1):
        angles = world.getJointStateMultiDof(model, joint)[0]
        if len(angles) == 4:
            turns[i] = _turned(angles)
        elif len(angles) == 1:
            turns[i] = [np.cos(angles[0] / 2), *(humanoid.AXES @ [0.0, 0.0, np.sin(angles[0] / 2)])]
    return humanoid.AXES @ np.array(root[4]), turns


def _turned(xyzw: Any) -> Array:
    """PyBullet's quaternion in the environment's axes, y up, as (w, x, y, z) in ours."""
    return np.array([xyzw[3], *(humanoid.AXES @ np.array(xyzw[:3]))])


def _floor_contact(world: Any, model: int, floor: int, links: dict[int, int], count: int) -> tuple[Array, Array]:
    """Which links (L,) touch the floor, and with what normal force (L,), N."""
    touching, load = np.zeros(count, dtype=bool), np.zeros(count)
    for point in world.getContactPoints(model, floor):
        if point[3] in links:
            touching[links[point[3]]] |= point[8] < TOUCHING
            load[links[point[3]]] += point[9]
    return touching, load
