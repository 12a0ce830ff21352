# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a program with the packages of a folder, whichever interpreter it is, and leaves the interpreter's folder alone.

A program of its own: python -I -S -B start_with_packages.py PACKAGES (-m MODULE | FILE) arguments…

The interpreter may be Blender's: its site-packages are left out (-S), and no bytecode may be written into its folder,
which on macOS is signed. But torch imports four times as fast with bytecode: so -B holds for the standard library
alone. The workers of a multiprocessing pool are started with the same options and are given sys.path; they write no
bytecode at all and read what is there.

What was brought from conda-forge lies beside the folder, in one laid out as a conda environment.
"""

from __future__ import annotations

import os
import runpy
import sys
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    SourceFileLoader,
    SourcelessFileLoader,
)

_WINDOWS = os.name == "nt"
CONDA_NAME = "conda"  # the folder beside the packages'


class _ReadOnlyLoader(SourceFileLoader):
    """Loads a module and writes no bytecode of it."""

    def set_data(self, path: str, data: bytes, *, _mode: int = 0o666) -> None:  # type: ignore[override]  # as documented
        pass


def use_packages(folder: str) -> None:
    """Find packages in a folder too, and write bytecode, but none in the folders that sys.path has had before."""
    kept = tuple(place + os.sep for place in sys.path)
    find = FileFinder.path_hook(
        (ExtensionFileLoader, EXTENSION_SUFFIXES),
        (_ReadOnlyLoader, SOURCE_SUFFIXES),
        (SourcelessFileLoader, BYTECODE_SUFFIXES),
    )

    def find_in_kept(path: str) -> FileFinder:
        if not (path + os.sep).startswith(kept):
            raise ImportError(path)
        return find(path)  # type: ignore[return-value]  # which is one

    sys.path_hooks.insert(0, find_in_kept)
    sys.path_importer_cache.clear()
    sys.dont_write_bytecode = False
    sys.path += [folder, *filter(os.path.isdir, [conda_packages(folder)])]


def conda_packages(folder: str) -> str:
    """Where what this Python imports of conda-forge's lies beside a folder of packages, if anything does."""
    prefix = os.path.join(os.path.dirname(os.path.abspath(folder)), CONDA_NAME)
    return conda_site(prefix, f"{sys.version_info[0]}.{sys.version_info[1]}")


def conda_site(prefix: str, version: str) -> str:
    """Where the packages lie in a conda environment."""
    return os.path.join(prefix, *(("Lib",) if _WINDOWS else ("lib", f"python{version}")), "site-packages")


def main(arguments: list[str]) -> None:
    """Run what the arguments name, as python itself would."""
    packages, what, *rest = arguments
    use_packages(packages)
    if what == "-m":
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = [what, *rest]
        runpy.run_path(what, run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
