"""Small texts with their checksum: the text, a line break, xxh3 of it in hex, a line break."""

import xxhash


def seal(text: bytes) -> bytes:
    return text + b"\n" + xxhash.xxh3_64_hexdigest(text).encode() + b"\n"


def unseal(data: bytes) -> bytes | None:
    """The text; None if anything is not as it was written."""
    text = data[: -len(seal(b""))]
    return text if seal(text) == data else None
