# SPDX-License-Identifier: GPL-3.0-or-later
"""A body that carries more than itself: a backpack, a cast on a leg."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from .body import MOST_SIZE, Body
from .motion import Take


def burdened(body: Body, part_mass: Mapping[str, float]) -> Body:
    """A body whose links of these names carry so many kg besides, at their centres of mass.

    Raises ValueError with a sentence where the body has no such link.
    """
    if unknown := sorted(set(part_mass) - set(body.names)):
        raise ValueError(f"This body has no part called {unknown[0]} that could carry anything.")
    links = tuple(dataclasses.replace(link, mass=link.mass + part_mass.get(link.name, 0.0)) for link in body.links)
    return dataclasses.replace(body, links=links)


def body_of_take(body: Body, take: Take) -> Body:
    """The body that performed a take: what its direction made it carry is on it."""
    direction = take.meta.get("direction")
    told = direction.get("part_mass") if isinstance(direction, dict) else None
    if not isinstance(told, dict):
        return body
    sound = {
        name: float(kg)
        for name, kg in told.items()
        if name in body.names and isinstance(kg, (int, float)) and 0 <= kg <= MOST_SIZE
    }
    return burdened(body, sound) if sound else body
