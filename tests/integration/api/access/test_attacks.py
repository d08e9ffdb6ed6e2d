"""Guessing, flooding, racing."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from riptide.api.access.text import new_id, new_text
from riptide.api.problems import Problem
from riptide.errors import ConfigError, InvalidInput
from tests.integration.api.access.conftest import CLIENT, Open, Place
from tests.support.deployment import Deployment
from tests.support.waiting import PATIENCE
from tests.support.workers import environment, write_config

#: A window that does not end meanwhile, as it has not ended since the machine began.
ONE_WINDOW = 10**9


def problem(place: Place, authorization: str | None, client: str | None = CLIENT) -> Problem:
    with pytest.raises(Problem) as raised:
        place.access.identify(authorization, client)
    return raised.value


def test_all_refusals_look_alike(on_valkey: Deployment, open_place: Open) -> None:
    """Nobody learns which keys there are, or were; the audit trail has the reason, and no secret."""
    place = open_place(on_valkey, api={"failed_tries": 1000, "failed_tries_seconds": ONE_WINDOW})
    made = place.access.create("ada", role="admin")
    revoked = place.access.create("eve", role="admin")
    place.access.revoke(revoked.key.id)
    wrong = new_text(made.key.id)
    texts = [
        wrong,
        revoked.text,
        new_text(new_id(None)),
        new_text(new_id("acme")),
        made.text[:-1],
        "a.b.c",
        "x",
    ]
    with capture_logs() as logs:
        refusals = [problem(place, f"Bearer {text}") for text in texts]
    assert len({one.body() for one in refusals}) == 1
    assert refusals[0].headers["WWW-Authenticate"].startswith("Bearer")
    for nothing in (None, "", "Bearer", "Bearer ", "Basic YTpi", made.text):
        assert problem(place, nothing).status == 401
    place.access.report(all_of_them=True)
    (record,) = place.told(operation="sign-in")
    assert (record.actor, record.result) == (f"client:{CLIENT}", "refused")
    assert record.metadata == {
        "tries": 7,
        "clients": 1,
        "reasons": {"wrong secret": 1, "revoked": 1, "unknown": 2, "damaged key": 1, "no key": 2},
    }
    everything = f"{refusals!r} {[str(one) for one in refusals]} {logs} {place.told()}"
    for text in (*texts[:5], made.text):
        assert text[-50:] not in everything


def test_who_fails_too_often_waits_but_a_good_key_goes_on(on_valkey: Deployment, open_place: Open) -> None:
    place = open_place(on_valkey, api={"failed_tries": 3, "failed_tries_seconds": ONE_WINDOW})
    made = place.access.create("ada", role="admin")
    late = place.access.create("bob", role="admin")
    place.access.identify(f"Bearer {made.text}", CLIENT)
    for _ in range(3):
        assert problem(place, f"Bearer {new_text(new_id(None))}").status == 401
    stopped = problem(place, f"Bearer {late.text}")
    assert (stopped.status, stopped.name) == (429, "too-many-failed-tries")
    assert 1 <= int(stopped.headers["Retry-After"]) <= ONE_WINDOW + 1
    assert place.access.identify(f"Bearer {late.text}", "203.0.113.10").name == "bob"
    assert place.access.identify(f"Bearer {made.text}", CLIENT).name == "ada"
    place.access.revoke(made.key.id)
    assert problem(place, f"Bearer {made.text}").status == 401
    assert problem(place, f"Bearer {made.text}").status == 429


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(max_size=120) | st.from_regex(r"rt_[a-z0-9._:{}-]{0,40}_[a-z2-7]{52}[0-9a-f]{8}", fullmatch=True)
)
def test_whatever_is_sent(fuzzed: Place, text: str) -> None:
    assert problem(fuzzed, f"Bearer {text}").status == 401
    for call in (fuzzed.access.show, fuzzed.access.revoke, fuzzed.access.list):
        with pytest.raises(InvalidInput):
            call(text + "!")


@pytest.fixture
def fuzzed(on_valkey: Deployment, open_place: Open) -> Place:
    return open_place(on_valkey, api={"failed_tries": 1_000_000})


_FIRST = """
import sys, riptide
from riptide.api.access.access import SyncAccess
with riptide.connect() as rt:
    rt.tenants.list()
    print("ready", flush=True)
    sys.stdin.readline()
    print(SyncAccess(rt).announce_first().id)
"""


def test_of_many_that_start_at_once_one_makes_the_first_key(
    on_valkey: Deployment, open_place: Open, tmp_path: Path
) -> None:
    """It is shown once, on standard error, and it works; whatever becomes of it, there is no other one."""
    place = open_place(on_valkey)
    config = write_config(tmp_path / "riptide.yml", tenant={"enabled": True})
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    started: list[Any] = [
        subprocess.Popen(
            [sys.executable, "-c", _FIRST], env=environment(on_valkey, config), text=True, **pipes
        )
        for _ in range(2)
    ]
    for process in started:
        assert process.stdout.readline() == "ready\n"
    with ThreadPoolExecutor(len(started)) as pool:
        ended = pool.map(lambda one: one.communicate("go\n", timeout=PATIENCE), started)
        outs, errs = zip(*ended, strict=True)
    assert len(set(outs)) == 1, errs
    texts = [word for err in errs for word in err.split() if word.startswith("rt_")]
    assert len(texts) == 1, errs
    caller = place.access.identify(f"Bearer {texts[0]}", None)
    assert (caller.id, caller.role) == (outs[0].strip(), "admin")
    place.access.revoke(caller.id)
    found = place.access.first()
    assert (found.id, found.made) == (caller.id, None)
    assert [one.operation for one in place.told()] == ["make-key", "revoke-key"]


def test_a_first_key_that_is_given(on_valkey: Deployment, open_place: Open, capsys: Any) -> None:
    text = new_text(new_id(None))
    place = open_place(on_valkey, api={"admin_key": text})
    assert text not in repr(place.rt.settings)
    found = place.access.announce_first()
    assert found.made is None
    assert place.access.identify(f"Bearer {text}", None).role == "admin"
    place.access.revoke(found.id)
    assert place.access.announce_first() == found
    assert problem(place, f"Bearer {text}").status == 401
    assert capsys.readouterr().err == ""
    for wrong in ("hunter2hunter2", text[:-1], new_text(new_id("acme"))):
        with pytest.raises(ConfigError) as raised:
            open_place(on_valkey, api={"admin_key": wrong}).access.first()
        assert wrong not in str(raised.value)
