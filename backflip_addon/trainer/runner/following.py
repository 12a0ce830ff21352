# SPDX-License-Identifier: GPL-3.0-or-later
"""What a search follows more: where a clip goes, or how it moves."""

from __future__ import annotations

import dataclasses

from ...jobs.messages import Follow
from ..imitation.cost import Weights
from ..planning.search_settings import SearchSettings, quick_settings

# Share of the usual weight that the centre of mass's place has in a search's cost; its velocity always counts as usual.
# With a tenth a body may go on from wherever it has come to, and keeps the clip's speeds.
PLACE = {"both": 1.0, "place": 3.0, "style": 0.1}
FAR_OFF = 2.0  # m: a body whose place hardly counts is not lost before


def weights_for(follow: Follow) -> Weights:
    """Of the search's cost."""
    usual = Weights()
    return dataclasses.replace(usual, centre=PLACE[follow] * usual.centre)


def search_settings_for(follow: Follow, quick: bool = False) -> SearchSettings:
    """How a body is given up as lost changes with what it follows. quick: see search_settings.quick_settings()."""
    usual = quick_settings() if quick else SearchSettings()
    return dataclasses.replace(usual, lost=FAR_OFF) if follow == "style" else usual
