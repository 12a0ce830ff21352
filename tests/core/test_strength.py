# SPDX-License-Identifier: GPL-3.0-or-later
"""Estimates before training: what a clip asks of a body."""

from __future__ import annotations

import dataclasses

import numpy as np

from backflip_addon.core import rotations
from backflip_addon.core.body import HINGE_AXIS, Body
from backflip_addon.core.motion import Motion
from backflip_addon.core.motions import strength
from backflip_addon.core.rigs import fit, roles

from . import skeletons


def body() -> Body:
    rig = skeletons.figure()
    return fit.fit_body(rig, roles.guess(rig))[0]


def squats(figure: Body, hertz: float, seconds: float = 2.0, rate: float = 60.0) -> Motion:
    """Knee bends with the feet on the floor, hertz a second."""
    t = np.arange(int(seconds * rate) + 1) / rate
    bend = 0.35 * (1 - np.cos(2 * np.pi * hertz * t))
    turns = np.broadcast_to(rotations.IDENTITY, (len(t), len(figure.links), 4)).copy()
    for side in "LR":
        for part, factor in (("thigh", 1.0), ("shin", -2.0), ("foot", 1.0)):
            axis = np.broadcast_to(HINGE_AXIS, (len(t), 3))
            turns[:, figure.index(f"{part}.{side}")] = rotations.from_axis_angle(axis, factor * bend)
    place = np.zeros((len(t), 3))
    positions, world = figure.forward(place, turns)
    place[:, 2] = -figure.lowest_points(positions, world).min(axis=1)
    return Motion(rate, place, turns)


def test_an_easy_clip_has_no_finding() -> None:
    figure = body()
    assert strength.check(squats(figure, 0.5), figure) == []


def weakened(figure: Body, part: str, share: float) -> Body:
    links = [dataclasses.replace(p, torque=p.torque * share) if p.name.startswith(part) else p for p in figure.links]
    return dataclasses.replace(figure, links=tuple(links))


def test_a_weak_body_is_named_with_its_joint() -> None:
    weak = weakened(body(), "shin", 0.1)
    (finding,) = strength.check(squats(weak, 0.5), weak)
    assert finding.code == "too_strong" and "knee" in finding.sentence


def test_a_hasty_clip_is_offered_slower() -> None:
    weak = weakened(body(), "shin", 0.45)
    hasty = squats(weak, 2.4)
    (finding,) = strength.check(hasty, weak)
    scale = finding.fix["time_scale"]
    assert scale > 1.0 and strength.check(hasty.scaled_in_time(scale), weak) == []
