# SPDX-License-Identifier: GPL-3.0-or-later
"""Constants of nature that several rooms share."""

from __future__ import annotations

from typing import Final

GRAVITY: Final = 9.81  # m/s^2, along -z: the standard acceleration of free fall (ISO 80000-3: 9.80665), rounded
