# SPDX-License-Identifier: GPL-3.0-or-later
"""One training on two hosts: two network namespaces of this computer with a core each, joined by a cable (veth).

Needs Linux, root, two cores, and Ray in this Python. Figures are wall-clock seconds, disturbed by whatever else runs:
the load is written beside them.

search_one, search_two: so many rounds of the backflip's search, by one host and by both. practice_one, practice_two: so
many samples of learning from scratch. killed_finished: with the second host killed in the midst both end, and the
search's costs are the same to the number. stranger_refused: a driver on the second host without the token gets nowhere.

batch: so many job folders in a batch on both hosts. A third of them learn for longer than a job stays away, so that
they come back broken off and are resumed; when as many have ended, driver and second host are killed,
and the batch is begun again. jobs; ended: of which the batch says so; twice: that were begun after their end, or that
tell of a take twice; resumed: that had more than one run; seconds.

    python tests/benchmarks/cluster.py [--rounds 60] [--samples 200000] [--jobs 40] [--json FILE]
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import common
import humanoid
import numpy as np

from backflip_addon.core import body as bodies
from backflip_addon.core.motion import Motion, save_motion
from backflip_addon.jobs.folder import JobFolder
from backflip_addon.jobs.messages import Finished, Job, JobSettings, Started, TakeRecorded
from backflip_addon.trainer.cluster import ray_machines
from backflip_addon.trainer.cluster.rollouts import ClusterRollouts
from backflip_addon.trainer.cluster.rounds import ClusterPool, Rounds
from backflip_addon.trainer.imitation.reference_track import Track
from backflip_addon.trainer.physics.state import Scene
from backflip_addon.trainer.planning.mpc import Search
from backflip_addon.trainer.planning.search_settings import SearchSettings
from backflip_addon.trainer.workers import WorkerError

HOSTS = (("backflip-one", "10.77.0.1", 0), ("backflip-two", "10.77.0.2", 1))  # namespace, address, core
PORT = 6399
HEAD = f"{HOSTS[0][1]}:{PORT}"
REPOSITORY = Path(__file__).resolve().parents[2]


# Seconds: that a job is away at most, that most of them take, and every third
AWAY, SHORT, LONG = 6.0, 2.0, 12.0


class Enough(Exception):
    """So many rounds are enough for the comparison."""


# What the driver does, in the first host's namespace


def drive(what: str, amount: int, workers: int) -> dict[str, Any]:
    """Search for so many rounds, or practise for so many samples, once so many workers are there."""
    body = humanoid.humanoid()
    reference = humanoid.clip("backflip", body)
    ray_machines.connect(HEAD)
    return (_search if what == "search" else _learn)(body, reference, amount, workers)


def _wait_for(rounds: Rounds, workers: int) -> None:
    end = time.monotonic() + 120
    while len(rounds.machines.present()) < workers and time.monotonic() < end:
        time.sleep(0.2)
    assert len(rounds.machines.present()) == workers, "a host is missing"


def _search(body: Any, reference: Any, amount: int, workers: int) -> dict[str, Any]:
    settings, costs = SearchSettings(), []
    with ClusterRollouts(Track(body, reference), settings.lost, ray_machines.RayMachines) as rollouts:
        assert rollouts.rounds is not None
        _wait_for(rollouts.rounds, workers)
        warm = np.zeros((64, 4, rollouts.track.layout.width))
        for _ in range(3):
            rollouts(rollouts.track.states[:1], [Scene()], 0, warm)
        search = Search(rollouts.track, rollouts, settings)
        before, began = traffic(), time.perf_counter()
        rollouts.seconds = 0.0

        def tell(_fraction: float, cost: float) -> None:
            costs.append(cost)
            if len(costs) == amount // 3:
                print("GOING", flush=True)
            if len(costs) >= amount:
                raise Enough

        with contextlib.suppress(Enough):
            search.perform(tell=tell)
        seconds = time.perf_counter() - began
        lost, repeated = rollouts.rounds.lost, rollouts.rounds.repeated
        spread = rollouts.seconds
    return _told(seconds, before, len(costs), lost, repeated) | {"sum": sum(costs), "in_rounds": spread}


def _learn(body: Any, reference: Any, amount: int, workers: int) -> dict[str, Any]:
    from backflip_addon.trainer.rl.trainer import PolicyTraining

    pools: list[ClusterPool] = []

    def pool(_count: int, make: Any, *arguments: Any, meanwhile: Any = None) -> ClusterPool:
        pools.append(ClusterPool(Rounds(ray_machines.RayMachines(make, arguments), meanwhile)))
        _wait_for(pools[0].rounds, workers)
        return pools[0]

    with PolicyTraining(body, reference, workers=1, new_pool=pool) as training:
        for _ in range(2):  # the first update has workers import torch
            training.iterate()
        first, before, began, rounds, going = training.samples, traffic(), time.perf_counter(), 0, False
        each = []
        while training.samples - first < amount:
            each.append(-time.perf_counter())
            training.iterate()
            each[-1] = round(each[-1] + time.perf_counter(), 3)
            rounds += 1
            if not going and training.samples - first >= amount / 3:
                going = True
                print("GOING", flush=True)
        seconds = time.perf_counter() - began
        told = _told(seconds, before, rounds, pools[0].rounds.lost, 0)
        return told | {"samples": training.samples - first, "each": each}


def _told(seconds: float, before: tuple[int, int], rounds: int, lost: int, repeated: int) -> dict[str, Any]:
    sent = [(after - one) / max(rounds, 1) for after, one in zip(traffic(), before, strict=True)]
    facts = {"seconds": seconds, "rounds": rounds, "lost": lost, "repeated": repeated}
    return facts | {"bytes_a_round": sent[0], "packets_a_round": sent[1]}


def traffic() -> tuple[int, int]:
    """Bytes and packets that the first host's end of the cable has carried, both ways."""
    folder = Path("/sys/class/net/veth0/statistics")
    counts = {name: int((folder / name).read_text()) for name in ("rx_bytes", "tx_bytes", "rx_packets", "tx_packets")}
    return counts["rx_bytes"] + counts["tx_bytes"], counts["rx_packets"] + counts["tx_packets"]


def stranger() -> bool:
    """Whether a driver without the token is turned away, by the cluster and by ourselves."""
    if ray_machines.lets_anybody_in(HEAD):
        return False
    try:
        ray_machines.connect(HEAD)
    except WorkerError:
        return True
    return False


# The hosts


def shell(*command: str, check: bool = True) -> None:
    subprocess.run(command, check=check, capture_output=True)


@contextlib.contextmanager
def cable() -> Iterator[None]:
    """The two namespaces and the cable between them."""
    try:
        for name, _, _ in HOSTS:
            shell("ip", "netns", "add", name)
        one, two = (name for name, _, _ in HOSTS)
        shell("ip", "link", "add", "veth0", "netns", one, "type", "veth", "peer", "name", "veth0", "netns", two)
        for name, address, _ in HOSTS:
            inside = ("ip", "-n", name)
            shell(*inside, "addr", "add", f"{address}/24", "dev", "veth0")
            shell(*inside, "link", "set", "veth0", "up")
            shell(*inside, "link", "set", "lo", "up")
        yield
    finally:
        for name, _, _ in HOSTS:
            kill(name)
            shell("ip", "netns", "del", name, check=False)


def kill(namespace: str) -> None:
    """Everything that runs in a namespace, at once, as where a host loses its power."""
    pids = subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True, check=False).stdout
    for pid in pids.split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)


def on(host: int, *arguments: str, token: str, **options: Any) -> subprocess.Popen[str]:
    """A Python of ours on a host's one core."""
    name, _, core = HOSTS[host]
    variables = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    variables |= ray_machines.own_variables() | {"OMP_NUM_THREADS": "1"}
    variables["RAY_worker_niceness"] = "0"  # of 15, Ray's own, they would give way to all else on this computer
    variables |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token} if token else {"HOME": "/nonexistent"}
    command = ["ip", "netns", "exec", name, "taskset", "-c", str(core), sys.executable, *arguments]
    return subprocess.Popen(command, env=variables, cwd=REPOSITORY, text=True, **options)


@contextlib.contextmanager
def hosts(count: int, token: str) -> Iterator[None]:
    """A node on each of the first count hosts."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    started = []
    try:
        for host in range(count):
            node = ["-m", "backflip_addon.trainer.cluster.node", "--address", HOSTS[host][1], "--cores", "1"]
            node += ["--join", HEAD] if host else ["--port", str(PORT)]
            started.append(on(host, *node, token=token, **quiet))
            time.sleep(6)
        yield
    finally:
        for name, _, _ in HOSTS:
            kill(name)
        for node in started:
            node.wait()


def driven(what: str, amount: int, workers: int, token: str, kill_second: bool = False) -> dict[str, Any]:
    """What a driver on the first host tells; the second host is killed when it is a third through."""
    own = [str(Path(__file__)), "--drive", what, "--amount", str(amount), "--count", str(workers)]
    with hosts(workers, token), on(0, *own, token=token, stdout=subprocess.PIPE) as driver:
        for line in driver.stdout or ():
            if line.startswith("GOING") and kill_second:
                kill(HOSTS[1][0])
            if line.startswith("{"):
                return dict(json.loads(line))
    return {}


# Many jobs


def batch(count: int, token: str) -> dict[str, Any]:
    """Train so many jobs on both hosts, broken off once."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="backflip-batch-") as place:
        jobs = [_job(Path(place) / f"job-{number:02d}", number) for number in range(count)]
        own = ["-m", "backflip_addon.trainer.cluster.batch", place, "--cluster", HEAD, "--slice", str(AWAY)]
        report = Path(place) / "report.json"
        with hosts(2, token), on(0, *own, token=token, stdout=subprocess.PIPE) as driver:
            for ended, line in enumerate(driver.stdout or (), 1):
                print(line.rstrip(), flush=True)
                if ended == count // 3:
                    kill(HOSTS[1][0])
                    driver.kill()
        own += ["--json", str(report)]
        with hosts(2, token), on(0, *own, token=token) as driver:
            code = driver.wait()
        rows = json.loads(report.read_text(encoding="utf-8"))["jobs"] if report.is_file() else []
        ended = sum(row["state"] == "finished" for row in rows)
        seconds = round(time.perf_counter() - began, 1)
        return {"jobs": count, "ended": ended, "exit": code, **_told_of(jobs), "seconds": seconds}


def _job(path: Path, number: int) -> JobFolder:
    """A job that learns to stand still, for a moment or, every third one, longer than it stays away."""
    body = humanoid.humanoid()
    first = humanoid.clip("backflip", body)
    still = Motion(30.0, first.position[:1].repeat(16, axis=0), first.rotations[:1].repeat(16, axis=0))
    seconds = SHORT if number % 3 else LONG
    settings = {"mode": "scratch", "minutes": seconds / 60, "workers": 1, "engine": "compiled"}
    folder = JobFolder(path)
    folder.create(Job(name=path.name, body=bodies.to_json(body), settings={**settings, "seed": number}))
    save_motion(folder.reference_file, still)
    return folder


def _told_of(jobs: list[JobFolder]) -> dict[str, int]:
    twice = resumed = 0
    for job in jobs:
        events, minutes = job.read_events()[0], JobSettings.from_json(job.read_job().settings).minutes
        takes = [event.file for event in events if isinstance(event, TakeRecorded)]
        again = len(set(takes)) < len(takes)
        ended, seconds = False, 0.0
        for event in events:
            again = again or (ended and isinstance(event, Started))
            if isinstance(event, Finished):
                seconds += event.seconds or 0.0
                ended = event.reason != "stopped" or seconds >= minutes * 60
        twice += again
        resumed += sum(isinstance(event, Started) for event in events) > 1
    return {"twice": twice, "resumed": resumed}


def main() -> int:
    parser = common.parser(__doc__, clip=False)
    parser.add_argument("--rounds", type=int, default=60, help="of the search")
    parser.add_argument("--samples", type=int, default=200_000, help="of learning from scratch")
    parser.add_argument("--jobs", type=int, default=40, help="of the batch")
    parser.add_argument("--drive", default="", help="what the driver does: search, learn or stranger")
    parser.add_argument("--amount", type=int, default=0)
    parser.add_argument("--count", type=int, default=1)
    options = parser.parse_args()
    if options.drive == "stranger":
        print(json.dumps({"refused": stranger()}), flush=True)
        return 0
    if options.drive:
        print(json.dumps(drive(options.drive, options.amount, options.count)), flush=True)
        return 0
    token, load = secrets.token_hex(32), os.getloadavg()[0]
    runs: dict[str, dict[str, Any]] = {}
    with cable():
        for what, amount in (("search", options.rounds), ("learn", options.samples)):
            if not amount:
                continue
            for name, workers, killed in (("one", 1, False), ("two", 2, False), ("killed", 2, True)):
                runs[f"{what}_{name}"] = driven(what, amount, workers, token, killed)
                print(f"{what}_{name}: {runs[f'{what}_{name}']}", flush=True)
        many = batch(options.jobs, token) if options.jobs else {}
        print(f"batch: {many}", flush=True)
        with hosts(1, token), on(1, __file__, "--drive", "stranger", token="", stdout=subprocess.PIPE) as asker:
            refused = '"refused": true' in (asker.communicate(timeout=120)[0] or "")
    names = ("one", "two", "killed")
    search, learning = ([runs.get(f"{what}_{name}", {}) for name in names] for what in ("search", "learn"))
    same = len({run.get("sum") for run in search}) == 1
    figures: dict[str, Any] = {
        **{f"search_{name}": run.get("seconds") for name, run in zip(names, search, strict=True)},
        **{f"practice_{name}": run.get("seconds") for name, run in zip(names, learning, strict=True)},
        "killed_finished": same and all(run[2].get("lost") == 1 for run in (search, learning)),
        "stranger_refused": refused,
        "batch": many,
        "load": [load, os.getloadavg()[0]],
        "runs": runs,
    }
    common.write(options, figures)
    print(json.dumps({key: value for key, value in figures.items() if key != "runs"}, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
