# SPDX-License-Identifier: GPL-3.0-or-later
"""The road without a window, on any .blend: `blender --command backflip WORD ...`, and the same words as
`python -m backflip_addon.headless WORD ...` in Blender's module."""
