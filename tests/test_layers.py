# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may know whom: every import of the package, held against the layers of the design."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "backflip_addon"

BLENDER = {"bpy", "bpy_extras", "bl_ui", "bl_math", "blf", "bmesh", "gpu", "gpu_extras", "mathutils", "addon_utils"}
NUMPY = {"numpy"}
NUMBA = {"numba", "llvmlite"}

COMMON = {
    "compat",
    "preferences",
    "registration",
    "settings",
    "wording",
    "wrapping",
}  # files at the top, for Blender's wing

# Room -> the rooms of the package it may import, and the packages from outside.
LAYERS: dict[str, tuple[set[str], set[str]]] = {
    "core": (set(), NUMPY),
    "jobs": ({"core"}, set()),
    "runtime": ({"core"}, set()),
    "trainer": ({"core", "jobs"}, NUMPY | NUMBA | {"torch", "pybullet", "pybullet_data", "pybullet_utils", "ray"}),
    "scene": ({"core", "compat", "settings"}, NUMPY | BLENDER),
    "operators": ({"scene", "jobs", "runtime", "core"} | COMMON, NUMPY | BLENDER),
    "ui": ({"operators", "jobs", "runtime", "core"} | COMMON, NUMPY | BLENDER),
    "preferences": ({"jobs", "runtime", "registration", "wrapping"}, BLENDER),
    "settings": ({"registration"}, BLENDER),
    "compat": (set(), BLENDER),
    "wrapping": (set(), BLENDER),
    "wording": (set(), BLENDER),
    "registration": (set(), BLENDER),
    "headless": ({"__init__", "operators", "scene", "jobs", "runtime", "core"} | COMMON, NUMPY | BLENDER),
    "translations": ({"registration"}, BLENDER),
    "__init__": ({"ui", "operators", "headless", "translations"} | COMMON, BLENDER),
}
# Programs of their own, which another Python runs and nobody imports -> what they may import beside
PROGRAMS = {"runtime/bring_pybullet.py": {"rattler"}}
FILES = sorted(path for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts)


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def imports(path: Path) -> Iterator[tuple[int, str, list[str]]]:
    """Every import, wherever it stands: line, "inside" or "outside", dotted names."""
    inside = ("backflip_addon", *path.relative_to(PACKAGE).parent.parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, "outside", alias.name.split(".")
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.lineno, "outside", (node.module or "").split(".")
        elif isinstance(node, ast.ImportFrom):
            base = list(inside[: len(inside) - node.level + 1])
            module = base + (node.module.split(".") if node.module else [])
            assert module and module[0] == "backflip_addon", f"{path}:{node.lineno} reaches out of the package"
            if len(module) > 1:
                yield node.lineno, "inside", module[1:]
            else:
                for alias in node.names:
                    part = (PACKAGE / alias.name).is_dir() or (PACKAGE / f"{alias.name}.py").is_file()
                    yield node.lineno, "inside", [alias.name if part else "__init__"]


def test_every_room_is_known() -> None:
    assert {room(path) for path in FILES} <= set(LAYERS)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_follow_the_arrows(path: Path) -> None:
    rooms, packages = LAYERS[room(path)]
    packages = packages | PROGRAMS.get(name_of(path), set())
    programs = {Path(program).stem for program in PROGRAMS}
    wrong = []
    for line, where, names in imports(path):
        if where == "inside" and names[0] not in rooms | {room(path)}:
            wrong.append(f"line {line}: {room(path)} may not know {names[0]}")
        elif where == "inside" and programs & set(names):
            wrong.append(f"line {line}: {'.'.join(names)} is a program")
        elif where == "outside" and names[0] not in packages | sys.stdlib_module_names:
            wrong.append(f"line {line}: {room(path)} may not import {'.'.join(names)}")
    assert not wrong, "\n".join(wrong)


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


def test_no_import_leads_back() -> None:
    """No circle of modules anywhere, not by imports inside a function or for type checkers either."""
    known = {module_name(path).removesuffix(".__init__"): path for path in FILES}
    graph = {module: sorted(imported_modules(path, known)) for module, path in known.items()}
    cleared: set[str] = set()

    def walk(module: str, road: list[str]) -> None:
        assert module not in road, " -> ".join([*road[road.index(module) :], module])
        for target in graph[module] if module not in cleared else ():
            walk(target, [*road, module])
        cleared.add(module)

    for module in graph:
        walk(module, [])


def imported_modules(path: Path, known: dict[str, Path]) -> set[str]:
    """The package's modules that a file imports; a package counts where something of its own __init__ is."""
    package = path.relative_to(PACKAGE.parent).parent.parts
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = ".".join([*package[1 : len(package) - node.level + 1], *filter(None, [node.module])])
            for alias in node.names:
                module = f"{base}.{alias.name}".removeprefix(".")
                found.add(module if module in known else base or "__init__")
    return found


def test_one_file_talks_to_pybullet() -> None:
    talkers = [name_of(path) for path in FILES for _, _, names in imports(path) if names[0].startswith("pybullet")]
    assert set(talkers) <= {"trainer/physics/pybullet_world.py".replace("/", path_separator())}


def test_one_file_talks_to_ray() -> None:
    talkers = {path.name for path in FILES for _, _, names in imports(path) if names[0] == "ray"}
    assert talkers <= {"ray_machines.py"}


def path_separator() -> str:
    return "\\" if sys.platform == "win32" else "/"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_nothing_unsafe(path: Path) -> None:
    """No pickles, no evaluated text, no errors swallowed whole."""
    wrong = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            wrong.append(f"line {node.lineno}: bare except")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("eval", "exec"):
            wrong.append(f"line {node.lineno}: {node.func.id}")
        if isinstance(node, ast.keyword) and isinstance(node.value, ast.Constant):
            allows = (node.arg, node.value.value)
            if allows in (("allow_pickle", True), ("weights_only", False), ("shell", True)):
                wrong.append(f"line {node.value.lineno}: {allows[0]}={allows[1]}")
    wrong += [f"line {line}: pickle" for line, _, names in imports(path) if names[0] in ("pickle", "marshal", "shelve")]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_licence_is_named(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith("# SPDX-License-Identifier: GPL-3.0-or-later\n")


# Inside the trainer and the core: each wing, or room, and those that it may know
TRAINER_WINGS: dict[str, set[str]] = {
    "__main__": {"runner", "threads"},
    "runner": {"cluster", "rl", "planning", "imitation", "physics", "workers", "compile", "compiled_cache"},
    "cluster": {"imitation", "physics", "workers", "threads", "lane_count"},
    "compile": {"warm_up", "compiled_cache", "kernel_sources"},
    "warm_up": {"imitation", "physics"},
    "rl": {"planning", "imitation", "physics", "workers"},
    "planning": {"imitation", "physics", "workers", "lane_count"},
    "imitation": {"physics", "compiled_cache", "lane_count"},
    "physics": {"compiled_cache", "lane_count"},
    "video": set(),
    "workers": {"threads"},
    "threads": set(),
    "compiled_cache": {"kernel_sources", "lane_count"},
    "kernel_sources": set(),
    "lane_count": set(),
}
CORE_ROOMS: dict[str, set[str]] = {
    "exports": {"clips", "motions", "formats", "rigs"},
    "clips": {"motions", "formats", "rigs"},
    "motions": {"rigs"},
    "formats": {"rigs"},
    "rigs": set(),
}
MODULES = {module_name(path).removesuffix(".__init__"): path for path in FILES}


def parts_of(room_: str) -> list[str]:
    """The modules of a room of the package, as in core.rigs.fit."""
    return [module for module in MODULES if module.startswith(f"{room_}.")]


def upwards(module: str, known: dict[str, set[str]]) -> list[str]:
    """The wings of its own room that a module imports and may not know; known's wings are the room's only ones."""
    room_, own = module.split(".")[:2]
    wings = {
        target.split(".")[1] for target in imported_modules(MODULES[module], MODULES) if target.startswith(room_ + ".")
    }
    return sorted(wings & known.keys() - known.get(own, set()) - {own})


@pytest.mark.parametrize("module", parts_of("trainer"))
def test_the_trainers_wings_know_one_another_one_way(module: str) -> None:
    assert module.split(".")[1] in TRAINER_WINGS, "a wing that nobody knows"
    assert not upwards(module, TRAINER_WINGS), f"{module} may not know them"


@pytest.mark.parametrize("module", parts_of("core"))
def test_the_cores_rooms_know_one_another_one_way(module: str) -> None:
    """And what stands in no room, for all of them, knows none."""
    assert not upwards(module, CORE_ROOMS), f"{module} may not know them"


@pytest.mark.parametrize("module", parts_of("trainer.physics.compiled"))
def test_the_compiled_step_knows_no_pybullet(module: str) -> None:
    targets = imported_modules(MODULES[module], MODULES)
    assert not [target for target in targets if "pybullet" in target]
    assert not [names for _, _, names in imports(MODULES[module]) if names[0].startswith("pybullet")]
