# SPDX-License-Identifier: GPL-3.0-or-later
"""Ray's actors as workers: one a core of every node, those that join later too. The one file that imports Ray.

Ray is an optional package of the trainer's Python. Its dashboard and its usage statistics are off. A cluster that lets
anybody in is refused, unless it is reached by a loopback address: whoever gets into a Ray cluster runs code there.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ...jobs.trainer_process import ALIAS_PATH
from ..threads import one_thread_each
from ..workers import WorkerError
from .rounds import Lost, Ticket

logger = logging.getLogger(__name__)

LOCAL = "local"
NODES_SECONDS = 2.0  # between looks for nodes that have joined
START_SECONDS = 180.0  # until the first workers have to be ready
PROBE_SECONDS = 30.0

# Read when Ray starts. A node that is gone is known to be after some seconds, and not half a minute
_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_health_check_initial_delay_ms": "2000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "3",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
NO_RAY = "The trainer's Python has no Ray: install it from the lock that is made for it, or train without --cluster."
NO_TOKEN = (
    "A cluster that is not on this computer is joined with a token alone: set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN "
    "(or RAY_AUTH_TOKEN_PATH) here as on its nodes."
)


def own_variables() -> dict[str, str]:
    """Variables that a node of a cluster is started with: where workers find Backflip, and Ray's settings."""
    return {**_SETTINGS, "PYTHONPATH": str(ALIAS_PATH)}


class ClusterError(WorkerError):
    """Why there is no cluster to work on, in one sentence."""


def is_loopback(address: str) -> bool:
    """Whether an address, host:port, can be reached from this computer alone."""
    host = address.rpartition(":")[0].strip("[]") if ":" in address else address
    if host in (LOCAL, "localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def has_token() -> bool:
    """Whether this process is set up to show a token."""
    if os.environ.get("RAY_AUTH_MODE", "").lower() != "token":
        return False
    named = os.environ.get("RAY_AUTH_TOKEN_PATH", "")
    return bool(os.environ.get("RAY_AUTH_TOKEN")) or Path(named or Path.home() / ".ray" / "auth_token").is_file()


def check_closed(address: str) -> None:
    """Raises ClusterError for a cluster elsewhere that asks for no token, or where we have none to show."""
    if is_loopback(address):
        return
    if not has_token():
        raise ClusterError(NO_TOKEN)
    if lets_anybody_in(address):
        raise ClusterError(f"The cluster at {address} lets anybody in: start its nodes with RAY_AUTH_MODE=token.")


def lets_anybody_in(address: str) -> bool:
    """Whether a cluster answers to somebody without its token. Asked in a process that has none."""
    stranger = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    stranger |= {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
    code = (
        "import sys; from ray._raylet import GcsClient; "
        "GcsClient(address=sys.argv[1]).internal_kv_keys(b'', None, 10); print('let in')"
    )
    try:
        command = [sys.executable, "-c", code, address]
        asked = subprocess.run(
            command, env=stranger, capture_output=True, text=True, timeout=PROBE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return "let in" in asked.stdout


def connect(address: str, cores: int = 0) -> None:
    """Join a cluster as this computer's driver; LOCAL starts one of this computer alone. Raises ClusterError."""
    os.environ.update(own_variables())  # read when Ray is imported, and by the node that is started here
    if address == LOCAL:
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    try:
        import ray
    except ImportError as error:
        raise ClusterError(NO_RAY) from error
    if ray.is_initialized():
        return
    check_closed(address)
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": False}
    if address == LOCAL:
        options |= {"address": "local", "include_dashboard": False, "num_cpus": cores or None}
    else:
        options["address"] = address
    signals = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        ray.init(**options)
    except Exception as error:  # Ray raises a dozen kinds, and some of them plain RuntimeErrors
        words = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise ClusterError(f"The cluster at {address} cannot be joined: {words}.") from error
    finally:
        for each, handler in signals.items():  # Ray takes them, and to us they are a wish to stop
            signal.signal(each, handler)


def leave() -> None:
    """Leave the cluster; one that was started here ends."""
    ray = sys.modules.get("ray")
    if ray is not None and ray.is_initialized():
        ray.shutdown()


class Holder:
    """What an actor is: it holds a worker of ours, made of (make, arguments), which is told what to do by name."""

    def __init__(self, made: tuple[Callable[..., Any], tuple[Any, ...]]) -> None:
        one_thread_each()
        make, arguments = made
        self.worker = make(*arguments)

    def ready(self) -> bool:
        return True

    def do(self, method: str, arguments: tuple[Any, ...]) -> Any:
        return getattr(self.worker, method)(*arguments)


class RayMachines:
    """rounds.Machines of a Ray cluster: actors that hold make(*arguments), one for each core that Ray counts.

    most: workers at most, 0: as many as there are cores. joined: is told the name of each that is ready.
    """

    def __init__(self, make: Callable[..., Any], arguments: tuple[Any, ...], most: int = 0) -> None:
        import ray

        self._ray = ray
        self._made = ray.put((make, arguments))  # travels once a node, as bytes
        self._most = most
        self._actors: dict[str, Any] = {}
        self._coming: dict[str, tuple[Any, Any]] = {}  # name -> actor, and what tells that it is ready
        self._counts: dict[str, int] = {}  # node -> actors made there
        self._looked = float("-inf")
        end = time.monotonic() + START_SECONDS
        self._look_for_nodes()
        while self._coming and time.monotonic() < end:
            self._welcome(1.0)
        if not self._actors:
            raise ClusterError("No worker of the cluster became ready in time.")

    def present(self) -> list[str]:
        if time.monotonic() - self._looked > NODES_SECONDS:
            self._look_for_nodes()
        self._welcome(0.0)
        return sorted(self._actors)

    def _look_for_nodes(self) -> None:
        """Make workers on the cores of nodes that have come; forget nodes that have gone."""
        self._looked = time.monotonic()
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        remote = self._ray.remote(max_restarts=0, max_task_retries=0)(Holder)
        for node in self._ray.nodes():
            name = str(node["NodeID"])
            if not node["Alive"]:
                self._counts.pop(name, None)
                continue
            while self._counts.get(name, 0) < int(node["Resources"].get("CPU", 0)) and self._wants_more():
                number = self._counts[name] = self._counts.get(name, 0) + 1
                options = {"num_cpus": 1, "scheduling_strategy": NodeAffinitySchedulingStrategy(name, soft=False)}
                actor = remote.options(**options).remote(self._made)
                self._coming[f"{node['NodeManagerAddress']}-{name[:6]}-{number:03d}"] = (actor, actor.ready.remote())

    def _wants_more(self) -> bool:
        return not self._most or len(self._actors) + len(self._coming) < self._most

    def _welcome(self, seconds: float) -> None:
        """Count in the workers that have become ready."""
        tickets = {ticket: name for name, (_, ticket) in self._coming.items()}
        for ticket in self.wait(list(tickets), seconds) if tickets else ():
            name = tickets[ticket]
            actor, _ = self._coming.pop(name)
            try:
                self._ray.get(ticket)
            except self._ray.exceptions.RayError as error:
                logger.warning("worker %s did not start: %s", name, str(error).strip().splitlines()[-1])
                continue
            self._actors[name] = actor

    def ask(self, name: str, method: str, arguments: tuple[Any, ...]) -> Ticket:
        ticket: Ticket = self._actors[name].do.remote(method, arguments)
        return ticket

    def wait(self, tickets: Sequence[Ticket], seconds: float) -> list[Ticket]:
        """Those that are answered, as soon as one is."""
        if not tickets:
            return []
        done, _ = self._ray.wait(list(tickets), num_returns=1, timeout=seconds, fetch_local=True)
        if done and len(tickets) > 1:
            done, _ = self._ray.wait(list(tickets), num_returns=len(tickets), timeout=0, fetch_local=True)
        return list(done)

    def answer(self, ticket: Ticket) -> Any:
        """What a worker returned. Raises Lost, and WorkerError with what it raised."""
        errors = self._ray.exceptions
        try:
            return self._ray.get(ticket)
        except (errors.RayActorError, errors.ObjectLostError, errors.NodeDiedError, errors.OwnerDiedError) as error:
            raise Lost(str(error)) from error
        except errors.RayTaskError as error:
            raise WorkerError(str(error)) from error
        except errors.RayError as error:
            raise Lost(str(error)) from error

    def drop(self, name: str) -> None:
        actor = self._actors.pop(name, None)
        if actor is not None:
            self._ray.kill(actor)

    def close(self) -> None:
        """End all workers; the cluster stays."""
        for name in list(self._actors):
            self.drop(name)
        for actor, _ in self._coming.values():
            self._ray.kill(actor)
        self._coming.clear()


class RayTasks:
    """batch.Tasks of a Ray cluster. train: what a task does, of a job's files and seconds."""

    def __init__(self, train: Callable[[dict[str, bytes], float], dict[str, bytes]]) -> None:
        import ray

        self._ray = ray
        self._train = ray.remote(max_retries=0)(train)

    def submit(self, files: dict[str, bytes], seconds: float, cores: int) -> Any:
        return self._train.options(num_cpus=cores).remote(files, seconds)

    def wait(self, tickets: Sequence[Any], seconds: float) -> list[Any]:
        done, _ = self._ray.wait(list(tickets), num_returns=1, timeout=seconds)
        return list(done)

    def answer(self, ticket: Any) -> dict[str, bytes]:
        """The job as it has come back. Raises Lost, and WorkerError."""
        errors = self._ray.exceptions
        try:
            files: dict[str, bytes] = self._ray.get(ticket)
        except errors.RayTaskError as error:
            raise WorkerError(str(error)) from error
        except errors.RayError as error:  # its machine is gone, or what it came to
            raise Lost(str(error)) from error
        return files
