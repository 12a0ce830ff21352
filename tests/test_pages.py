# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pages say of the tree, held against the tree."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "backflip_addon"


def test_pages_name_files_that_are_there() -> None:
    """The architecture page, and how to contribute, are of the tree as it is."""
    names = {path.relative_to(ROOT).as_posix() for folder in (PACKAGE, ROOT / "tests") for path in folder.rglob("*")}
    of_a_job = ("job.json", "trainer.json", "take_notes.json", "stages/", "takes/", "bin/", "requests/")
    for page in (PACKAGE / "README.md", ROOT / ".github" / "CONTRIBUTING.md"):
        text = page.read_text(encoding="utf-8")
        for named in re.findall(r"`([\w./]+(?:\.py|\.json|/))`", text):
            if not named.startswith(of_a_job) and not re.search("NAME|FORMAT", named):
                end = f"/{named.rstrip('/')}"
                assert any(f"/{name}".endswith(end) for name in names), f"{page.name} names {named}"


def test_root_holds_what_belongs_there() -> None:
    ours = {"LICENSE", "README.md", "backflip_addon", "blender_manifest.toml", "build.py", "pyproject.toml", "tests"}
    made = {"dist", "demo", "__pycache__"}
    assert {path.name for path in ROOT.iterdir() if not path.name.startswith(".")} - made == ours
