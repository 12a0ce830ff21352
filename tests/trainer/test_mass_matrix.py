# SPDX-License-Identifier: GPL-3.0-or-later
"""Mass matrices factored along a tree, against numpy's dense linear algebra."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("pybullet_data")

from backflip_addon.core.body import Body
from tests.benchmarks import humanoid
from tests.core import performances
from tests.trainer.oracle.articulation import Tree
from tests.trainer.oracle.mass_matrix import EVERYWHERE, Factor, Rows, runs

COUNT = 5
FITTED, HUMANOID = performances.body(), humanoid.humanoid()


def level_by_level(body: Body) -> Body:
    """The same body, its links numbered by their depth in the tree."""
    depths = [0] * len(body.links)
    for i, link in enumerate(body.links[1:], start=1):
        depths[i] = depths[link.parent] + 1
    order = sorted(range(len(depths)), key=lambda i: (depths[i], i))
    links = [body.links[i] for i in order]
    placed = [link if link.parent < 0 else dataclasses.replace(link, parent=order.index(link.parent)) for link in links]
    return dataclasses.replace(body, links=tuple(placed))


BODIES = {"fitted": FITTED, "humanoid": HUMANOID, "level by level": level_by_level(HUMANOID)}


def mass_matrices(body: Body) -> tuple[Tree, np.ndarray, np.ndarray, np.ndarray]:
    """Axes and momenta (F, 6, N) in random poses, and mass matrices (N, F, F) made of them densely."""
    tree, random = Tree(body), np.random.default_rng(0)
    turns = random.normal(size=(tree.links, 4, COUNT)).astype(np.float32)
    turns /= np.linalg.norm(turns, axis=1, keepdims=True)
    motion = tree.motion(tree.pose(turns), np.zeros((tree.freedoms, COUNT), np.float32))
    dense = np.einsum("fkn,gkn->nfg", motion.momenta.astype(float), motion.axes)
    related = tree.moves[tree.of_link]  # freedoms that move one another's links
    dense = np.where(related, dense, 0)
    lower = np.tril(np.ones((tree.freedoms, tree.freedoms), dtype=bool))
    return tree, motion.axes, motion.momenta, np.where(lower, dense, dense.transpose(0, 2, 1))


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_the_factor_is_the_mass_matrix_whole(body: Body) -> None:
    tree, axes, momenta, dense = mass_matrices(body)
    factor, random = Factor(tree, COUNT), np.random.default_rng(1)
    for _ in range(2):  # the second time over what the first has left
        factor.factorise(axes, momenta)
    vector = random.normal(size=(tree.freedoms, COUNT)).astype(np.float32)
    wanted = np.stack([np.linalg.solve(dense[i], vector[:, i]) for i in range(COUNT)], axis=1)
    found = factor.solve(factor.whiten(vector))
    np.testing.assert_allclose(found, wanted, rtol=2e-3, atol=2e-3 * np.abs(wanted).max())
    np.testing.assert_allclose(factor.solve(factor.times(vector)), vector, atol=1e-3)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_whitened_rows_tell_how_impulses_move_each_other(body: Body) -> None:
    """Rows on the freedoms above a foot, above a hand, and on all of them."""
    tree, axes, momenta, dense = mass_matrices(body)
    factor, random = Factor(tree, COUNT), np.random.default_rng(2)
    factor.factorise(axes, momenta)
    tips = np.array([*(tree.tips[body.index(name)] for name in ("foot.L", "forearm.R", "foot.L")), EVERYWHERE, 7])
    rows = Rows(factor, tips)
    jacobian = random.normal(size=(len(tips), tree.freedoms, COUNT)).astype(np.float32)
    for i, tip in enumerate(tips):
        if tip != EVERYWHERE:
            jacobian[i, [k for k in range(tree.freedoms) if k != tip and k not in tree.chains[tip]]] = 0
    rows.array[:, rows.rows_of] = jacobian.transpose(1, 0, 2)
    rows.whiten()
    whitened = rows.array[:, rows.rows_of]
    wanted = np.stack([j @ np.linalg.solve(m, j.T) for j, m in zip(jacobian.transpose(2, 0, 1), dense, strict=True)])
    found = np.einsum("frn,fsn->nrs", whitened, whitened)
    np.testing.assert_allclose(found, wanted, rtol=5e-3, atol=2e-3 * np.abs(wanted).max())
    np.testing.assert_allclose(rows.squares()[rows.rows_of].T, np.diagonal(found, axis1=1, axis2=2), rtol=1e-3)
    vector = random.normal(size=(tree.freedoms, COUNT)).astype(np.float32)
    weights = random.normal(size=(len(tips), COUNT)).astype(np.float32)
    products = np.einsum("frn,fn->rn", rows.array, vector)
    np.testing.assert_allclose(rows.along(vector), products, atol=1e-3 * np.abs(products).max())
    added = vector.copy()
    rows.add_to(added, weights)
    sums = vector + np.einsum("frn,rn->fn", rows.array, weights)
    np.testing.assert_allclose(added, sums, atol=1e-3 * np.abs(sums).max())


def test_runs_of_indices() -> None:
    assert runs([0, 1, 2, 5, 7, 8]) == [slice(0, 3), slice(5, 6), slice(7, 9)]
    assert runs([]) == []
