"""A host of a deployment: its configuration file, which a test edits, and workers that have that."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from riptide.reads.sync_client import RipTide
from riptide.state.live.versions import Refused
from tests.support.deployment import MODULE, TYPES, Deployment
from tests.support.waiting import eventually
from tests.support.workers import WorkerProcess


class Host:
    """`sections` are what its file says besides where the server is. All hosts share a blob store."""

    def __init__(self, deployment: Deployment, directory: Path, name: str = "one", **sections: Any) -> None:
        self.deployment, self.name = deployment, name
        self.directory = directory / name
        self.directory.mkdir(parents=True)
        self.file = self.directory / "riptide.yml"
        self.blobs = directory / "blobs"
        self.write(**sections)

    def text(self, **sections: Any) -> str:
        """What the file says with these sections."""
        content: dict[str, Any] = {
            "redis": {"url": self.deployment.url, "cluster_mode": self.deployment.cluster},
            "blobs": {"url": str(self.blobs)},
            "distributed": {"node_id": self.name, "heartbeat_interval_ms": 100},
        }
        for section, values in ({"cache": {}, "workers": {}} | sections).items():
            content[section] = content.get(section, {}) | values
        content["cache"]["key_prefix"] = self.deployment.prefix
        content["workers"] |= {"modules": [MODULE], "retry_base_seconds": 0.02, "retry_cap_seconds": 0.2}
        return yaml.safe_dump({"persistence": content}, sort_keys=False)

    def write(self, **sections: Any) -> None:
        """Edit the file in place, as an editor that truncates it does."""
        self.file.write_text(self.text(**sections))

    def replace(self, **sections: Any) -> None:
        """Edit it as an editor that renames a new file over it does."""
        new = self.file.with_suffix(".new")
        new.write_text(self.text(**sections))
        new.replace(self.file)

    def worker(self, commands: Sequence[str] = ("reload", *TYPES), **environment: str) -> WorkerProcess:
        process = WorkerProcess(self.deployment, self.directory / "workers", commands=commands)
        plain = {name: process._environment[name] for name in ("PATH", "HOME", "PYTHONPATH")}
        process._environment = plain | {"RIPTIDE_CONFIG": str(self.file)} | environment
        return process


def ttl(value: Any) -> dict[str, Any]:
    """A section of a file by which tests tell versions apart."""
    return {"cache": {"default_ttl_seconds": value}}


def agreed(rt: RipTide, processes: int, number: int = 2) -> str:
    """The version that all processes are listed with, once that is the current one and has that number."""

    def one() -> str:
        members = rt.state.members()
        found = {member.config for member in members}
        same = len(members) == processes and found == {rt.state.history().current}
        return version if same and (version := found.pop()).startswith(f"{number}-") else ""

    return eventually(one, f"all {processes} processes to have version {number}")


def refusal(rt: RipTide, why: str) -> Refused:
    """What was refused last, once it is for that reason."""

    def found() -> Refused | None:
        refused = rt.state.history().refused
        return refused if refused is not None and why in refused.why else None

    refused = eventually(found, f"a refusal: {why}")
    assert refused is not None
    return refused


def let_pass() -> None:
    """Where nothing is to happen no signal can be waited for: this is several times what a change takes."""
    time.sleep(0.8)
