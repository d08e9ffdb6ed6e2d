"""Which blob store the configuration means."""

from riptide.config import BlobsSettings
from riptide.state.blobs.contract import Blobs
from riptide.state.blobs.local import LocalBlobs


def open_blobs(settings: BlobsSettings) -> Blobs:
    """The store at `blobs.url`. Raises ConfigError if it cannot be used; nothing is sent yet."""
    if settings.url.startswith("s3://"):
        from riptide.state.blobs.s3 import S3Blobs

        return S3Blobs(settings)
    return LocalBlobs(settings.url)
