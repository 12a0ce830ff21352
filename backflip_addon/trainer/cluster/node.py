# SPDX-License-Identifier: GPL-3.0-or-later
"""A node of a cluster: `python -m backflip_addon.trainer.cluster.node [--join ADDRESS]`, until it is interrupted.

Starts Ray with its dashboard and its usage statistics off, where its workers find Backflip, and with token
authentication: RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH name the token, the same on all nodes. Without --join it is the
cluster's head.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from .ray_machines import NO_TOKEN, has_token, is_loopback, own_variables

PORT = 6379


def main(arguments: list[str]) -> int:
    """Replaces this process by Ray's; returns 2 where it was used wrongly."""
    parser = argparse.ArgumentParser(prog="python -m backflip_addon.trainer.cluster.node", description=__doc__)
    parser.add_argument("--join", default="", metavar="HOST:PORT", help="the head's address; a head when left out")
    parser.add_argument("--address", default="127.0.0.1", metavar="IP", help="of this computer, as others reach it")
    parser.add_argument("--port", type=int, default=PORT, help=f"of the head ({PORT})")
    parser.add_argument("--cores", type=int, default=0, help="to be used here; all when left out")
    options = parser.parse_args(arguments)
    os.environ |= own_variables() | {"RAY_AUTH_MODE": "token"}
    if not has_token() and not is_loopback(options.address):
        print(NO_TOKEN, file=sys.stderr)
        return 2
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats"]
    command += ["--node-ip-address", options.address]
    if options.join:
        command += ["--address", options.join]
    else:
        command += ["--head", "--port", str(options.port), "--include-dashboard", "false"]
    if options.cores:
        command += ["--num-cpus", str(options.cores)]
    os.chdir(Path(sys.executable).parent)
    os.execv(sys.executable, command)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
