"""An S3 that speaks HTTP, on loopback; a folder's conftest.py imports the fixtures."""

import secrets
from collections.abc import Callable, Iterator

import httpx
import pytest
from moto.server import ThreadedMotoServer

from riptide.config import BlobsSettings

KEY, SECRET = "an-access-key", "a-secret-that-no-text-may-hold"


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_settings(s3_url: str) -> Callable[..., BlobsSettings]:
    """`s3_settings(prefix="", make=True)`: a bucket of its own."""

    def settings(prefix: str = "", *, make: bool = True) -> BlobsSettings:
        bucket = f"b{secrets.token_hex(8)}"
        if make:
            httpx.put(f"{s3_url}/{bucket}").raise_for_status()
        return BlobsSettings(
            url=f"s3://{bucket}{prefix}",
            s3_endpoint=s3_url,
            s3_region="us-east-1",
            s3_access_key_id=KEY,
            s3_secret_access_key=SECRET,
        )

    return settings
