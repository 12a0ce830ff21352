# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a take has the bones of a rig at some of its frames, which the baked rig is held against."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from ...core.arrays import Array, IntArray
from ...core.motion import Motion
from ...core.motions import retarget
from ...core.rigs.binding import Binding
from ...core.rigs.control_rig import Controls
from ...core.rigs.rig import Rig
from ..armature.rig import without_scale

_LOOKS = 12  # frames at which the rig is evaluated, first and last among them


@dataclasses.dataclass(frozen=True)
class ExpectedPoses:
    """Where the take has its bones at some of its frames (K,).

    bones: name -> world matrices (K, 4, 4), without scale. unturned: bones whose rotation the rig may spread over
    others. body: the bones that carry the body's parts, and no control. scale: body metres a world unit.
    size: the rig's, world units.
    """

    frames: IntArray
    bones: dict[str, Array]
    unturned: frozenset[str]
    body: frozenset[str]
    scale: float
    size: float

    @classmethod
    def of(
        cls,
        binding: Binding,
        rig: Rig,
        clip: Motion,
        targets: Mapping[str, Array],
        controls: Controls | None,
        frames: IntArray,
    ) -> ExpectedPoses:
        """The poses of a clip on a rig. targets: bone or control -> world matrices (F, 4, 4) at all frames (F,)."""
        some = np.unique(np.linspace(0, len(frames) - 1, _LOOKS).astype(int))
        bones = {name: without_scale(matrices[some]) for name, matrices in targets.items()}
        if controls is not None:
            looked_at = dataclasses.replace(
                clip, position=clip.position[some], rotations=clip.rotations[some], sure=None
            )
            played = retarget.bone_matrices(binding, rig, looked_at)
            bones |= {name: played[name] for name in binding.link_bones.values()}
        unturned = frozenset(controls.turned_by if controls else ())
        size = float(np.ptp(rig.heads, axis=0).max())
        return cls(frames[some], bones, unturned, frozenset(binding.bones), binding.scale, size)
