"""Who is known: asked about once a minute, never taken for unknown because the server is away."""

from riptide.errors import ServerUnavailable
from riptide.store.keys import Keys
from riptide.store.operation import Batch, Pause
from riptide.tenants.usage.known import KnownTenants, digest_of

ACME, NOBODY, DEFAULT = ("10", "acme"), ("10", "nobody"), ("3", "default")


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def learn(known: KnownTenants, homes: list[tuple[str, str]], answers: list[object]) -> None:
    flow = known.learn(homes)
    assert isinstance(next(flow), Batch)
    try:
        flow.send(answers)
    except StopIteration:
        return
    raise AssertionError("it goes on")


def test_a_tenant_is_believed_for_a_minute_and_a_stranger_not_at_all() -> None:
    clock = Clock()
    known = KnownTenants(Keys(), clock)
    assert known.unknown([ACME, NOBODY, DEFAULT]) == [ACME, NOBODY, DEFAULT]
    learn(known, [ACME, NOBODY, DEFAULT], [True, 0, False, 0, False, 0])
    assert [known.exists(home) for home in (ACME, NOBODY, DEFAULT)] == [True, False, True]
    assert known.unknown([ACME, NOBODY, DEFAULT]) == [NOBODY]
    clock.now += 61
    assert known.unknown([ACME, DEFAULT]) == [ACME, DEFAULT]
    learn(known, [ACME], [False, 0])
    assert not known.exists(ACME)


def test_a_purge_is_remembered_until_it_is_asked_about_again() -> None:
    known = KnownTenants(Keys(), Clock())
    learn(known, [ACME], [True, 77])
    assert known.purged_ms(ACME) == 77
    known.forget(ACME)
    assert known.unknown([ACME]) == [ACME]
    assert known.purged_ms(ACME) == 0


def test_an_outage_is_waited_out() -> None:
    known = KnownTenants(Keys(), Clock())
    flow = known.learn([ACME])
    for _ in range(50):
        assert isinstance(next(flow), Batch)
        step = flow.throw(ServerUnavailable("away", maybe_done=False))
        assert isinstance(step, Pause)
        assert 0 < step.seconds <= 2
    assert not known.exists(ACME)


def test_a_digest_tells_nothing_and_is_always_the_same() -> None:
    assert digest_of("acme") == digest_of("acme") != digest_of("acme2")
    assert len(digest_of("acme")) == 32
    assert "acme" not in digest_of("acme")
