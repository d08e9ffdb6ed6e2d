"""A real cluster on loopback: three primaries, each with a replica."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import redis
from redis.crc import key_slot

from tests.servers.ports import free_port
from tests.servers.process import ServerProcess

_SLOTS = 16384
_PRIMARIES = 3


class Cluster:
    """Six servers; the first three begin as primaries, and `nodes[n + 3]` as the replica of `nodes[n]`."""

    def __init__(self, binary: Path, directory: Path, *, aof: bool = False, **options: str | int) -> None:
        self.nodes = [
            ServerProcess(
                binary,
                directory / f"node{number}",
                aof=aof,
                cluster_enabled="yes",
                cluster_port=free_port(),
                cluster_node_timeout=2000,
                # Until a replica has received something, CLUSTER SLOTS leaves it out.
                repl_ping_replica_period=1,
                **options,
            )
            for number in range(2 * _PRIMARIES)
        ]

    @property
    def url(self) -> str:
        """The first node's; a client learns of the others from it."""
        return self.nodes[0].url

    def client(self, **options: Any) -> redis.RedisCluster:
        return redis.RedisCluster.from_url(self.url, **options)

    def start(self) -> Self:
        """Start and join the nodes, and wait until each slot has a primary and each primary a replica."""
        for node in self.nodes:
            node.launch()
        for node in self.nodes:
            node.wait_ready()
        self._share_slots()
        self._introduce()
        self._attach_replicas()
        self.wait_ready()
        return self

    def wait_ready(self) -> None:
        """Wait until all nodes agree that the cluster is whole."""
        for node in self.nodes:
            with node.client() as client:
                node.wait_for(lambda client=client: _is_whole(client), "a whole cluster")  # type: ignore[misc]

    def bear_pauses(self, seconds: int) -> None:
        """From now on no node is replaced that stands still for less, as on a busy machine."""
        for node in self.nodes:
            with node.client() as client:
                client.config_set("cluster-node-timeout", 1000 * seconds)

    def stop(self) -> None:
        """End all nodes at once; their data is thrown away."""
        for node in self.nodes:
            node.kill()

    def owner(self, tag: str) -> ServerProcess:
        """The primary that serves keys tagged `{tag}`, as the living nodes say."""
        slot = key_slot(tag.encode())
        for node in self._living():
            with node.client() as client:
                for first, last, primary, *_ in _ask(client, "CLUSTER SLOTS"):
                    if first <= slot <= last:
                        return self._at(int(primary[1]))
        raise RuntimeError(f"nobody serves slot {slot}")

    def replicate(self, primary: ServerProcess) -> int:
        """Wait until its replica has all that `primary` has acknowledged until now; answers when that was,
        in ns of the monotonic clock."""
        tag = next(f"{n}" for n in range(10_000) if self.owner(f"{n}") is primary)
        since = time.monotonic_ns()
        with primary.client() as client:
            client.set(f"mark:{{{tag}}}", "what came before this is not lost")
            primary.wait_for(lambda: client.wait(1, 1000), "its replica")
        return since

    def wait_promoted(self, lost: ServerProcess) -> None:
        """Wait until all other nodes agree that others serve the slots of `lost`."""
        for node in self._living():
            with node.client() as client:
                node.wait_for(lambda client=client: _serves_without(client, lost.port), "a new primary")  # type: ignore[misc]

    def move_slot(self, tag: str) -> None:
        """Move the slot of keys tagged `{tag}` to another primary, key by key, as an operator does it."""
        slot, source = key_slot(tag.encode()), self.owner(tag)
        primaries = list({self.owner(f"{n}").port: self.owner(f"{n}") for n in range(50)}.values())
        target = next(node for node in primaries if node is not source)
        with source.client() as giving, target.client() as taking:
            ids = {client: client.execute_command("CLUSTER MYID") for client in (giving, taking)}
            taking.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", ids[giving])
            giving.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", ids[taking])
            while keys := giving.execute_command("CLUSTER GETKEYSINSLOT", slot, 10):
                for key in keys:
                    giving.execute_command("MIGRATE", "127.0.0.1", target.port, key, 0, 5000)
            for client in (taking, giving):
                client.execute_command("CLUSTER SETSLOT", slot, "NODE", ids[taking])

    def _living(self) -> list[ServerProcess]:
        return [node for node in self.nodes if node.running]

    def _at(self, port: int) -> ServerProcess:
        return next(node for node in self.nodes if node.port == port)

    def _share_slots(self) -> None:
        for number, node in enumerate(self.nodes):
            with node.client() as client:
                # Epochs given now need no election of who may keep which.
                client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
                if number < _PRIMARIES:
                    first, end = (_SLOTS * part // _PRIMARIES for part in (number, number + 1))
                    client.execute_command("CLUSTER ADDSLOTSRANGE", first, end - 1)

    def _introduce(self) -> None:
        with self.nodes[0].client() as client:
            for node in self.nodes[1:]:
                bus = node.options["cluster_port"]
                client.execute_command("CLUSTER MEET", "127.0.0.1", node.port, bus)
        for node in self.nodes:
            with node.client() as client:
                node.wait_for(lambda client=client: _knows_all(client), "all nodes to know each other")  # type: ignore[misc]

    def _attach_replicas(self) -> None:
        for primary, replica in zip(self.nodes[:_PRIMARIES], self.nodes[_PRIMARIES:], strict=True):
            with primary.client() as client:
                primary_id = client.execute_command("CLUSTER MYID")
            with replica.client() as client:
                client.execute_command("CLUSTER REPLICATE", primary_id)


def _ask(client: redis.Redis, command: str) -> Any:
    execute: Callable[[str], Any] = client.execute_command  # redis-py leaves it untyped
    return execute(command)


def _knows_all(client: redis.Redis) -> bool:
    nodes = _ask(client, "CLUSTER NODES").values()
    return len(nodes) == 2 * _PRIMARIES and not any("handshake" in node["flags"] for node in nodes)


def _serves_without(client: redis.Redis, port: int) -> bool:
    primaries = [int(nodes[0][1]) for _, _, *nodes in _ask(client, "CLUSTER SLOTS")]
    return _ask(client, "CLUSTER INFO")["cluster_state"] == "ok" and port not in primaries


def _is_whole(client: redis.Redis) -> bool:
    ranges = _ask(client, "CLUSTER SLOTS")
    return (
        _ask(client, "CLUSTER INFO")["cluster_state"] == "ok"
        and sum(last - first + 1 for first, last, *_ in ranges) == _SLOTS
        # Its primary, and a replica that is linked and has received something.
        and all(len(nodes) == 2 for _, _, *nodes in ranges)
    )
