# SPDX-License-Identifier: GPL-3.0-or-later
"""What every file owes its reader: no great length, docstrings, and the words of the field."""

from __future__ import annotations

import ast
import functools
import io
import re
import tokenize
from collections.abc import Callable, Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = REPOSITORY / "backflip_addon"
PACKAGE_FILES = sorted(path for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts)
FILES = [
    *PACKAGE_FILES,
    *sorted(path for path in (REPOSITORY / "tests").rglob("*.py") if "__pycache__" not in path.parts),
    REPOSITORY / "build.py",
]

FILE_LINES = 450
FUNCTION_LINES = 60  # from def to end, decorators apart
TELLING_LINES = 5  # a function no longer than this may leave its telling to its name

# Methods that Blender or a base class calls; what they must do is told there
CALLED_BY_CONTRACT = {
    *("register", "unregister", "main", "draw", "draw_item", "poll", "invoke", "execute", "modal", "cancel"),
    *("run", "slices", "attempt", "lacking", "ready"),
}

# Word, alone or as a part of a name -> what the field says. Inflected forms are found too
WORDS = {
    "crowd": "batched simulator",
    "arena": "environment",
    "practice": "rollouts",
    "practise": "rollouts",
    "lesson": "feedback fit",
    "rehearsal": "robust planning",
    "rehearse": "robust planning",
    "likelihood": "log_probs",
    "clipcheck": "inspection",
    "foul": "illegal contact",
}
# Whole names only: within other words, and in prose, these are plain English
NAMES = {
    "senses": "observations",
    "judge": "evaluate",
    "guide": "target_trajectory",
    "take_up": "load_state",
    "take_requests": "pop_requests",
    "take_files": "list_takes",
}
# The same in the trainer alone
TRAINER_NAMES = {
    "secret": "privileged observation",
    "trace": "gae_lambda",
    "surprise": "td_error",
    "stray": "landing offset",
    "drift": "horizontal error",
    "settle": "average_weights",
    "aim": "target impulse",
    "ROUNDS": "SOLVER_ITERATIONS",
    "RECOVERY": "ERP",
    "REACH": "CONTACT_MARGIN",
    "SLOP": "LINEAR_SLOP",
}
FORMS = {
    form: word
    for word in WORDS
    for form in (word, f"{word}s", f"{word}d", f"{word}ed", f"{word}ing", f"{word.removesuffix('e')}ing")
}
LOST_PAGE = "DESIGN" + ".md"  # stands in no folder of the repository


def hold(paths: list[Path], wrong_in: Callable[[Path], list[str]]) -> None:
    """Assert that nothing is wrong in any of the files, and name all that is."""
    wrong = [f"{name_of(path)}: {what}" for path in paths for what in wrong_in(path)]
    assert not wrong, "\n" + "\n".join(wrong)


@functools.cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def name_of(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def names_and_prose(path: Path) -> Iterator[tuple[int, str, bool]]:
    """Line, text, and whether it is a name: of the file, of whatever the code names, of comments and docstrings."""
    yield 0, path.stem, True
    source = path.read_text(encoding="utf-8")
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in (tokenize.NAME, tokenize.COMMENT):
            yield token.start[0], token.string, token.type == tokenize.NAME
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield getattr(node, "lineno", 1), ast.get_docstring(node) or "", False


def words_of(text: str) -> list[str]:
    """The lower-case words of prose or of a name: in_crowd and InCrowd are in and crowd."""
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", text)]


def old_words(path: Path) -> list[str]:
    """What a file says in a word that the field doesn't use, line by line."""
    own = NAMES | (TRAINER_NAMES if PACKAGE / "trainer" in path.parents else {})
    told = path.read_text(encoding="utf-8").lower() + path.stem
    if not any(word.lower().removesuffix("e") in told for word in (*WORDS, *own)):
        return []  # most files; taking them apart takes long
    wrong = []
    for line, text, is_name in names_and_prose(path):
        wrong += [
            f"line {line}: {word}; the field says {WORDS[FORMS[word]]}" for word in words_of(text) if word in FORMS
        ]
        if is_name and text in own:
            wrong.append(f"line {line}: {text}; the field says {own[text]}")
    return wrong


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def long_ones(path: Path) -> list[str]:
    source = path.read_text(encoding="utf-8")
    lines = len(source.splitlines())
    functions = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    long = [f"{node.name} has {length(node)} lines" for node in functions if length(node) > FUNCTION_LINES]
    return long + ([f"{lines} lines"] if lines > FILE_LINES else [])


def untold(body: list[ast.stmt], owner: str = "") -> Iterator[str]:
    """The public classes, functions and methods of a body that have no docstring and are not told by their names."""
    for node in body:
        if getattr(node, "name", "_").startswith("_"):
            continue
        if isinstance(node, ast.ClassDef):
            own = tuple(ast.unparse(base) for base in node.bases)
            if not ast.get_docstring(node) and "bpy.types.Panel" not in own:  # a panel's label tells
                yield node.name
            yield from untold(node.body, f"{node.name}.")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not ast.get_docstring(node):
            known = node.name in CALLED_BY_CONTRACT or length(node) <= TELLING_LINES
            if not known:
                yield f"{owner}{node.name}"


def undocumented(path: Path) -> list[str]:
    tree = tree_of(path)
    module = ["the module"] if tree.body and not ast.get_docstring(tree) else []
    return [f"{name} has no docstring" for name in [*module, *untold(tree.body)]]


def test_no_file_and_no_function_is_long() -> None:
    hold(FILES, long_ones)


def test_the_words_are_the_fields() -> None:
    # Besides this file, one whose figures have been asked for by a name of those
    others = (Path(__file__).resolve(), Path(__file__).resolve().parent / "benchmarks" / "cluster.py")
    hold([path for path in FILES if path not in others], old_words)


def test_nothing_sends_a_reader_to_a_page_that_is_not_here() -> None:
    hold(FILES, lambda path: [LOST_PAGE] if LOST_PAGE in path.read_text(encoding="utf-8") else [])


def test_what_is_public_has_a_docstring() -> None:
    hold(PACKAGE_FILES, undocumented)
