"""A restore whose process is killed before, after or amid any of its calls to the server, and run again: the
same end. `--state-strikes 0 --timeout 0` strikes at all of them."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import riptide
from riptide.config import Settings
from riptide.state.checkpoints.shelf import Shelf
from riptide.state.restore.restoring import restore
from tests.support.archives import archiving, wait_archived
from tests.support.calls import CallProxy, When
from tests.support.checkpointed import Ledger, checkpoint_settings, tells_of_restore
from tests.support.crew import Hand, Place
from tests.support.deployment import MODULE, Deployment
from tests.support.history import Recorder
from tests.support.purged import HOUR, dump, have_everything
from tests.support.tenants import have_tenants
from tests.support.usage import KIND
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.faults

WHENS: tuple[When, ...] = ("before", "after", "amid")
#: What tells of the restore itself, and differs from one to the next; and what accounts
#: say of the time since.
_OWN = (
    ":restored:",
    ":restoring:",
    ":counted:",
    ":lane:{",
    ":control:",
    "|changed_ms",
    ":~account|at",
    ":~account|bs:",
)
_LONG_MS = 1_200_000
State = tuple[dict[bytes, Any], Counter[str]]


def bring_back(place: Place, checkpoint: str, tenants: list[str] | None) -> None:
    """The life of a process that restores."""
    settings = place.settings()
    restore(settings, Shelf(settings), checkpoint, tenants=tenants)


class Scene:
    """A deployment on a server of its own, a checkpoint of it, and what is archived after that."""

    def __init__(self, deployment: Deployment, directory: Path, rng: random.Random) -> None:
        self.deployment, self.rng = deployment, rng
        self.settings: Settings = checkpoint_settings(deployment, directory)
        given: dict[str, Any] = {
            "tenant": {"enabled": True},
            "blobs": {"url": str(directory / "blobs")},
            "streams": {"archive": True, "archive_types": (KIND,)},
            "workers": {"modules": (MODULE,)},
            "redis": {"retry_attempts": 0},
        }
        self.place = Place(deployment.url, deployment.prefix, directory, sections=given)
        self.recorder = Recorder(directory)
        have_everything(deployment, self.settings, {"acme": 1, "wide": 2})
        have_tenants(self.settings, "umbrella", "purged")
        with riptide.connect(config=self.settings) as rt:
            for n in range(5):
                rt.sessions.create("ada", {"n": n}, tenant="umbrella")
        for name in deployment.client.scan_iter():
            # What goes by itself would be missed on a slow machine.
            if 0 < deployment.client.pttl(name) < _LONG_MS:
                deployment.client.pexpire(name, _LONG_MS)
        self.ledger = Ledger(deployment, ["umbrella"], rng)
        with archiving(self.settings):
            self.ledger.add(15)
            self.made = Shelf(self.settings).create()
            self.ledger.add(15)
            wait_archived(self.settings, KIND)
        self._packed: dict[bytes, tuple[bytes, int]] = {}

    def keep(self) -> None:
        """From here every strike begins."""
        client = self.deployment.client
        self._packed = {name: (client.dump(name), max(0, client.pttl(name))) for name in client.scan_iter()}

    def begin_anew(self) -> None:
        self.deployment.client.flushdb()
        for name, (packed, ttl) in self._packed.items():
            self.deployment.client.restore(name, ttl, packed)

    def struck(self, number: int, when: When, tenants: list[str] | None) -> list[str]:
        """The calls that there were, before one was struck."""
        with CallProxy(self.deployment.url, lambda _: True) as proxy:
            through = self.place.through(proxy.url)
            hand = Hand(bring_back, through, self.recorder, self.made.id, tenants)
            proxy.strike_at(number, when, hand.kill, last=True)
            with hand:
                assert number < 0 or proxy.struck.wait(PATIENCE), hand.log.read_text("utf-8")
                hand.wait()
                assert number >= 0 or hand.process.exitcode == 0, hand.log.read_text("utf-8")
            return list(proxy.calls)

    def state(self) -> State:
        """All that there is, and how often each command is in its stream."""
        found = {
            place: value
            for place, value in dump(self.deployment).items()
            if not any(word.encode() in place for word in (*_OWN, ":commands:", f":{HOUR}|"))
            and not tells_of_restore(place, value)
        }
        return found, self.deployment.published_ids()


@pytest.fixture
def scene(alone: Deployment, tmp_path: Path, rng: random.Random) -> Iterator[Scene]:
    found = Scene(alone, tmp_path, rng)
    yield found
    found.recorder.close()


def lose_everything(scene: Scene) -> None:
    scene.deployment.client.flushdb()


def lose_a_tenant(scene: Scene) -> None:
    """Its keys and its usage that no worker has counted, but not the record; and somebody has written into
    that."""
    for name in scene.deployment.client.scan_iter(f"{scene.deployment.prefix}:*"):
        if (b"umbrella" in name or b":record_usage:" in name) and b":registry:" not in name:
            scene.deployment.client.delete(name)
    with riptide.connect(config=scene.settings) as rt:
        rt.tenants.suspend("umbrella", "by mistake")


@pytest.mark.parametrize(
    ("lose", "tenants"), [(lose_everything, None), (lose_a_tenant, ["umbrella"])], ids=["empty", "living"]
)
def test_every_call(
    scene: Scene,
    lose: Callable[[Scene], None],
    tenants: list[str] | None,
    pytestconfig: pytest.Config,
) -> None:
    lose(scene)
    scene.keep()
    scene.struck(-1, "before", tenants)  # at first the server has to be taught the scripts
    scene.begin_anew()
    calls = scene.struck(-1, "before", tenants)
    whole = scene.state()
    scene.ledger.check()
    most = int(pytestconfig.getoption("--state-strikes"))
    chosen = (
        range(len(calls)) if most == 0 else sorted(scene.rng.sample(range(len(calls)), min(most, len(calls))))
    )
    for number in chosen:
        for when in WHENS if most == 0 else scene.rng.sample(WHENS, 1):
            scene.begin_anew()
            scene.struck(number, when, tenants)
            client = scene.deployment.client
            assert all(client.ttl(name) > 0 for name in client.scan_iter("*:restoring:*"))
            restore(scene.settings, Shelf(scene.settings), scene.made.id, tenants=tenants)
            where = f"{when} call {number} ({calls[number]}) of {len(calls)}"
            found, published = scene.state()
            assert {k: v for k, v in found.items() if whole[0].get(k) != v} == {}, where
            assert found.keys() == whole[0].keys(), where
            assert published == whole[1], where
            scene.ledger.check()
    print(f"{len(calls)} calls; struck at {len(chosen)}")  # noqa: T201
    assert not restore(scene.settings, Shelf(scene.settings), scene.made.id, tenants=tenants).corrected
