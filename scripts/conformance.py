"""What any other language can check its own code by: partitions, key names, references, fields, entry keys.

`python -m scripts.conformance` writes commands/conformance/*.json, each with a word on how it is to be read;
with `--check` it only says whether they are current, and exits 1 if not.
"""

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from riptide.cache.space import Digests, number_of
from riptide.errors import InvalidInput
from riptide.names import check_namespace, check_tenant
from riptide.store.keys import PARTITIONS, Keys, partition_of
from riptide.streams.message import Entry, Malformed, Ref, pack_fields, read

HERE = Path(__file__).parents[1] / "commands" / "conformance"

TENANTS = (
    *("default", "acme", "globex", "a", "0", "tenant-1", "tenant-2", "tenant-3", "under_score", "9lives"),
    "t-019aa8d1f2c3-9f3c1a7b",
    "x" * 63,
)
NO_TENANTS = ("", "Acme", "-a", "_a", "a.b", "a b", "a{b}", "é", "a\n", "x" * 64)
NO_NAMESPACES = ("", ".a", "a:b", "~epoch", "A", "x" * 64)
ENTRY_KEYS = (
    *("tea", "https://www.example.org/news?page=2", "ä ö", "日本語", "a\nb", " ", "0", "k" * 2048),
    *("user:17", "user:18", "{acme}", "~epoch"),
)
BODY = '{"namespace":"prices","tags":["drinks"]}'
ENTRY_ID = "1763700000000-0"


def partitions() -> dict[str, Any]:
    return {
        "how": "The 16 partitions in the order in which they are picked: BLAKE2b of the tenant's id (UTF-8), "
        "with a digest of 4 bytes, read as a big-endian number, modulo 16. A command without a tenant goes "
        "to the first. Any partition is correct; this one balances, and merges a tenant's commands.",
        "partitions": list(PARTITIONS),
        "of_tenant": {tenant: partition_of(tenant) for tenant in TENANTS},
        "without_tenant": partition_of(None),
    }


def names() -> dict[str, Any]:
    return {
        "how": "Tenant: 1 to 63 of a-z, 0-9, '_' and '-', the first a letter or digit; a namespace may hold "
        "'.', too. Whatever is refused here must be refused before a key is built of it.",
        "tenants": list(_accepted(TENANTS, check_tenant)),
        "not_tenants": list(_refused(NO_TENANTS, check_tenant)),
        "namespaces": list(_accepted(("default", "pages", "a.b", "0_-."), check_namespace)),
        "not_namespaces": list(_refused(NO_NAMESPACES, check_namespace)),
    }


def keys() -> dict[str, Any]:
    built = [(prefix, Keys(prefix)) for prefix in ("riptide", "shop:eu")]
    rows = []
    for prefix, of in built:
        rows += [
            _row(prefix, "stream of a type", of.commands("warm", "10"), type="warm", partition="10"),
            _row(prefix, "stream of those moved aside", of.slow("warm", "10"), type="warm", partition="10"),
            _row(prefix, "dead letters", of.dead("warm", "10"), type="warm", partition="10"),
            _row(prefix, "epoch of a namespace", of.epoch("acme", "pages"), tenant="acme", namespace="pages"),
            _row(prefix, "record of a tenant", of.record("acme"), tenant="acme"),
            _row(
                prefix,
                "usage",
                of.usage("10", "acme", "2026-11"),
                partition="10",
                tenant="acme",
                period="2026-11",
            ),
        ]
    return {"how": "What is in braces is a cluster's hash tag. `prefix` is cache.key_prefix.", "keys": rows}


def refs() -> dict[str, Any]:
    good = ("warm.10.1763700000000-0", "record_usage.62.1-18446744073709551615", "greet.0.0-1")
    bad = ("", "warm", "warm.10", "warm.10.1", "Warm.10.1-0", "warm.{10}.1-0", "warm.10.1-0 ", "warm.10.1-0x")
    rows = []
    for text in good:
        ref = Ref.parse(text)
        rows.append({"ref": text, "type": ref.kind, "partition": ref.partition, "entry_id": ref.entry_id})
    return {
        "how": "<type>.<partition>.<entry id>, as XADD answered it.",
        "refs": rows,
        "not_refs": list(_refused(bad, Ref.parse)),
    }


def fields() -> dict[str, Any]:
    """What becomes of an entry's fields."""
    given: list[list[str]] = [
        ["tenant", "acme", "body", BODY],
        ["body", "{}"],
        ["id", "019aa8d1-f2c3-7000-8000-9f3c1a7b0000", "v", "1", "at", "1763699999000", "body", BODY],
        ["body", "{}", "tenant", "acme", "trace", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
        ["body", "{}", "due", "+300000"],
        ["body", "{}", "due", "1763700060000"],
        ["body", "{}", "due", "1763699999999"],
        ["body", "{}", "unknown", "ignored"],
        ["body", "{}", "v", "2"],
        ["tenant", "acme"],
        ["body", "{}", "tenant", "Acme"],
        ["body", "{}", "v", "one"],
        ["body", "{}", "at", "-1"],
        ["body", "{}", "due", "soon"],
        ["body", "{}", "due", "+99999999999999"],
    ]
    return {
        "how": f"Fields of an entry {ENTRY_ID} of riptide:commands:invalidate:{{10}}, and how they are read: "
        "`at` and `due` in Unix milliseconds, without `due` at once. What is malformed is a dead letter. "
        "Bodies are judged by the JSON Schemas in commands/schemas.",
        "entries": [{"fields": each} | _as_read(each) for each in given],
    }


def entry_keys() -> dict[str, Any]:
    of, rows = Keys(), []
    for version in ("1", "2026-11"):
        digests = Digests(version)
        for key in ENTRY_KEYS:
            digest, number = digests[key]
            rows.append(
                {
                    "version": version,
                    "key": key,
                    "digest": digest,
                    "redis_key": of.entry("acme", "pages", digest),
                    "shard_of_4": number % 4,
                    "redis_key_in_4_shards": of.entry(f"acme.{number_of(digest) % 4}", "pages", digest),
                }
            )
    return {
        "how": "The digest is BLAKE2b with 16 bytes, in hex, over cache.version, one zero byte, and the key, "
        "both in UTF-8. The shard of a tenant with several is its first 8 hex digits as a number, modulo "
        "their count.",
        "tenant": "acme",
        "namespace": "pages",
        "entries": rows,
    }


def packed() -> dict[str, Any]:
    rows: list[list[str]] = [[], ["body", "{}"], ["tenant", "acme", "body", '{"é":1}'], ["", ""]]
    return {
        "how": "The field `orig` of a dead letter or a retry: its fields as they were published, each with "
        "its length in bytes before it (4 bytes, big-endian). Here in hex.",
        "packed": [
            {"fields": row, "orig": pack_fields([each.encode() for each in row]).hex()} for row in rows
        ],
    }


def files() -> dict[Path, str]:
    """What is generated: path and content."""
    made = {
        "partitions": partitions(),
        "names": names(),
        "keys": keys(),
        "refs": refs(),
        "fields": fields(),
        "entry-keys": entry_keys(),
        "packed": packed(),
    }
    return {
        HERE / f"{name}.json": json.dumps(content, indent=1, ensure_ascii=False) + "\n"
        for name, content in made.items()
    }


def stale() -> list[Path]:
    """Files that are missing, differ from the code, or are not generated any more."""
    wanted = files()
    differing = [
        path for path, text in wanted.items() if not path.is_file() or path.read_text("utf-8") != text
    ]
    return differing + sorted(set(HERE.glob("*.json")) - wanted.keys())


def _row(prefix: str, what: str, key: str, **of: str) -> dict[str, str]:
    return {"what": what, "prefix": prefix, **of, "key": key}


def _as_read(given: list[str]) -> dict[str, Any]:
    entry = Entry("invalidate", "10", ENTRY_ID, [each.encode() for each in given])
    try:
        message = read(entry, 1024**2)
    except Malformed as error:
        return {"malformed": str(error)}
    return {
        "id": message.id,
        "v": message.version,
        "tenant": message.tenant,
        "at": message.at_ms,
        "due": message.due_ms,
        "trace": message.trace,
    }


def _accepted(texts: Iterable[str], check: Any) -> Iterable[str]:
    return (check(text) for text in texts)


def _refused(texts: Iterable[str], check: Any) -> Iterable[str]:
    for text in texts:
        try:
            check(text)
        except InvalidInput:
            yield text
        else:
            raise AssertionError(f"{text!r} is accepted")


def main() -> int:
    """Write the files, or with `--check` name those that are not current."""
    parser = argparse.ArgumentParser(prog="python -m scripts.conformance", description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 if something is not current"
    )
    if parser.parse_args().check:
        outdated = stale()
        for path in outdated:
            sys.stderr.write(f"{path.name} is not current: run python -m scripts.conformance\n")
        return 1 if outdated else 0
    wanted = files()
    HERE.mkdir(exist_ok=True)
    for path in set(HERE.glob("*.json")) - wanted.keys():
        path.unlink()
    for path, text in wanted.items():
        path.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
