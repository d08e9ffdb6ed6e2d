"""The blob store: named, immutable pieces of data, in a local directory or in S3."""

from riptide.state.blobs.contract import Blob, Blobs
from riptide.state.blobs.opening import open_blobs

__all__ = ["Blob", "Blobs", "open_blobs"]
