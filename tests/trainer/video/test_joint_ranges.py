# SPDX-License-Identifier: GPL-3.0-or-later
"""A fit minds how far a person's joints turn, as the engines do."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from backflip_addon.core import joint_limits, rotations  # noqa: E402
from backflip_addon.core.body import LINK_NAMES  # noqa: E402
from backflip_addon.trainer.video import figure, losses, reconstruction  # noqa: E402
from tests.trainer.video import projected  # noqa: E402

SHOULDERS = [LINK_NAMES.index(f"upper_arm.{side}") for side in "LR"]


def test_ranges_are_those_of_the_body() -> None:
    """What is past them is told by the numbers of core.joint_limits, 4 degrees inside, and has a slope everywhere."""
    q = rotations.normalise(np.random.default_rng(0).normal(size=(500, len(LINK_NAMES), 4)))
    matrices = figure.tensor(rotations.to_matrix(q)).requires_grad_()
    past = torch.stack([losses.past_ranges(one[None])[0] for one in matrices])
    (past**2).sum().backward()
    assert torch.isfinite(matrices.grad).all()
    limited = [name for name in LINK_NAMES if joint_limits.usual_limit(name) is not None]
    assert past.shape == (500, len(limited), 3)
    for column, name in enumerate(limited):
        limit = _limit(LINK_NAMES.index(name))
        x, y, twist = limit.half - losses.INSIDE_RANGE
        limit = dataclasses.replace(limit, swing_x=x, swing_y=y, twist=twist)
        own = past[:, column].detach().numpy().max(axis=-1)
        assert np.allclose(own, joint_limits.excess(q[:, LINK_NAMES.index(name)], limit), atol=0.05)


def test_an_arm_seen_farther_back_than_shoulders_go_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen 35 degrees past a shoulder's range it is fitted within 8; with no ranges it follows."""
    root, q = (values[:10] for values in projected.backflip())
    q[:, SHOULDERS] = rotations.from_axis_angle([1.0, 0.0, 0.0], np.radians(80.0))
    seen, most = projected.seen(root, q), []
    for sigma in (losses.RANGE, 1e3):
        monkeypatch.setattr(losses, "RANGE", sigma)
        found = reconstruction.reconstruct(seen, projected.PERSON, stages=(40, 40))
        past = [joint_limits.excess(found.motion.rotations[:, i], _limit(i)) for i in SHOULDERS]
        most.append(np.degrees(np.max(past)))
    assert most[0] < 8.0 < 25.0 < most[1]


def test_an_arm_that_goes_round_the_back_is_farther_out_the_farther_it_goes() -> None:
    """Swung back from hanging until it is level, over 170 degrees and back: in the body's range again on its way up."""
    swung = np.radians([0.0, 30.0, 60.0, 80.0, 100.0, 120.0, 140.0, 140.0, 100.0, 60.0, 30.0, 0.0])
    q = np.tile(rotations.IDENTITY, (len(swung), len(LINK_NAMES), 1))
    q[:, SHOULDERS] = rotations.from_axis_angle([1.0, 0.0, 0.0], swung)[:, None]
    out = losses.past_ranges(figure.tensor(rotations.to_matrix(q))).amax(-1).numpy().max(axis=1)
    assert out[0] == 0.0 == out[1]
    assert (np.diff(out[1:7]) > np.radians(10.0)).all()
    behind = losses.past_ranges(figure.tensor(rotations.to_matrix(q[6:8]))).amax(-1).numpy().max(axis=1)
    assert (behind < out[6] - 1.0).all(), "it is the way there that tells"


def _limit(link: int) -> joint_limits.JointLimit:
    limit = joint_limits.usual_limit(LINK_NAMES[link])
    assert limit is not None
    return limit
