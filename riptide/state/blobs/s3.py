"""Blobs in an S3 bucket, or in anything that speaks like one, through obstore."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

from riptide.config import BlobsSettings
from riptide.errors import BlobError, BlobNotFound, ConfigError
from riptide.state.blobs.contract import CHUNK_BYTES, Blob, check_name, check_prefix

_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_PATIENCE = timedelta(seconds=30)


class S3Blobs:
    """Blobs below `s3://bucket/prefix`. What the settings leave out comes from the AWS_* environment."""

    def __init__(self, settings: BlobsSettings) -> None:
        try:
            import obstore
            from obstore.store import S3Store
        except ImportError:
            raise ConfigError(
                f"blobs.url is {settings.url}, which needs the extra s3: "
                "pip install '.[s3]' in RipTide's checkout"
            ) from None
        self._client: Any = obstore
        bucket, _, prefix = settings.url.removeprefix("s3://").strip("/").partition("/")
        self.place = f"s3://{bucket}/{prefix}".rstrip("/")
        self._prefix = f"{prefix}/" if prefix else ""
        with self._errors(""):
            self._store = S3Store(
                bucket,
                config=_given(settings),
                client_options=_client_options(settings),
                retry_config={"max_retries": 5, "retry_timeout": _PATIENCE},
            )

    def put(self, name: str, data: bytes | Iterable[bytes]) -> None:
        path = self._path(name)
        try:
            with self._errors(name):
                # One piece is one request, whole or not there. Parts are joined at the end, by one more.
                self._client.put(self._store, path, data, use_multipart=not isinstance(data, bytes))
        except BlobNotFound:
            raise BlobError(f"blob {name!r} cannot be stored: there is no {self.place}") from None

    def get(self, name: str) -> bytes:
        path = self._path(name)
        with self._errors(name):
            return bytes(self._client.get(self._store, path).bytes())

    def stream(self, name: str) -> Iterator[bytes]:
        path = self._path(name)
        with self._errors(name):
            for piece in self._client.get(self._store, path).stream(min_chunk_size=CHUNK_BYTES):
                yield bytes(piece)

    def list(self, prefix: str = "") -> Iterator[Blob]:
        check_prefix(prefix)
        with self._errors(prefix):
            for page in self._client.list(self._store, self._prefix + prefix, chunk_size=1000):
                for row in page:
                    yield Blob(row["path"].removeprefix(self._prefix), row["size"])

    def head(self, name: str) -> Blob | None:
        path = self._path(name)
        try:
            with self._errors(name):
                return Blob(name, self._client.head(self._store, path)["size"])
        except BlobNotFound:
            return None

    def delete(self, name: str) -> None:
        path = self._path(name)
        with contextlib.suppress(BlobNotFound), self._errors(name):
            self._client.delete(self._store, path)

    def _path(self, name: str) -> str:
        return self._prefix + "/".join(check_name(name))

    @contextlib.contextmanager
    def _errors(self, name: str) -> Iterator[None]:
        from obstore.exceptions import BaseError, NotFoundError

        try:
            yield
        except (NotFoundError, FileNotFoundError):
            raise BlobNotFound(f"there is no blob {name!r} in {self.place}") from None
        except (BaseError, OSError) as error:
            raise BlobError(f"blob {name!r} in {self.place}: {_brief(error)}") from error


def _given(settings: BlobsSettings) -> Any:
    secret = settings.s3_secret_access_key
    given = {
        "endpoint": settings.s3_endpoint,
        "region": settings.s3_region,
        "access_key_id": settings.s3_access_key_id,
        "secret_access_key": secret.get_secret_value() if secret else None,
    }
    return {name: value for name, value in given.items() if value is not None}


def _client_options(settings: BlobsSettings) -> Any:
    options: dict[str, Any] = {"timeout": _PATIENCE, "connect_timeout": timedelta(seconds=5)}
    endpoints = (settings.s3_endpoint, *(os.environ.get(name) for name in _ENDPOINTS))
    chosen = next((endpoint for endpoint in endpoints if endpoint), "")
    return options | {"allow_http": chosen.startswith("http://")}


def _brief(error: Exception) -> str:
    """obstore adds a description of its own structures below the first lines."""
    return str(error).partition("\n\nDebug source:")[0].strip()[:500]
