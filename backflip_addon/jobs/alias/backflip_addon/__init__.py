# SPDX-License-Identifier: GPL-3.0-or-later
"""The name by which the trainer's own Python knows this package, whatever its folder is called.

Installed as an extension the package is bl_ext.<repository>.backflip in a folder "backflip", and its __init__ wants
Blender. With the folder above this one on the path, `python -m backflip_addon.trainer` works as from a checkout.
"""

from pathlib import Path

__path__ = [str(Path(__file__).resolve().parents[3])]
