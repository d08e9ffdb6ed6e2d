"""The file of plans is edited: every process has the new ones, or none has."""

from pathlib import Path
from typing import Any

import pytest
import yaml

import riptide
from riptide.config.document import document_of
from riptide.errors import InvalidInput
from tests.support.deployment import Deployment
from tests.support.hosts import Host, agreed, refusal
from tests.support.waiting import PATIENCE, eventually


def plans(**fees: str) -> str:
    made = {
        name: {"name": name, "currency": "EUR", "base_fee": fee, "quotas": {"operations_per_minute": 7}}
        for name, fee in fees.items()
    }
    return yaml.safe_dump({"plans": made})


def test_new_plans_are_used_everywhere(on_valkey: Deployment, tmp_path: Path) -> None:
    """Also by services on hosts that have no such file."""
    file = tmp_path / "plans.yml"
    file.write_text(plans(free="1.00"))
    tenant: dict[str, Any] = {"enabled": True}
    host = Host(on_valkey, tmp_path, "one", tenant=tenant | {"plans_file": str(file)})
    other = Host(on_valkey, tmp_path, "two", tenant=tenant)
    with (
        host.worker(["reload"]) as worker,
        riptide.connect(config=host.file) as rt,
        riptide.connect(config=other.file) as far,
    ):
        rt.tenants.create("acme")
        assert rt.billing.estimate("acme").currency == "EUR"
        with pytest.raises(InvalidInput, match="there is no plan 'gold'"):
            rt.tenants.create("best", plan="gold")

        file.write_text(plans(free="2.00", gold="99.00"))
        agreed(rt, 3, 2)
        [free, gold] = rt.state.diff()
        assert (free.path, gold.path, gold.before, gold.live) == ("plans.free", "plans.gold", None, True)
        assert (free.before["base_fee"], free.after["base_fee"]) == ("1.00", "2.00")
        assert far.tenants.create("best", plan="gold").plan == "gold"
        assert far.billing.estimate("acme").terms == rt.billing.estimate("acme").terms
        assert rt.billing.estimate("acme").terms[0].priced.base_fee == 2_000_000
        assert rt.state.needs_restart == ()

        for text, why in (
            (plans(free="2.00", gold="a lot"), "write an amount with at most six decimals"),
            ("plans: [\n", "is not YAML"),
            ("", "it is empty"),
            ("plans: {}\n", "plans"),
        ):
            file.write_text(text)
            assert str(file) in refusal(rt, why).why
        # Not while the plans are wrong: no process could start with what the two say together.
        host.write(tenant=tenant | {"plans_file": str(file)}, cache={"default_ttl_seconds": 61})
        eventually(lambda: worker.log.count("is not taken over") >= 4, "all to be refused")
        assert rt.state.history().current.startswith("2-")
        file.write_text(plans(free="3.00"))
        assert str(host.file) in refusal(rt, "invoices need these: gold (1 tenant). Put them back").why
        file.write_text(plans(free="3.00", gold="99.00", bronze="1.00"))
        agreed(rt, 3, 3)
        assert rt.settings.cache.default_ttl_seconds == 61

        # Who has no such file says nothing of them.
        bare = Host(on_valkey, tmp_path, "three", tenant=tenant, cache={"default_ttl_seconds": 62})
        without = document_of(bare.file, bare.file.read_bytes())
        offering = rt.state._configuration._offering
        assert rt.wait(rt.store.drive(offering.offer(without, "three")), PATIENCE).value["changed"] == [
            "cache.default_ttl_seconds"
        ]
        agreed(rt, 3, 4)
        assert "plans.gold" not in {one.path for one in rt.state.diff()}

        far.tenants.update("best", plan="free")
        assert rt.wait(rt.state.rollback(1), PATIENCE).state == "dead", "it had that plan this month"
        refusal(rt, "gold (1 tenant)")
        assert rt.wait(rt.state.rollback(2), PATIENCE).state == "done"
        agreed(rt, 3, 5)
        with pytest.raises(InvalidInput, match="there is no plan 'bronze'"):
            far.tenants.create("late", plan="bronze")

        host.write(tenant=tenant | {"plans_file": str(tmp_path / "none.yml")})
        refusal(rt, "there is no file")
        again = tmp_path / "others.yml"
        again.write_text(plans(free="4.00", gold="99.00", silver="5.00"))
        host.write(tenant=tenant | {"plans_file": str(again)})
        agreed(rt, 3, 6)
        assert far.tenants.create("late", plan="silver").plan == "silver"
        assert rt.state.needs_restart == (), "where the plans are is a host's own affair"
