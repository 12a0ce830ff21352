# SPDX-License-Identifier: GPL-3.0-or-later
"""What the compiled physics is compiled from: the files of the kernels, and of other files what the kernels use.

A kernel's machine code holds the constants of other modules, the functions that it calls, and the order of a named
tuple's fields. So what is used is followed by its names, from file to file; whatever else stands in those files can
change without anything being compiled anew.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

WARM_UP = Path("trainer", "warm_up.py")  # runs all kernels; what it runs is compiled

_KERNELS = re.compile(rb"^\s*(?:(?:import|from)\s+numba\b|@(?:kernel|inlined)\b)", re.MULTILINE)
_KERNEL = re.compile(rb"^@(?:kernel|inlined|njit)\b", re.MULTILINE)
_ALL = "*"  # in a name's place: every name of a file


def kernel_sources(package: Path) -> dict[str, bytes]:
    """File, or file and name, of all that the kernels of the package in that folder are compiled from -> its text."""
    sources: dict[str, bytes] = {}
    followed = _Followed()
    for file in sorted((package / "trainer").rglob("*.py")):
        text = file.read_bytes()
        if _KERNELS.search(text):
            followed.follow_kernels(file)
        if _KERNELS.search(text) or file == package / WARM_UP:
            sources[file.relative_to(package).as_posix()] = text
    for file, name, statement in followed.found:
        key = f"{file.relative_to(package).as_posix()}: {name}"
        sources[key] = sources.get(key, b"") + ast.unparse(statement).encode("utf-8", "surrogateescape")
    return sources


def kernel_count(package: Path) -> int:
    """How many kernels, and parts of kernels, there are."""
    return sum(len(_KERNEL.findall(file.read_bytes())) for file in (package / "trainer").rglob("*.py"))


class _Followed:
    """The statements that were reached from kernels. found: file, name and the statement that gives it a meaning."""

    def __init__(self) -> None:
        self.found: list[tuple[Path, str, ast.stmt]] = []
        self._seen: set[tuple[Path, str]] = set()
        self._bindings: dict[Path, dict[str, list[ast.stmt]]] = {}

    def follow_kernels(self, file: Path) -> None:
        """All that a file's decorated functions use."""
        for name, statements in self._names(file).items():
            if any(isinstance(each, ast.FunctionDef) and each.decorator_list for each in statements):
                self._follow(file, name)

    def _follow(self, file: Path, name: str) -> None:
        queue = [(file, name)]
        while queue:
            file, name = queue.pop()
            if (file, name) in self._seen:
                continue
            self._seen.add((file, name))
            names = self._names(file)
            if name == _ALL:
                queue += [(file, each) for each in names]
            for statement in names.get(name, ()):
                if isinstance(statement, ast.ImportFrom):
                    queue += _imported(file, statement, name)
                else:
                    self.found.append((file, name, statement))
                    queue += [(file, node.id) for node in ast.walk(statement) if isinstance(node, ast.Name)]

    def _names(self, file: Path) -> dict[str, list[ast.stmt]]:
        """A file's own names -> the statements that bind them."""
        if file not in self._bindings:
            names: dict[str, list[ast.stmt]] = {}
            for statement in ast.parse(file.read_bytes()).body:
                for name in _bound(statement):
                    names.setdefault(name, []).append(statement)
            self._bindings[file] = names
        return self._bindings[file]


def _bound(statement: ast.stmt) -> Iterator[str]:
    """The names that a statement gives a meaning, also under an if or a try."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        yield statement.name
    elif isinstance(statement, ast.ImportFrom):
        yield from (alias.asname or alias.name for alias in statement.names)
    else:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id


def _imported(file: Path, statement: ast.ImportFrom, name: str) -> Iterator[tuple[Path, str]]:
    """Where a name leads that was imported from the package: a name of another file, or the whole of one."""
    if not statement.level:
        return
    base = file.parents[statement.level - 1].joinpath(*(statement.module or "").split("."))
    original = next(alias.name for alias in statement.names if name in (alias.asname, alias.name))
    for target, its_name in (
        ((base / original).with_suffix(".py"), _ALL),
        (base.with_suffix(".py"), original),
        (base / "__init__.py", original),
    ):
        if target.is_file():
            yield target, its_name
            return
