"""`riptide cache show`: one entry as it is on the server, or why a read of it misses."""

import json
import sys
from dataclasses import asdict
from typing import Annotated, Any

import typer
from pydantic_core import to_json

from riptide.cache.looking import Look, look
from riptide.cli import common
from riptide.errors import InvalidInput, RiptideError
from riptide.names import DEFAULT_NAMESPACE, DEFAULT_TENANT

MISSED = 1
_MOST_CHARACTERS, _MOST_BYTES, _ROW = 4000, 512, 16


def show_command(
    key: Annotated[str, typer.Argument(metavar="KEY", help="The key, as the service uses it.")],
    tenant: Annotated[str, typer.Option(metavar="ID", help="Whose entry.")] = DEFAULT_TENANT,
    namespace: Annotated[str, typer.Option(help="In which namespace.")] = DEFAULT_NAMESPACE,
    value: Annotated[
        bool, typer.Option("--value", help=f"The value too, up to {_MOST_CHARACTERS:,} characters of it.")
    ] = False,
    raw: Annotated[bool, typer.Option("--raw", help="Nothing but the whole value, as bytes.")] = False,
    as_json: common.Json = False,
) -> None:
    """Show an entry of the cache: what its header says, its metadata, and whether a read hits; where it does
    not, why: absent, invalidated, expired, negative, damaged, foreign, lost, unreachable, key_unavailable.

    Looking changes nothing: a damaged entry stays, a spilled one is read where it is, and nothing is counted.

    Exit code 0: a read hits; 1: it misses.

    Examples: 'riptide cache show /pages/1 --tenant acme --namespace pages --value'; 'riptide cache show
    report --raw > report.pdf'.
    """
    if raw and (as_json or value):
        raise InvalidInput("--raw prints nothing but the value: leave --json and --value out")
    with common.client() as (rt, _):
        core = rt.cache.core
        space = rt.store.drive(core.find(tenant, namespace))
        found = rt.store.drive(look(core, space, key))
    if raw:
        _print_raw(found)
        return
    common.print_json(_facts(found, value=value)) if as_json else _print(found, value=value)
    if found.state != "hit":
        raise typer.Exit(MISSED)


def _print_raw(found: Look) -> None:
    """Raises RiptideError where a read misses."""
    if found.state != "hit" or found.entry is None:
        raise RiptideError(f"{found.state}: {found.why}")
    held = found.entry.value
    sys.stdout.flush()
    sys.stdout.buffer.write(held if isinstance(held, bytes) else to_json(held))
    sys.stdout.buffer.flush()


def _facts(found: Look, *, value: bool) -> dict[str, Any]:
    header, entry = found.header, found.entry
    facts: dict[str, Any] = {
        "name": found.name,
        "state": found.state,
        "why": found.why or None,
        "stored_bytes": found.stored_bytes,
        "expires_in_ms": found.expires_in_ms,
        "namespace_epoch": None if found.epoch is None else found.epoch.hex(),
        "header": None if header is None else header._asdict() | {"epoch": header.epoch.hex()},
        "blob": found.blob or None,
        "compression": entry and entry.compression,
        "metadata": entry and asdict(entry.metadata),
    }
    if value:
        held = None if entry is None else entry.value
        facts["value"] = {"hex": held.hex()} if isinstance(held, bytes) else held
    return facts


def _print(found: Look, *, value: bool) -> None:
    rows = [("entry", found.name), ("state", f"{found.state}: {found.why}" if found.why else found.state)]
    rows += _header_rows(found) + _metadata_rows(found)
    for name, text in rows:
        typer.echo(f"{name:12} {common.printable(text)}")
    if value and found.entry is not None and not found.entry.negative:
        for line in shown(found.entry.value):
            typer.echo(common.printable(line))


def _header_rows(found: Look) -> list[tuple[str, str]]:
    header, entry = found.header, found.entry
    if header is None:
        return [("stored", f"{found.stored_bytes:,} bytes")] if found.stored_bytes else []
    kind = "none: the origin has no such value" if header.negative else "bytes" if header.raw else "JSON"
    epoch = "none" if found.epoch is None else found.epoch.hex()
    codec = header.codec if entry is None else entry.compression
    left = "never" if found.expires_in_ms < 0 else f"in {common.duration(found.expires_in_ms / 1000)}"
    rows = [
        ("format", f"{header.format}, checksum {'right' if header.intact else 'wrong'}"),
        ("value", kind),
        ("stored", f"{found.stored_bytes:,} bytes, of a value of {header.value_bytes:,}; codec {codec}"),
        ("created", f"{common.moment(header.created_ms)} UTC" if header.intact else "?"),
        ("fresh", _fresh(found)),
        ("leaves", left),
        (
            "epoch",
            header.epoch.hex() + ("" if found.epoch == header.epoch else f"; its namespace has {epoch}"),
        ),
        ("encrypted", f"by data key {header.key_id}" if header.key_id else "no"),
    ]
    return rows + ([("blob", found.blob)] if found.blob else [])


def _fresh(found: Look) -> str:
    assert found.header is not None
    header = found.header
    if not header.soft_expiry_ms:
        return "until it leaves"
    left = (header.soft_expiry_ms - found.now_ms) / 1000
    told = f"for {common.duration(left)}" if left > 0 else f"no, for {common.duration(-left)}"
    return f"{told}; then served stale for {common.duration(header.stale_ms / 1000)} while it is loaded"


def _metadata_rows(found: Look) -> list[tuple[str, str]]:
    if found.entry is None:
        return []
    about = found.entry.metadata
    rows = [
        ("tags", ", ".join(about.tags)),
        ("version", about.version or ""),
        ("type", about.content_type or ""),
        ("source", about.source or ""),
        ("attributes", json.dumps(dict(about.attributes), ensure_ascii=False) if about.attributes else ""),
    ]
    return [(name, text) for name, text in rows if text]


def shown(held: Any) -> list[str]:
    """A value as people read it: JSON, text, or bytes in hex; its beginning, where it is long."""
    if isinstance(held, bytes):
        try:
            text = held.decode()
        except UnicodeDecodeError:
            return _hex(held)
        if not all(char.isprintable() or char in "\n\r\t" for char in text[:_MOST_CHARACTERS]):
            return _hex(held)
    else:
        text = json.dumps(held, indent=2, ensure_ascii=False)
    lines = text[:_MOST_CHARACTERS].expandtabs().splitlines()
    if len(text) > _MOST_CHARACTERS:
        lines.append(f"… and {len(text) - _MOST_CHARACTERS:,} characters more: --raw prints all")
    return lines


def _hex(held: bytes) -> list[str]:
    lines = []
    for at in range(0, min(len(held), _MOST_BYTES), _ROW):
        row = held[at : at + _ROW]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        lines.append(f"{at:08x}  {row.hex(' '):47}  {text}")
    if len(held) > _MOST_BYTES:
        lines.append(f"… and {len(held) - _MOST_BYTES:,} bytes more: --raw prints all")
    return lines
