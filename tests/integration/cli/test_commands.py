"""`riptide publish`, `command`, `dead` and `streams`, with a worker beside them."""

import json
from pathlib import Path

import pytest

from riptide.streams.message import pack_fields
from tests.integration.cli.conftest import Cli
from tests.support.deployment import Deployment
from tests.support.waiting import PATIENCE, eventually
from tests.support.workers import WorkerProcess


def body(deployment: Deployment, **fields: object) -> str:
    return json.dumps({"into": deployment.prefix} | fields)


@pytest.mark.timeout(600)  # some twenty processes, one after the other
def test_from_publishing_to_the_end(deployment: Deployment, riptide: Cli, tmp_path: Path) -> None:
    """One worker, and everything that may become of a command, as an operator sees it."""
    published = riptide("publish", "effect", "--tenant", "acme", "--body", body(deployment))
    ref = published.out.strip()
    assert (published.code, ref.count(".")) == (0, 2)
    assert riptide("command", ref, "--json").json == {"ref": ref, "state": "queued"}
    with WorkerProcess(deployment, tmp_path, workers={"lease_seconds": PATIENCE}):  # nothing begins anew
        done = riptide("command", ref, "--wait", "30", "--json")
        assert (done.code, done.json) == (0, {"ref": ref, "state": "done"})

        returned = riptide(
            "publish", "effect", "--body", body(deployment, end="result"), "--wait", "30", "--json"
        )
        assert (returned.code, returned.json["value"]) == (0, {"attempt": 1})
        skipped = riptide("publish", "effect", "--body", body(deployment, end="skip"), "--wait", "30")
        assert skipped.code == 0
        assert "skipped" in skipped.out
        assert "as asked" in skipped.out
        slow = riptide(
            "publish", "effect", "--body", body(deployment, seconds=600), "--wait", "0.1", "--json"
        )
        assert slow.code == 3, "not finished yet"
        assert slow.json["state"] in {"queued", "running"}
        eventually(lambda: sum(deployment.pending("effect").values()) == 1, "it to be taken")
        dead = riptide(
            "publish",
            "effect",
            "--tenant",
            "acme",
            "--body",
            body(deployment, end="dead"),
            "--wait",
            "30",
            "--json",
        )
        assert (dead.code, dead.json["state"], dead.json["error"]) == (1, "dead", "Dead: as asked")
        letter = dead.json["dead_letter"]

        listed = riptide("dead", "list", "--json").json
        assert [row["ref"] for row in listed] == [letter]
        assert listed[0]["source"] == dead.json["ref"]
        assert letter in riptide("dead", "list").out
        shown = riptide("dead", "show", letter)
        assert "raise errors.get(how" in shown.out, "the traceback"
        assert "field tenant: acme" in shown.out
        fields = dict(riptide("dead", "show", letter, "--json").json["fields"])
        assert json.loads(fields["body"]) == {"into": deployment.prefix, "end": "dead"}

        streams = {row["kind"]: row for row in riptide("streams", "--json").json}
        assert streams["effect"]["dead"] == 1
        assert streams["effect"]["pending"] == 1, "the slow one"
        assert streams["effect"]["consumers"] == 1
        assert streams["effect"]["lag"] == 0
        assert "effect" in riptide("streams").out

        retried = riptide("dead", "retry", letter)
        assert (retried.code, retried.out.strip()) == (0, "1 put back, 0 were gone already")
        died = riptide("command", dead.json["ref"], "--wait", "30", "--json")
        assert (died.code, died.json["state"]) == (1, "dead")
        assert riptide("command", dead.json["ref"]).code == 1, "without --wait too"
        waiting = riptide("command", slow.json["ref"], "--wait", "0.1", "--json")
        assert waiting.code == 3, "not finished by then"
        assert riptide("command", slow.json["ref"]).code == 0, "it was only asked where it stands"
        again = riptide("dead", "list", "--json").json
        assert [row["source"] for row in again] == [dead.json["ref"]], (
            "from the start, under its old reference"
        )
        assert again[0]["ref"] != letter
        assert again[0]["attempts"] == 1
        assert riptide("dead", "show", letter).code == 1

        assert "1 dropped" in riptide("dead", "drop", "--all", "--yes").out
        assert riptide("dead", "list").out.strip() == "no dead letters"


def test_dead_letters_are_chosen(on_valkey: Deployment, riptide_on_valkey: Cli, tmp_path: Path) -> None:
    riptide = riptide_on_valkey
    on_valkey.add("noop", {"body": b"\xff\x00"})
    on_valkey.add("noop", {"body": b'{"n":1}', "v": "99"})
    on_valkey.add("effect", {"nothing": "here"})
    with WorkerProcess(on_valkey, tmp_path):
        eventually(lambda: len(on_valkey.letters("noop") + on_valkey.letters("effect")) == 3, "the letters")
    assert len(riptide("dead", "list", "--json").json) == 3
    assert len(riptide("dead", "list", "--type", "noop", "--json").json) == 2
    assert len(riptide("dead", "list", "--limit", "1", "--json").json) == 1
    [unknown] = riptide("dead", "list", "--error", "unknown-version", "--json").json
    assert "version 99" in unknown["error"]
    [raw] = riptide("dead", "list", "--type", "noop", "--error", "malformed", "--json").json
    assert "field body: \\xff" in riptide("dead", "show", raw["ref"]).out
    assert riptide("dead", "retry").code == 2, "say which"
    assert riptide("dead", "drop").code == 2
    assert riptide("dead", "list", "--type", "nonsense").code == 2
    assert riptide("dead", "drop", "--type", "noop", stdin="n\n").code == 1, "asked, and declined"
    assert len(riptide("dead", "list", "--json").json) == 3
    assert "1 put back" in riptide("dead", "retry", "--error", "unknown-version").out
    assert "1 dropped" in riptide("dead", "drop", "--type", "noop", stdin="y\n").out
    assert riptide("dead", "drop", unknown["ref"], "--yes").code == 1, "it is gone"
    [left] = riptide("dead", "list", "--json").json
    assert left["ref"].startswith("effect.")


def test_dead_letters_are_legible_in_80_columns(on_valkey: Deployment, riptide_on_valkey: Cli) -> None:
    """Two lines each: the reference in one piece, and why it died; nothing steers the terminal."""
    error = "ValueError: [red]what\x1b[31m it says[/red]\n" + "of the cause " * 50
    facts = {
        "id": "i",
        "at": "1700000000000",
        "src": "1-1",
        "attempts": "5",
        "worker": "w",
        "reason": "failed",
    }
    tenant = "a" * 63
    fields = facts | {"error": error, "orig": pack_fields([b"tenant", tenant.encode(), b"body", b"{}"])}
    entry = on_valkey.client.xadd(on_valkey.keys.dead("noop", "10"), fields).decode()
    fields["reason"] = "unknown-version"
    on_valkey.client.xadd(on_valkey.keys.dead("effect", "61"), fields)
    shown = riptide_on_valkey("dead", "list", extra=[("COLUMNS", "80")])
    lines = shown.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["ref", "died", "reason", "starts", "tenant"]
    [row] = [line for line in lines if f"noop.10.{entry}" in line]
    assert row.split()[2:6] == ["s", "ago", "failed", "5"]
    assert row.endswith("…"), "a tenant may be longer than there is room"
    assert "ValueError: [red]what\ufffd[31m it says[/red] of the cause" in shown.out
    assert "\x1b" not in shown.out
    assert len(lines) < 15, "the error is cut"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            [],
            [
                "RIPTIDE_CONFIG",
                "config/persistence.yml",
                "REDIS_URL",
                "3 the command waited for",
                "4 the command",
            ],
        ),
        (["publish"], ["3 if it is not finished"]),
        (["command"], ["4 if it is unknown", "3 if it is not finished"]),
    ],
)
def test_help_tells_where_the_configuration_comes_from_and_exit_codes(
    riptide_on_valkey: Cli, arguments: list[str], said: list[str]
) -> None:
    shown = " ".join(riptide_on_valkey(*arguments, "--help").out.split())
    assert [text for text in said if text not in shown] == []


@pytest.mark.parametrize(
    "option", ["foo=1", "decode_responses=true", "socket_timeout=abc", "max_connections=5"]
)
def test_an_odd_option_of_the_url_is_one_line_and_code_2(riptide_on_valkey: Cli, option: str) -> None:
    url = f"redis://:hunter2@127.0.0.1/?{option}"
    shown = riptide_on_valkey("streams", extra=[("REDIS_URL", url)])
    assert shown.code == 2
    assert "env REDIS_URL: redis.url" in shown.err
    assert option.partition("=")[0] in shown.err
    assert "hunter2" not in shown.err


def test_publishing_with_a_key_and_from_standard_input(on_valkey: Deployment, riptide_on_valkey: Cli) -> None:
    riptide = riptide_on_valkey
    first = riptide("publish", "noop", "--key", "k", "--json").json["ref"]
    assert riptide("publish", "noop", "--key", "k", "--json").json["ref"] == first
    assert len(on_valkey.entries("noop")) == 1
    assert riptide("publish", "noop", "--body", "-", stdin='{"n": 42}').code == 0
    assert [fields[b"body"] for _, _, fields in on_valkey.entries("noop")] == [b"{}", b'{"n":42}']


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["publish", "nonsense"], "no command is of type 'nonsense'"),
        (["publish", "noop", "--body", "{"], "--body"),
        (["publish", "noop", "--body", '{"n":"x"}'], "valid integer"),
        (["publish", "noop", "--body", b'"\xff"'], "--body"),
        (["publish", "noop", "--tenant", "A B"], "tenant id 'A B' is not valid"),
        (["publish", "noop", "--tenant", b"\xff"], "tenant id"),
        (["publish", "noop", "--key", b"\xff"], "key"),
        (["command", "nonsense"], "is not a reference"),
        (["command", b"\xff.1.1-1"], "is not a reference"),
        (["dead", "show", "warm.{10}.1-1"], "is not a reference"),
        (["dead", "show", "warm.0.99999999999999999999999-1"], "is not a reference"),
        (["dead", "show", "warm.0.18446744073709551616-1"], "is not a reference"),
        (["dead", "show", "warm.0.-1-1"], "is not a reference"),
        (["dead", "show", "warm.0.x-y"], "is not a reference"),
        (["dead", "drop", "--yes", "warm.0.99999999999999999999-1"], "is not a reference"),
        (["command", "warm.0.1-99999999999999999999"], "is not a reference"),
        (["worker", "--commands", "nonsense"], "unknown command types: nonsense"),
    ],
)
def test_wrong_input_is_one_line_and_code_2(
    riptide_on_valkey: Cli, arguments: list[str | bytes], said: str
) -> None:
    shown = riptide_on_valkey(*arguments)
    assert shown.code == 2
    assert said in shown.err
    assert len(shown.err.strip().splitlines()) == 1


def test_with_multi_tenancy_a_tenants_command_needs_one(riptide_on_valkey: Cli) -> None:
    arguments = ["publish", "invalidate", "--body", '{"all": true}']
    refused = riptide_on_valkey(*arguments, extra=[("TENANT_ENABLED", "true")])
    assert (refused.code, "about one tenant" in refused.err) == (2, True)
    assert riptide_on_valkey(*arguments, extra=[("TENANT_ENABLED", "false")]).code == 0


def test_a_server_that_is_away_is_one_line_a_recipe_and_code_1(riptide_on_valkey: Cli) -> None:
    away = [("REDIS_URL", "redis://127.0.0.1:1"), ("REDIS_RETRY_ATTEMPTS", "0")]
    for arguments in (["command", "noop.10.1-1"], ["publish", "noop"], ["dead", "list"], ["streams"]):
        shown = riptide_on_valkey(*arguments, extra=away)
        assert shown.code == 1
        assert "Redis cannot be reached" in shown.err
        assert shown.err.splitlines()[1:] == ["what to do: docs/operating.md#serverunavailable"]


def test_what_was_never_published_is_unknown(riptide_on_valkey: Cli) -> None:
    for arguments in ([], ["--wait", "60"], ["--json"]):
        shown = riptide_on_valkey("command", "noop.10.1-1", *arguments)
        assert shown.code == 4
        assert "unknown" in shown.out
