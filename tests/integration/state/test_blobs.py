"""What every blob store does, and what S3 does by itself."""

import os
import random
import threading
from collections.abc import Callable, Iterator

import pytest

from riptide.config import BlobsSettings
from riptide.errors import BlobError, BlobNotFound, InvalidInput
from riptide.state.blobs import Blob, Blobs, open_blobs
from tests.support.s3 import SECRET


def test_whole_and_streamed(blobs: Blobs, rng: random.Random) -> None:
    large = rng.randbytes(11 * 1024**2)
    blobs.put("a/whole", large)
    blobs.put("a/streamed", (large[at : at + 700_001] for at in range(0, len(large), 700_001)))
    blobs.put("a/empty", b"")
    blobs.put("a/nothing", iter([]))
    assert blobs.get("a/whole") == blobs.get("a/streamed") == large
    assert b"".join(blobs.stream("a/streamed")) == large
    assert blobs.get("a/empty") == blobs.get("a/nothing") == b""
    assert blobs.head("a/whole") == Blob("a/whole", len(large))


def test_the_last_one_of_a_name_stays(blobs: Blobs) -> None:
    blobs.put("x", b"old")
    blobs.put("x", b"new")
    assert blobs.get("x") == b"new"


def test_lists_by_prefix_in_the_order_of_names(blobs: Blobs, rng: random.Random) -> None:
    names = ["a/1", "a/2", "a/b/c", "a/b-c", "a/b.c/d", "ab/1", "z:~+=/_"]
    for name in rng.sample(names, len(names)):
        blobs.put(name, name.encode())
    assert [blob.name for blob in blobs.list()] == sorted(names)
    assert [blob.name for blob in blobs.list("a/")] == sorted(n for n in names if n.startswith("a/"))
    assert list(blobs.list("a/b/")) == [Blob("a/b/c", 5)]
    assert list(blobs.list("nothing/here/")) == []


def test_many_come_in_pages(s3_settings: Callable[..., BlobsSettings]) -> None:
    blobs = open_blobs(s3_settings("/pre"))
    names = [f"many/{n:05d}" for n in range(1100)]
    for name in names:
        blobs.put(name, b"")
    assert [blob.name for blob in blobs.list("many/")] == names


def test_what_is_not_there(blobs: Blobs) -> None:
    with pytest.raises(BlobNotFound, match="no/such"):
        blobs.get("no/such")
    with pytest.raises(BlobNotFound, match="no/such"):
        next(blobs.stream("no/such"))
    assert blobs.head("no/such") is None
    blobs.delete("no/such")


def test_deleted(blobs: Blobs) -> None:
    blobs.put("a/b", b"1")
    blobs.put("a/c", b"2")
    blobs.delete("a/b")
    assert blobs.head("a/b") is None
    assert [blob.name for blob in blobs.list()] == ["a/c"]


BAD = [
    "",
    "/a",
    "a/",
    "a//b",
    "../a",
    "a/../b",
    "a/./b",
    ".",
    "a\0b",
    "a b",
    "ä",
    "%writing",
    "a" * 201,
    "a/" * 500 + "b",
]


@pytest.mark.parametrize("name", BAD)
def test_a_bad_name_is_refused(blobs: Blobs, name: str) -> None:
    for use in (
        blobs.get,
        blobs.head,
        blobs.delete,
        lambda n: blobs.put(n, b""),
        lambda n: next(blobs.stream(n)),
    ):
        with pytest.raises(InvalidInput):
            use(name)


def test_what_breaks_off_leaves_nothing(blobs: Blobs) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"x" * 6 * 1024**2
        raise ZeroDivisionError

    with pytest.raises(Exception):  # noqa: B017 - obstore wraps it, a file does not
        blobs.put("a/b", pieces())
    assert blobs.head("a/b") is None
    assert list(blobs.list()) == []


def test_threads_may_share_it(blobs: Blobs) -> None:
    def work(n: int) -> None:
        for i in range(10):
            blobs.put(f"t/{n}/{i}", os.urandom(100))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(blobs.list("t/"))) == 40


def test_s3_says_that_there_is_no_bucket(s3_settings: Callable[..., BlobsSettings]) -> None:
    blobs = open_blobs(s3_settings(make=False))
    with pytest.raises(BlobError, match=f"there is no {blobs.place}"):
        blobs.put("a", b"1")
    with pytest.raises(BlobError, match="does not exist"):
        list(blobs.list())


def test_s3_that_is_away(s3_settings: Callable[..., BlobsSettings]) -> None:
    settings = s3_settings().model_copy(update={"s3_endpoint": "http://127.0.0.1:1"})
    with pytest.raises(BlobError) as raised:
        open_blobs(settings).get("a")
    assert SECRET not in str(raised.value)


def test_s3_takes_the_environment(
    s3_url: str, s3_settings: Callable[..., BlobsSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = s3_settings().url
    for name, value in {
        "AWS_ACCESS_KEY_ID": "k",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": s3_url,
    }.items():
        monkeypatch.setenv(name, value)
    blobs = open_blobs(BlobsSettings(url=url))
    blobs.put("a", b"1")
    assert blobs.get("a") == b"1"
