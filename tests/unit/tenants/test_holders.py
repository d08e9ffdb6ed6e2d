"""Which plans invoices still need."""

import json

from riptide.tenants.registry.holders import _needed

DAY_MS = 86_400_000


def test_what_was_left_long_ago_may_go() -> None:
    history = json.dumps([(0, "old"), (100 * DAY_MS, "gold"), (170 * DAY_MS, "free")])
    assert _needed("free", history, 200 * DAY_MS) == {"free"}
    assert _needed("free", history, 169 * DAY_MS) == {"free", "gold"}
    assert _needed("free", history, 99 * DAY_MS) == {"free", "gold", "old"}


def test_where_there_is_no_record() -> None:
    assert _needed(None, None, 0) == set()
