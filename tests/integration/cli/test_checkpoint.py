"""`riptide checkpoint`, as an operator uses it."""

from pathlib import Path

import pytest

from tests.integration.cli.conftest import Cli
from tests.support.checkpointed import forget
from tests.support.deployment import Deployment
from tests.support.workers import write_config

ON = {"tenant": {"enabled": True}}


def test_from_create_to_restore(riptide_on_valkey: Cli, on_valkey: Deployment, tmp_path: Path) -> None:
    riptide, deployment = riptide_on_valkey, on_valkey
    write_config(tmp_path / "riptide.yml", **ON)
    none = f"there are no checkpoints in {tmp_path / 'blobs'}\n"
    assert riptide("checkpoint", "list").out == none
    assert riptide("checkpoint", "show", "newest").err == f"error: {none}"
    assert riptide("tenant", "create", "acme").code == 0
    made = riptide("checkpoint", "create", "--note", "by \x1b[1mhand[/x]").out.strip()
    second = riptide("checkpoint", "create", "--kind", "emergency", "--json").json["id"]
    listed = riptide("checkpoint", "list", "--json").json["checkpoints"]
    # Two of one second come in any order.
    assert [row["id"] for row in listed] == sorted([made, second], reverse=True)
    about = {row["id"]: row for row in listed}
    assert (about[made]["kind"], about[second]["kind"]) == ("manual", "emergency")
    shown = riptide("checkpoint", "list", extra=[("COLUMNS", "60")]).out
    assert made in shown
    assert "hand[/x]" in shown
    assert "\x1b" not in shown
    assert riptide("checkpoint", "show", made, "--json").json == about[made]
    assert "tenants: 1 keys" in riptide("checkpoint", "show", "newest").out
    assert "are intact" in riptide("checkpoint", "verify", made).out

    forget(deployment)
    dry = riptide("checkpoint", "restore", made, "--dry-run", "--json").json
    assert (dry["dry_run"], dry["tenants"]) == (True, {"created": 1})
    assert riptide("tenant", "show", "acme").code == 1
    out = riptide("checkpoint", "restore", made, "--tenant", "acme").out
    assert "tenants created" in out
    assert riptide("tenant", "show", "acme").code == 0
    assert riptide("checkpoint", "restore", "newest", "--json").json["tenants"] == {"unchanged": 1}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("show", "../../etc/passwd"), 2, "is no id of a checkpoint"),
        (("restore", "20261121T000000Z-00000000"), 1, "there is no checkpoint 2"),
        (("create", "--kind", "odd"), 2, "--kind is one of manual, emergency"),
        (("create", "--kind", "scheduled"), 2, "--kind is one of manual, emergency"),
        (("create", "--note", b"\xff"), 2, "in UTF-8"),
    ],
)
def test_what_cannot_be(
    riptide_on_valkey: Cli, arguments: tuple[str | bytes, ...], code: int, message: str
) -> None:
    shown = riptide_on_valkey("checkpoint", *arguments)
    assert shown.code == code
    assert message in shown.err


def test_a_damaged_one_is_named(riptide_on_valkey: Cli, tmp_path: Path) -> None:
    made = riptide_on_valkey("checkpoint", "create").out.strip()
    (content,) = (tmp_path / "blobs").rglob(f"{made}.*.ckpt")
    content.write_bytes(content.read_bytes()[:-1])
    shown = riptide_on_valkey("checkpoint", "verify", made)
    assert (shown.code, f"checkpoint {made} is damaged: it is cut short" in shown.err) == (1, True)
