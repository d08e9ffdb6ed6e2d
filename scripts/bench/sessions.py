"""Sessions: reading one, and changing one of its fields.

Floors: redis-py's HGETALL and HSET on a hash with the same fields and values. RipTide's session has seven
fields of its own beside them; a change asks the tenant's record, keeps the account of sessions, prolongs the
session, and encodes the value; a read decodes all of them. The same again for a tenant whose data is
encrypted.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import redis
from pydantic_core import to_json

sys.path.insert(0, str(Path(__file__).parents[2]))

import riptide
from riptide.config import BlobsSettings, SecuritySettings, Settings
from riptide.tenants.keyring.master import new_master_key
from scripts.bench import harness

TIMES, TENANT = 1500, "acme"
DATA: dict[str, Any] = {f"field{number}": "v" * 60 for number in range(8)}


def settings_of(url: str, blobs: str) -> Settings:
    plain = harness.settings(url, "bench", tenants=True)
    security = SecuritySettings(encryption_key=new_master_key())
    tenant = plain.tenant.model_copy(update={"enable_encryption": True})
    return plain.model_copy(
        update={"blobs": BlobsSettings(url=blobs), "security": security, "tenant": tenant}
    )


def compare(url: str, rounds: int, blobs: str) -> list[harness.Comparison]:
    plain = redis.Redis.from_url(url, protocol=2)
    fields: Any = {name: to_json(value) for name, value in DATA.items()}
    found = []
    with riptide.connect(config=settings_of(url, blobs)) as rt:
        for tenant, encrypted in ((TENANT, False), ("secret", True)):
            rt.tenants.create(tenant, settings={"encryption_enabled": encrypted})
            session = rt.sessions.create("ada", DATA, tenant=tenant).id
            name = f"floor:{{{tenant}}}:{session}"
            plain.hset(name, mapping=fields)
            suffix, reach = (", encrypted", "-") if encrypted else ("", "<= 1.3")
            get = harness.Comparison(f"session get{suffix}", "HGETALL", "us, p50", reach=reach)
            update = harness.Comparison(f"session update{suffix}", "HSET", "us, p50", reach=reach)
            harness.interleave(
                rounds,
                get,
                lambda name=name: harness.p50_us(lambda: plain.hgetall(name), TIMES),  # type: ignore[misc]
                lambda s=session, t=tenant: harness.p50_us(  # type: ignore[misc]
                    lambda: rt.sessions.get(s, tenant=t), TIMES
                ),
            )
            harness.interleave(
                rounds,
                update,
                lambda name=name: harness.p50_us(  # type: ignore[misc]
                    lambda: plain.hset(name, "field3", fields["field3"]), TIMES
                ),
                lambda s=session, t=tenant: harness.p50_us(  # type: ignore[misc]
                    lambda: rt.sessions.update(s, {"field3": DATA["field3"]}, tenant=t), TIMES
                ),
            )
            found += [get, update]
    return found


def main() -> None:
    chosen = harness.options(__doc__, rounds=7)
    with harness.server(same_cpu=chosen.same_cpu) as url, tempfile.TemporaryDirectory() as blobs:
        harness.report(compare(url, chosen.rounds, blobs))


if __name__ == "__main__":
    main()
