# SPDX-License-Identifier: GPL-3.0-or-later
"""Workers on other machines: how rounds go on when one is lost, late or new, and Ray behind them."""
