# SPDX-License-Identifier: GPL-3.0-or-later
"""Backflip: a Blender add-on with which a character learns a stunt."""
