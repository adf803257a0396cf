"""A Slurm of one controller and several nodes, all on this machine, for the time of a test."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

NEEDED = ("slurmctld", "slurmd", "sbatch", "squeue", "munged")


def programs() -> dict[str, str | None]:
    """Where Slurm's programs are; daemons are in a folder that is not on every account's path."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return {name: shutil.which(name, path=path) for name in NEEDED}


@dataclass
class Slurm:
    """`nodes`: by name, their daemon."""

    folder: Path
    nodes: dict[str, subprocess.Popen] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        return self.folder / "slurm.conf"

    def start_node(self, name: str) -> None:
        command = [str(programs()["slurmd"]), "-D", "-N", name, "-f", str(self.config)]
        with (self.folder / f"{name}.log").open("ab") as log:
            self.nodes[name] = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    def kill_node(self, name: str) -> None:
        """The daemon and every step it began: as when a machine loses its power."""
        import psutil

        daemon = psutil.Process(self.nodes[name].pid)
        spool = str(self.folder / f"spool-{name}")
        steps = [one for one in psutil.process_iter(["name", "cmdline"]) if one.info["name"] == "slurmstepd"]
        doomed = [daemon, *daemon.children(recursive=True)]
        for step in steps:
            with_environment = any(spool in text for text in (step.info["cmdline"] or []))
            if with_environment or _node_of(step) == (name, str(self.config)):
                doomed += [step, *step.children(recursive=True)]
        for one in doomed:
            try:
                one.kill()
            except psutil.NoSuchProcess:
                continue
        self.nodes[name].wait()

    def ask(self, *command: str) -> str:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _node_of(step: object) -> tuple[str, str]:
    """Which node a step's processes think they are on, and of which Slurm: another test may have its own."""
    for child in step.children(recursive=True):  # type: ignore[attr-defined]
        try:
            environment = child.environ()
        except Exception:  # it has just ended
            continue
        return environment.get("SLURMD_NODENAME", ""), environment.get("SLURM_CONF", "")
    return "", ""


@contextmanager
def slurm(folder: Path, nodes: int = 2) -> Iterator[Slurm]:
    """Munge, a controller and `nodes` nodes of one core each; SLURM_CONF points to them meanwhile."""
    folder.mkdir(parents=True, exist_ok=True)
    here = Slurm(folder)
    names = [f"n{index}" for index in range(1, nodes + 1)]
    found = programs()
    munge = folder / "munge"
    munge.mkdir(mode=0o755)
    (munge / "key").write_bytes(os.urandom(128))
    (munge / "key").chmod(0o400)
    here.config.write_text(_config(folder, names))
    processes = []
    before = os.environ.get("SLURM_CONF")
    os.environ["SLURM_CONF"] = str(here.config)
    try:
        files = [f"--{kind}-file={munge / kind}" for kind in ("key", "pid", "log", "seed")]
        daemon = [str(found["munged"]), "--foreground", "--force", f"--socket={munge / 'socket'}", *files]
        processes.append(_start(daemon, folder / "munged.log"))
        _until(lambda: (munge / "socket").exists())
        processes.append(_start([str(found["slurmctld"]), "-D", "-i", "-f", str(here.config)], folder / "ctld.log"))
        for name in names:
            here.start_node(name)
        _until(lambda: _idle(here) == nodes)
        yield here
    finally:
        subprocess.run(["scancel", "--user=root"], capture_output=True, check=False, timeout=20)
        for process in [*here.nodes.values(), *reversed(processes)]:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in [*here.nodes.values(), *processes]:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        if before is None:
            del os.environ["SLURM_CONF"]
        else:
            os.environ["SLURM_CONF"] = before


def _start(command: list[str], log: Path) -> subprocess.Popen:
    with log.open("ab") as stream:
        return subprocess.Popen(command, stdout=stream, stderr=stream, start_new_session=True)


def _idle(here: Slurm) -> int:
    try:
        return here.ask("sinfo", "--noheader", "--format=%n %t", "--Node").count("idle")
    except subprocess.CalledProcessError:
        return 0


def _until(true: object, seconds: float = 60) -> None:
    latest = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        assert time.monotonic() < latest, "Slurm did not come up"
        time.sleep(0.2)


def _free(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _config(folder: Path, names: list[str]) -> str:
    host = socket.gethostname()
    controller, *ports = _free(1 + len(names))
    (folder / "state").mkdir()
    lines = [
        "ClusterName=here",
        f"SlurmctldHost={host}(127.0.0.1)",
        f"SlurmctldPort={controller}",
        "SlurmUser=root",
        "SlurmdUser=root",
        "AuthType=auth/munge",
        f"AuthInfo=socket={folder / 'munge' / 'socket'}",
        "CredType=cred/munge",
        f"StateSaveLocation={folder / 'state'}",
        f"SlurmdSpoolDir={folder}/spool-%n",
        f"SlurmctldPidFile={folder}/ctld.pid",
        f"SlurmdPidFile={folder}/slurmd-%n.pid",
        "ProctrackType=proctrack/linuxproc",
        "TaskPlugin=task/none",
        "SelectType=select/cons_tres",
        "SelectTypeParameters=CR_CPU",
        "SchedulerType=sched/backfill",
        "SchedulerParameters=sched_interval=2",
        "MpiDefault=none",
        "ReturnToService=2",
        "SlurmdTimeout=8",
        "SlurmctldTimeout=30",
        "JobRequeue=1",
        "KillWait=2",
        "MinJobAge=30",
        "BatchStartTimeout=20",
    ]
    for name, port in zip(names, ports, strict=True):
        lines.append(f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=1 State=UNKNOWN")
    lines.append(f"PartitionName=main Nodes={','.join(names)} Default=YES MaxTime=INFINITE State=UP")
    return "\n".join(lines) + "\n"
