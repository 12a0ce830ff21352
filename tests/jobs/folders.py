# SPDX-License-Identifier: GPL-3.0-or-later
"""A job for the tests of its folder, and how a refusal must read."""

from __future__ import annotations

import pytest

from backflip_addon.jobs.json_files import JobError
from backflip_addon.jobs.messages import Job

JOB = Job(name="Übung", body={"links": []}, settings={"minutes": 1.0})


def sentence(error: pytest.ExceptionInfo[JobError]) -> str:
    text = str(error.value)
    assert text.endswith(".") and "\n" not in text and "Traceback" not in text and len(text) > 20
    return text
