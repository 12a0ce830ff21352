# SPDX-License-Identifier: GPL-3.0-or-later
"""Bodies: kinematics held against 4x4 matrices, lowest points against clouds of points, JSON's road."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import json
from typing import Any

import numpy as np
import pytest

from backflip_addon.core import body as bodies
from backflip_addon.core import rotations
from backflip_addon.core.body import LINK_NAMES, Body, Link
from backflip_addon.core.rigs import fit, roles
from backflip_addon.core.shapes import Shape
from tests.core import performances
from tests.core.skeletons import figure

RNG = np.random.default_rng(3)


def some_pose(body: Body, count: int = 5) -> tuple[np.ndarray, np.ndarray]:
    return RNG.normal(size=(count, 3)), rotations.normalise(RNG.normal(size=(count, len(body.links), 4)))


def frames_by_matrices(body: Body, position: np.ndarray, local: np.ndarray) -> list[np.ndarray]:
    """Link frames (4, 4), multiplied down the tree."""
    frames: list[np.ndarray] = []
    for i, link in enumerate(body.links):
        own = np.eye(4)
        own[:3, :3] = rotations.to_matrix(local[i])
        own[:3, 3] = link.offset if i else position
        frames.append(frames[link.parent] @ own if i else own)
    return frames


def test_fitted_bodies_have_all_links() -> None:
    body = performances.body()
    assert body.names == LINK_NAMES
    bodies.validate(body)
    assert body.mass == pytest.approx(sum(link.mass for link in body.links))


def test_forward_kinematics() -> None:
    body = performances.body()
    position, local = some_pose(body)
    positions, turns = body.forward(position, local)
    for f in range(len(position)):
        frames = frames_by_matrices(body, position[f], local[f])
        assert np.allclose(positions[f], [m[:3, 3] for m in frames], atol=1e-12)
        assert np.allclose(rotations.to_matrix(turns[f]), [m[:3, :3] for m in frames], atol=1e-12)


def test_forward_leaves_its_arguments_alone() -> None:
    body = performances.body()
    position, local = some_pose(body)
    before = position.copy(), local.copy()
    body.forward(position, local)
    assert np.array_equal(position, before[0]) and np.array_equal(local, before[1])


def test_forward_of_one_pose_and_of_many() -> None:
    body = performances.body()
    position, local = some_pose(body, 6)
    many = body.forward(position.reshape(2, 3, 3), local.reshape(2, 3, -1, 4))
    one = body.forward(position[4], local[4])
    assert np.allclose(many[0][1, 1], one[0]) and np.allclose(many[1][1, 1], one[1])


def test_local_rotations_undo_forward() -> None:
    body = performances.body()
    position, local = some_pose(body)
    again = body.local_rotations(body.forward(position, local)[1])
    assert np.allclose(rotations.angle_between(again, local), 0, atol=1e-6)


def test_centre_of_mass() -> None:
    body = performances.body()
    position, local = some_pose(body, 1)
    frames = frames_by_matrices(body, position[0], local[0])
    weighed = sum(k.mass * (m @ [*k.centre, 1.0])[:3] for k, m in zip(body.links, frames, strict=True))
    assert np.allclose(body.centre_of_mass(*body.forward(position, local))[0], weighed / body.mass)


def cloud(shape: Shape, count: int = 20000) -> np.ndarray:
    """Points on a shape's surface, in the link's frame; a box's by its corners."""
    if shape.kind == "box":
        points = np.array(list(itertools.product((-1, 1), repeat=3))) * shape.size
    else:
        points = RNG.normal(size=(count, 3))
        points *= shape.size[0] / np.linalg.norm(points, axis=1, keepdims=True)
        if shape.kind == "capsule":
            points[:, 2] += np.sign(points[:, 2]) * shape.size[1] / 2
    return points @ rotations.to_matrix(np.array(shape.rotation)).T + shape.position


@pytest.mark.parametrize(
    "shape",
    [
        Shape("sphere", (0.1,), (0.1, 0.2, -0.3)),
        Shape("capsule", (0.05, 0.4), (0.0, 0.1, 0.0), (0.8, 0.6, 0.0, 0.0)),
        Shape("box", (0.05, 0.1, 0.2), (0.0, 0.0, 0.1), (0.5, 0.5, -0.5, 0.5)),
    ],
)
def test_lowest_point_of_each_shape(shape: Shape) -> None:
    links = (
        Link("root", -1, "free", (0, 0, 0), 1, (0, 0, 0), (1, 1, 1), ()),
        Link("part", 0, "spherical", (0.3, 0.0, 0.2), 1, (0, 0, 0), (1, 1, 1), (shape,)),
    )
    body = Body("two", links, 1.0)
    position, local = some_pose(body, 8)
    lows = body.lowest_points(*body.forward(position, local))
    assert np.all(np.isinf(lows[:, 0])), "a link without shapes touches nothing"
    for f in range(8):
        frame = frames_by_matrices(body, position[f], local[f])[1]
        heights = cloud(shape) @ frame[2, :3] + frame[2, 3]
        assert lows[f, 1] == pytest.approx(heights.min(), abs=2e-4)
        assert lows[f, 1] <= heights.min() + 1e-9
    assert np.allclose(body.lowest_points(*body.forward(position, local), links=[1])[:, 0], lows[:, 1])


def test_a_standing_body_stands_on_the_floor() -> None:
    body = performances.body()
    motion = performances.standing(body)
    lows = body.lowest_points(*body.forward(motion.position, motion.rotations))
    assert lows.min() == pytest.approx(0.0, abs=1e-9)
    lowest = {body.names[i] for i in np.argsort(lows[0])[:2]}
    assert lowest == {"foot.L", "foot.R"}


def test_json_returns_the_same_body() -> None:
    body = performances.body()
    assert bodies.from_json(json.loads(json.dumps(bodies.to_json(body)))) == body


def damaged(change: str, value: Any) -> dict[str, Any]:
    """A body's JSON with one value replaced; change is a path like links.3.mass."""
    data = json.loads(json.dumps(bodies.to_json(performances.body())))
    place: Any = data
    *road, last = [int(part) if part.isdigit() else part for part in change.split(".")]
    for part in road:
        place = place[part]
    if value is KeyError:
        del place[last]
    else:
        place[last] = value
    return data


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ("version", 99),
        ("version", KeyError),
        ("links", KeyError),
        ("links", None),
        ("links", []),
        ("links", {}),
        ("links", "many"),
        ("height", "tall"),
        ("height", float("nan")),
        ("links.3", 7),
        ("links.3.mass", KeyError),
        ("links.3.mass", 0.0),
        ("links.3.mass", -1.0),
        ("links.3.mass", float("nan")),
        ("links.3.mass", float("inf")),
        ("links.3.mass", "heavy"),
        ("links.3.mass", None),
        ("links.3.inertia", [0.0, 1.0, 1.0]),
        ("links.3.offset", [0.0, 0.0]),
        ("links.3.offset", [0.0, 0.0, "x"]),
        ("links.3.offset", None),
        ("links.3.torque", float("nan")),
        ("links.3.joint", "welded"),
        ("links.3.parent", 5),
        ("links.3.parent", -1),
        ("links.0.parent", 0),
        ("links.3.shapes.0.kind", "teapot"),
        ("links.3.shapes.0.size", [0.1]),
        ("links.3.shapes.0.size", [float("nan"), 0.1]),
        ("links.3.shapes.0.size", [-0.1, 0.3]),
        ("links.3.shapes.0.rotation", [1.0, 0.0, 0.0]),
        ("links.3.shapes", 4),
        ("links.3.unknown", 1),
    ],
)
def test_damaged_bodies_are_refused_in_a_sentence(change: str, value: Any) -> None:
    with pytest.raises(ValueError) as caught:
        bodies.from_json(damaged(change, value))
    message = str(caught.value)
    assert message and "\n" not in message and "Traceback" not in message


def test_nothing_but_an_object_is_a_body() -> None:
    for data in ([], "body", None, 3, {}):
        with pytest.raises(ValueError):
            bodies.from_json(copy.deepcopy(data))


def test_links_must_be_unique() -> None:
    body = performances.body()
    links = (*body.links[:3], dataclasses.replace(body.links[3], name=body.links[2].name), *body.links[4:])
    with pytest.raises(ValueError):
        bodies.validate(dataclasses.replace(body, links=links))


@pytest.mark.parametrize(
    ("key", "value"),
    [*(("parent", value) for value in (0.5, True, 7, None)), ("name", 5), ("mass", 1e30), ("mass", "1e400")],
)
def test_a_strangers_body_is_told_apart_from_a_sound_one(key: str, value: object) -> None:
    rig = figure()
    data = bodies.to_json(fit.fit_body(rig, roles.guess(rig))[0])
    data["links"] = [dict(link) for link in data["links"]]
    bodies.from_json(data)
    data["links"][1][key] = value
    with pytest.raises(ValueError, match="body"):
        bodies.from_json(data)


def test_a_body_of_a_thousand_links_is_refused() -> None:
    rig = figure()
    data = bodies.to_json(fit.fit_body(rig, roles.guess(rig))[0])
    data["links"] = [*data["links"], *({**data["links"][1], "name": f"part {i}"} for i in range(1000))]
    with pytest.raises(ValueError, match="too many"):
        bodies.from_json(data)
