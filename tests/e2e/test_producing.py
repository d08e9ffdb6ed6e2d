"""What docs/producing.md shows works as it stands, and the conformance vectors are what the code does."""

import hashlib
import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from riptide import connect
from scripts import conformance
from tests.conftest import IN_CI
from tests.e2e.conftest import ROOT
from tests.servers import ServerProcess
from tests.support.deployment import Deployment
from tests.support.pages import blocks, named
from tests.support.waiting import PATIENCE
from tests.support.workers import WorkerProcess

PAGE = (ROOT / "docs/producing.md").read_text()
VECTORS = ROOT / "commands/conformance"


def vectors(name: str) -> Any:
    return json.loads((VECTORS / f"{name}.json").read_text())


def lines(program: str) -> list[list[str]]:
    """The page's command lines of one program."""
    every = [shlex.split(line) for text in blocks(PAGE, "sh") for line in text.splitlines()]
    return [words for words in every if words[0] == program]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The page's files, each under the name that it begins with."""
    files = named(PAGE, "js") | {"publish.sh": next(iter(blocks(PAGE, "bash")))}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "commands").symlink_to(ROOT / "commands")
    return tmp_path


def run(words: list[str], folder: Path, url: str = "") -> str:
    program = shutil.which(words[0])
    if program is None:
        assert not IN_CI, f"{words[0]} is not installed"
        pytest.skip(f"{words[0]} is not installed")
    ended = subprocess.run(
        [program, *words[1:]],
        cwd=folder,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "REDIS_URL": url},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def test_the_vectors_are_current() -> None:
    assert conformance.stale() == [], "run: python -m scripts.conformance"


def test_the_vectors_are_what_the_page_says_of_them() -> None:
    """Computed once more, by the words of the page alone."""
    listed = re.findall(r"^ {4}([0-9 ]+)$", PAGE, re.MULTILINE)[0].split()
    given = vectors("partitions")
    assert given["partitions"] == listed
    for tenant, partition in given["of_tenant"].items():
        number = int.from_bytes(hashlib.blake2b(tenant.encode(), digest_size=4).digest(), "big")
        assert listed[number % 16] == partition
    for entry in vectors("entry-keys")["entries"]:
        text = f"{entry['version']}\0{entry['key']}"
        assert hashlib.blake2b(text.encode(), digest_size=16).hexdigest() == entry["digest"]
        assert entry["redis_key"] == f"riptide:tenant:{{acme}}:pages:{entry['digest']}"
    assert {path.name for path in VECTORS.iterdir()} == set(re.findall(r"conformance/([\w-]+\.json)", PAGE))


def test_node_agrees_with_the_vectors(folder: Path) -> None:
    (words,) = [words for words in lines("node") if words[1] == "conform.mjs"]
    assert run(words, folder) == "conforms"


@pytest.mark.e2e
def test_bash_and_node_publish(
    folder: Path, private_server: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    server = private_server()
    deployment = Deployment(server.url, "riptide")
    publishing = [*lines("bash"), *(words for words in lines("node") if words[1] == "publish.mjs")]
    assert len(publishing) == 2
    with (
        WorkerProcess(deployment, tmp_path, commands=["invalidate"], tenant={"enabled": True}),
        connect(config=deployment.settings(tenant={"enabled": True})) as rt,
    ):
        rt.tenants.create("acme")
        for words in publishing:
            rt.cache.set("tea", 12, tenant="acme", namespace="prices", tags=["drinks"])
            ref = run(words, folder, server.url)
            assert ref.split(".")[:2] == ["invalidate", vectors("partitions")["of_tenant"]["acme"]]
            assert rt.wait(ref, PATIENCE).state == "done"
            assert rt.cache.get("tea", tenant="acme", namespace="prices") is None
    deployment.close()
