"""Real documents to store: the HTML that pydoc makes of the standard library, and this repository's JSON."""

import importlib
import itertools
import pydoc
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path(__file__).parents[3]
_MODULES = (
    *(
        "argparse",
        "asyncio",
        "collections",
        "csv",
        "datetime",
        "decimal",
        "email.message",
        "http.client",
        "inspect",
    ),
    *(
        "logging",
        "pathlib",
        "smtplib",
        "statistics",
        "subprocess",
        "tarfile",
        "threading",
        "typing",
        "unittest",
    ),
)


def html() -> bytes:
    """Some hundred kilobytes of pages, one behind the other."""
    pages = (pydoc.HTMLDoc().document(importlib.import_module(name)) for name in _MODULES)
    return "".join(pages).encode()


def json() -> bytes:
    """The schemas of settings and commands, and the conformance vectors."""
    found = [_ROOT / "config/schema.json", *sorted((_ROOT / "commands").rglob("*.json"))]
    return b"".join(path.read_bytes() for path in found)


def pieces(size: int, most: int = 40) -> list[bytes]:
    """Documents of `size` bytes, HTML and JSON in turn, as far as there is."""
    of_each = (itertools.islice(_cut(text, size), most // 2) for text in (html(), json()))
    return [piece for pair in itertools.zip_longest(*of_each) for piece in pair if piece is not None]


def _cut(text: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(text) - size + 1, size):
        yield text[at : at + size]
