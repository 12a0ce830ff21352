# SPDX-License-Identifier: GPL-3.0-or-later
"""A rig with a body, and a take baked on it."""

from __future__ import annotations

from typing import Any

import bpy

from backflip_addon.core.rigs import fit, roles
from backflip_addon.scene.armature.rig import read_rig
from backflip_addon.scene.baking import bake

from . import takes


def bound(armature: Any) -> tuple:
    """The body and the binding of an armature, 70 kg."""
    rig = read_rig(armature)
    return fit.fit_body(rig, roles.guess(rig), 70.0)


def bake_one(armature: Any, of: tuple | None = None, name: str = "Tumble") -> Any:
    """A somersault on the armature from frame 11; of: its body and binding, made where they are not given."""
    body, binding = of or bound(armature)
    return bake.bake_take(armature, binding, takes.tumble(body), name=name, start_frame=11, scene=bpy.context.scene)
