"""Configuration files of two hosts edited many times in a second, while all processes are busy."""

import json
import multiprocessing
import random
import time
from contextlib import ExitStack
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

import riptide
from riptide.config.document import parse_document
from tests.support.commands import Effect
from tests.support.deployment import Deployment
from tests.support.hosts import Host, ttl
from tests.support.waiting import PATIENCE, eventually

pytestmark = [pytest.mark.faults, pytest.mark.slow]

EDITS, CLIENTS = 30, 2


def busy(file: Path, into: str, theirs: Connection) -> None:
    """A service: it publishes, writes and reads until told to end; answers what it saw."""
    version, refs, reads = "", [], 0
    with riptide.connect(config=file) as rt:
        theirs.send("ready")
        while not theirs.poll():
            refs.append(str(rt.publish(Effect(into=into), tenant=f"t{reads % 7}")))
            rt.cache.set("k", reads)
            assert type(rt.cache.get("k")) is int, "others write it, too"
            now = rt.settings.cache.model_copy()
            assert now.default_ttl_seconds + 1 == now.negative_ttl_seconds, "a mixture"
            reads += 1
        wanted = theirs.recv()
        eventually(lambda: rt.state.version == wanted, f"this process to have {wanted}")
        version, seconds = rt.state.version, rt.settings.cache.default_ttl_seconds
    theirs.send((version, seconds, refs))


def offered(deployment: Deployment, blobs: Path) -> set[str]:
    """What the configurations say that reloads were published for."""
    bodies = (json.loads(fields[b"body"]) for _, _, fields in deployment.entries("reload"))
    return {
        parse_document((blobs / body["blob"]).read_bytes()).given["cache.default_ttl_seconds"]
        for body in bodies
    }


def test_all_processes_end_on_the_same_version_and_nothing_fails(
    alone: Deployment, tmp_path: Path, rng: random.Random
) -> None:
    """Every third edit is invalid or cut off; which host has the last word is decided by the stream."""
    into = alone.prefix
    both = {"cache": {"default_ttl_seconds": 60, "negative_ttl_seconds": 61}}
    hosts = [Host(alone, tmp_path, name, **both) for name in ("one", "two")]
    spawn = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        workers = [stack.enter_context(host.worker()) for host in hosts for _ in range(2)]
        rt = stack.enter_context(riptide.connect(config=hosts[0].file))
        clients = []
        for number in range(CLIENTS):
            ours, theirs = spawn.Pipe()
            client = spawn.Process(target=busy, args=(hosts[number % 2].file, into, theirs))
            client.start()
            stack.callback(client.kill)
            assert ours.poll(PATIENCE)
            assert ours.recv() == "ready"
            clients.append((client, ours))

        valid = {60}
        for number in range(1, EDITS + 1):
            until = time.monotonic() + 1 / EDITS  # the pace of the edits
            host, seconds = rng.choice(hosts), 1000 + number
            good = {"cache": {"default_ttl_seconds": seconds, "negative_ttl_seconds": seconds + 1}}
            if number % 3 == 0:
                text = host.text(**good)
                bad = (host.text(**ttl("soon")), "cache: [\n", "", text[: rng.randrange(1, len(text) - 1)])
                host.file.write_text(rng.choice(bad))
            else:
                valid.add(seconds)
                rng.choice((host.write, host.replace))(**good)
            time.sleep(max(0.0, until - time.monotonic()))

        # Both files end well, whatever the last edit of each was.
        for host, seconds in zip(hosts, (2001, 2002), strict=True):
            host.replace(cache={"default_ttl_seconds": seconds, "negative_ttl_seconds": seconds + 1})

        def settled() -> str:
            if not (offered(alone, hosts[0].blobs) >= {"2001", "2002"} and alone.at_rest("reload")):
                return ""  # of two at once the earlier may be skipped, so not both need be accepted
            members = rt.state.members()
            found = {member.config for member in members}
            everybody = len(members) == len(workers) + len(clients) + 1
            return found.pop() if everybody and found == {rt.state.history().current} else ""

        version = eventually(settled, "everybody to have the last version")
        newest, *_ = rt.state.history().versions
        ended = []
        for client, ours in clients:
            ours.send(version)
            assert ours.poll(PATIENCE), "a client died: see its traceback"
            ended.append(ours.recv())
            client.join(PATIENCE)
            assert client.exitcode == 0
        assert {(version, seconds) for version, seconds, _ in ended} == {
            (newest.id, int(newest.document.given["cache.default_ttl_seconds"]))
        }
        assert newest.document.given["cache.default_ttl_seconds"] in {"2001", "2002"}
        accepted = {
            int(one.document.given["cache.default_ttl_seconds"]) for one in rt.state.history().versions
        }
        assert accepted <= valid | {2001, 2002}
        refs = [ref for _, _, published in ended for ref in published]
        assert len(refs) > 100
        eventually(lambda: alone.at_rest("effect", "reload"), "all to be done")
        assert {rt.status(ref).state for ref in refs} == {"done"}
        assert alone.letters("effect") == alone.letters("reload") == []
        for worker in workers:
            assert worker.returncode is None
            assert "Traceback" not in worker.log
        for worker in workers:
            worker.terminate()
        assert {worker.wait() for worker in workers} == {0}
