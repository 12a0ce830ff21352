# SPDX-License-Identifier: GPL-3.0-or-later
"""What job.json says of the body, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...core import body as bodies
from ...core.body import Body
from ...jobs.json_files import JobError


def body_of(data: Mapping[str, Any]) -> Body:
    """The job's body. Raises JobError with a sentence."""
    try:
        body = bodies.from_json(dict(data))
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        words = str(error) if isinstance(error, ValueError) else f"{type(error).__name__} in its numbers"
        raise JobError(f"The training's body is damaged: {words}.") from error
    if body.names != bodies.LINK_NAMES:
        raise JobError("The training's body is damaged: it has not all the parts of a humanoid.")
    return body
