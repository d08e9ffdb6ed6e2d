"""Entries that are spilled by hand."""

import asyncio
from pathlib import Path
from typing import Any

import riptide
from riptide.cache.accounts import audit
from riptide.cache.spill.audit import blob_differences
from riptide.cache.spill.spilling import Outcome, Spilling
from riptide.config import Settings
from riptide.reads.sync_client import RipTide
from riptide.state.blobs import open_blobs
from riptide.store.keys import Keys
from riptide.store.operation import ask
from riptide.tenants.accounts.account import Account
from riptide.tenants.facts import DEFAULT, read_facts
from tests.support.deployment import Deployment


def spilling_settings(deployment: Deployment, blobs: Path, **sections: Any) -> Settings:
    sections["tenant"] = {"enabled": True} | sections.get("tenant", {})
    sections["cache"] = {"enable_spill": True} | sections.get("cache", {})
    return deployment.settings(blobs={"url": str(blobs)}, **sections)


def spill(rt: RipTide, keep_bytes: int | None = 0, tenant: str | None = None) -> Outcome:
    spilling = Spilling(
        Keys(rt.settings.cache.key_prefix),
        rt.settings,
        lambda: open_blobs(rt.settings.blobs),
        lambda function: function(),
    )
    return rt.store.drive(spilling.spill(tenant, keep_bytes, lambda *_: None))


def blob_names(settings: Settings) -> list[str]:
    return [blob.name for blob in open_blobs(settings.blobs).list("entries/")]


def check_accounts(rt: RipTide, *tenants: str) -> None:
    """Entries, bytes and blobs, counted anew."""
    keys = Keys(rt.settings.cache.key_prefix)
    for tenant in tenants:
        facts = rt.store.drive(ask(read_facts(keys, tenant))) or DEFAULT
        for tag in facts.tags:
            assert rt.store.drive(audit.differences(Account(keys, tag))) == []
        assert rt.store.drive(blob_differences(keys, facts)) == []


async def spill_in_thread(settings: Settings) -> None:
    """For tests that are asynchronous."""

    def work() -> None:
        with riptide.connect(config=settings) as rt:
            spill(rt)

    await asyncio.to_thread(work)
