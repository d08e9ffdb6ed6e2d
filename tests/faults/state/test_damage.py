"""Whatever is damaged, of another format, or leads elsewhere, is refused with a reason, and nothing on the
server is changed. `--state-damages 0` damages every byte."""

import json
import random
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import xxhash

import riptide
from riptide.config import Settings
from riptide.errors import Damaged, RiptideError
from riptide.state.archive.names import segments
from riptide.state.blobs import Blobs, open_blobs
from riptide.state.checkpoints import framing, names
from riptide.state.checkpoints.manifest import Manifest
from riptide.state.checkpoints.rows import about
from riptide.state.checkpoints.sealed import seal
from riptide.state.checkpoints.shelf import Shelf
from riptide.state.restore.restoring import restore
from tests.support.archives import archiving, wait_archived
from tests.support.checkpointed import Ledger, checkpoint_settings
from tests.support.cli import CommandLine
from tests.support.deployment import Deployment
from tests.support.purged import Dump, dump, have_everything
from tests.support.tenants import have_tenants
from tests.support.usage import KIND

pytestmark = pytest.mark.faults

_LONG_MS = 1_200_000


class Scene:
    """A living server that has lost some of what a checkpoint, and the archive after it, would bring back."""

    def __init__(self, deployment: Deployment, directory: Path, rng: random.Random) -> None:
        self.deployment, self.rng = deployment, rng
        self.settings = checkpoint_settings(deployment, directory)
        self.shelf, self.blobs = Shelf(self.settings), open_blobs(self.settings.blobs)
        have_everything(deployment, self.settings, {"acme": 1})
        have_tenants(self.settings, "umbrella", "gone")
        self.ledger = Ledger(deployment, ["umbrella"], rng)
        with archiving(self.settings):
            self.ledger.add(10)
            self.made = self.shelf.create()
            self.ledger.add(10)
            wait_archived(self.settings, KIND)
        lost = (b":session:", b":invoice:", b":commands:record_usage:", b"gone")
        for name in deployment.client.scan_iter(f"{deployment.prefix}:*"):
            # What goes by itself would be missed on a slow machine.
            if any(word in name for word in lost) or 0 < deployment.client.pttl(name) < _LONG_MS:
                deployment.client.delete(name)
        with riptide.connect(config=self.settings) as rt:
            rt.tenants.update("acme", quotas={"operations_per_minute": 3})
        self.before: Dump = dump(deployment)
        self.whole = self.blobs.get(self.content)

    @property
    def prefix(self) -> str:
        return self.settings.cache.key_prefix

    @property
    def manifest(self) -> str:
        return names.manifest_name(self.prefix, self.made.id)

    @property
    def content(self) -> str:
        return names.content_name(self.prefix, self.made.content)

    @property
    def segment(self) -> str:
        return list(segments(self.blobs, self.prefix, KIND))[-1].name

    def refuses(self, match: str = "is damaged|is not complete") -> None:
        """Whatever is asked for, it is refused, and nothing is changed."""
        tenants: Any = self.rng.choice([None, ["acme"], ["umbrella", "gone"]])
        with pytest.raises(Damaged, match=match) as caught:
            restore(self.settings, self.shelf, self.made.id, tenants=tenants, dry_run=self.rng.random() < 0.1)
        assert len(str(caught.value)) < 500
        assert dump(self.deployment) == self.before

    def works(self) -> None:
        """As it is, it would change something."""
        report = restore(self.settings, self.shelf, self.made.id)
        assert report.corrected
        assert report.tenants == {"changed": 1, "created": 1, "unchanged": 1}
        self.ledger.check()


@pytest.fixture
def scene(on_valkey: Deployment, tmp_path: Path, rng: random.Random) -> Scene:
    return Scene(on_valkey, tmp_path, rng)


def damaged(data: bytes, rng: random.Random, samples: int) -> Iterator[tuple[str, bytes]]:
    """Each of some bytes (0: all) as another one; cut before it; taken out; and something at the end."""
    for at in (
        range(len(data)) if samples == 0 else sorted(rng.sample(range(len(data)), min(samples, len(data))))
    ):
        yield f"byte {at} is another", data[:at] + bytes([data[at] ^ rng.randint(1, 255)]) + data[at + 1 :]
        yield f"cut before {at}", data[:at]
        if samples:
            yield f"without byte {at}", data[:at] + data[at + 1 :]
    yield "something follows", data + b"\0"
    yield "a line break follows", data + b"\n"


@pytest.mark.parametrize("which", ["manifest", "content", "segment"])
def test_every_byte_matters(scene: Scene, which: str, pytestconfig: pytest.Config) -> None:
    name = str(getattr(scene, which))
    whole, samples = scene.blobs.get(name), int(pytestconfig.getoption("--state-damages"))
    for number, (how, data) in enumerate(damaged(whole, scene.rng, samples)):
        scene.blobs.put(name, data)
        try:
            scene.refuses()
            if which != "segment" and number % 10 == 0:
                with pytest.raises(Damaged):
                    scene.shelf.verify(scene.made.id)
        except BaseException:
            print(f"{name}: {how}")  # noqa: T201
            raise
    scene.blobs.put(name, whole)
    scene.works()


def test_a_note_of_a_purge_matters_too(scene: Scene, pytestconfig: pytest.Config) -> None:
    """Else a purged tenant might come back."""
    from riptide.state.restore.purged import remember

    remember(scene.blobs, scene.prefix, "long-gone", "0123456789abcdef", 5)
    name = f"purged/{scene.prefix}/0123456789abcdef.json"
    whole = scene.blobs.get(name)
    for _, data in damaged(whole, scene.rng, 10):
        scene.blobs.put(name, data)
        scene.refuses("the note of a purge")


# What is whole, and not what it says, or not of this release


def changed(scene: Scene, **values: Any) -> bytes:
    """The manifest with other values, and a checksum that fits; None takes one out."""
    about_it = json.loads(scene.made.model_dump_json()) | values
    return seal(json.dumps({name: value for name, value in about_it.items() if value is not None}).encode())


MANIFESTS: list[tuple[dict[str, Any], str]] = [
    ({"format": 0}, "its format is 0; this release reads 1"),
    ({"format": 2}, "its format is 2; this release reads 1"),
    ({"format": None}, "cannot be read"),
    ({"format": "1"}, "cannot be read"),
    ({"content": "../../../etc/passwd"}, "its content is missing"),
    ({"content": "20261121T000000Z-00000000.../x.ckpt"}, "its content is missing"),
    ({"id": "../x"}, "another one's"),
    ({"prefix": "../x"}, "another one's"),
    ({"positions": {"10": "../x"}}, "cannot be read"),
    ({"kind": "other"}, "cannot be read"),
    ({"digest": "0" * 32}, "not the content that its manifest describes"),
]


def test_a_manifest_that_says_something_else(scene: Scene) -> None:
    for values, reason in MANIFESTS:
        scene.blobs.put(scene.manifest, changed(scene, **values))
        scene.refuses(reason)


def test_a_content_of_another_format(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a release that writes it would have written it."""
    for version in (0, 2, 255):
        _write_as(scene, monkeypatch, version)
        scene.refuses(f"its format is {version}; this release reads 1")
    _write_as(scene, monkeypatch, 1)
    scene.works()


def _write_as(scene: Scene, monkeypatch: pytest.MonkeyPatch, version: int) -> None:
    scene.blobs.put(scene.manifest, scene.made.packed())
    scene.blobs.put(scene.content, scene.whole)
    with scene.shelf.opened(scene.made.id) as (_, frames):
        rows = [row for n in range(5) for row in frames.rows(n)]
    with monkeypatch.context() as patch:
        patch.setattr(framing, "VERSION", version)
        framer = framing.Framer(about, compress=True)
        scene.blobs.put(scene.content, b"".join(framer.frames(rows)))
    scene.blobs.put(scene.manifest, changed(scene, digest=framer.digest, size=framer.size))


def test_a_checkpoint_under_another_ones_name(scene: Scene) -> None:
    other = scene.shelf.create()
    scene.blobs.put(
        names.manifest_name(scene.prefix, scene.made.id), scene.blobs.get(_manifest(scene, other))
    )
    scene.refuses("another one's")
    scene.blobs.put(scene.manifest, scene.made.packed())
    scene.blobs.put(scene.content, scene.blobs.get(names.content_name(scene.prefix, other.content)))
    scene.refuses("not the content that its manifest describes")


def _manifest(scene: Scene, made: Manifest) -> str:
    return names.manifest_name(scene.prefix, made.id)


def with_header(data: bytes, change: Callable[[dict[str, Any]], Any], version: int = 1) -> bytes:
    """A segment with another header, and a checksum that fits."""
    magic, _, length = struct.unpack(">5sBI", data[:10])
    header = json.loads(data[10 : 10 + length])
    change(header)
    text = json.dumps(header).encode()
    head = struct.pack(">5sBI", magic, version, len(text))
    return b"".join((head, text, struct.pack(">Q", xxhash.xxh3_64_intdigest(text)), data[18 + length :]))


SEGMENTS: list[tuple[Callable[[dict[str, Any]], Any], int, str]] = [
    (lambda _: None, 0, "its format is 0; this release reads 1"),
    (lambda _: None, 2, "its format is 2; this release reads 1"),
    (lambda header: header.update(type="../../x"), 1, "another one's content"),
    (lambda header: header.update(partition="../../x"), 1, "another one's content"),
    (lambda header: header.update(first="../../x"), 1, "its header cannot be read"),
    (lambda header: header.update(after="../../x"), 1, "its header cannot be read"),
    (lambda header: header.update(last=5), 1, "its header cannot be read"),
    (lambda header: header.update(after="9999999999999-0"), 1, "is not complete"),
    (lambda header: header.update(count=1), 1, "does not hold what its header says"),
]


def test_a_segment_that_says_something_else(scene: Scene) -> None:
    whole = scene.blobs.get(scene.segment)
    for change, version, reason in SEGMENTS:
        scene.blobs.put(scene.segment, with_header(whole, change, version))
        scene.refuses(reason)


def test_a_segment_under_another_ones_name(scene: Scene) -> None:
    folder, _, file = scene.segment.rpartition("/")
    first, last = file.removesuffix(".seg").split("_")
    later = f"{folder}/{first}_{int(last[:20]) + 1:020d}{last[20:]}.seg"
    scene.blobs.put(later, scene.blobs.get(scene.segment))
    scene.refuses("another one's content")


def test_names_that_lead_elsewhere(scene: Scene, tmp_path: Path) -> None:
    """On the command line; and in the stub of a session."""
    (tmp_path / "secret.json").write_text("what nobody may read")
    cli = CommandLine(scene.deployment, tmp_path, {"blobs": {"url": str(tmp_path / "blobs")}})
    for action, name in (("restore", "../../secret"), ("show", f"{scene.made.id}/../{scene.made.id}")):
        ended = cli.run("checkpoint", action, name)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert "is no id of a checkpoint" in ended.stderr
    assert dump(scene.deployment) == scene.before
    with riptide.connect(config=scene.settings) as rt:
        session = rt.sessions.create("ada", {"x": 1}, tenant="acme").id
        key = scene.deployment.keys.session("acme", session)
        for name in ("../../secret.json:20", "sessions/../../secret.json:20", "/etc/passwd:1", "x"):
            scene.deployment.client.hset(key, "blob", name)
            before = scene.deployment.client.hgetall(key)
            for attempt in (
                lambda: rt.sessions.get(session, tenant="acme"),
                lambda: rt.sessions.update(session, {"x": 2}, tenant="acme"),
            ):
                with pytest.raises(RiptideError, match=r"no name of a blob|is not where it was put"):
                    attempt()
            assert scene.deployment.client.hgetall(key) == before


def test_two_that_are_missing(scene: Scene) -> None:
    """A checkpoint whose content is gone is listed, and refused; one without a manifest is none."""
    assert isinstance(scene.settings, Settings)
    blobs: Blobs = scene.blobs
    blobs.delete(scene.content)
    scene.refuses("its content is missing")
    assert scene.shelf.ids() == [scene.made.id]
    blobs.delete(scene.manifest)
    assert not scene.shelf.ids()
    with pytest.raises(RiptideError, match="there is no checkpoint"):
        restore(scene.settings, scene.shelf, scene.made.id)
    assert dump(scene.deployment) == scene.before
