# SPDX-License-Identifier: GPL-3.0-or-later
"""Constants of nature, and of the world that is simulated, that several rooms share."""

from __future__ import annotations

from typing import Final

GRAVITY: Final = 9.81  # m/s^2, along -z: the standard acceleration of free fall (ISO 80000-3: 9.80665), rounded
FRICTION: Final = 0.9  # Coulomb, of a floor that nobody chose: as in PyBullet's DeepMimic environment
