"""The windows of rates against a model that keeps everything. Time is told to the script, not taken."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from riptide.store.script import Script
from riptide.tenants.quotas import script
from riptide.tenants.quotas.script import Answer, Ask
from tests.integration.quotas.conftest import Open
from tests.support.deployment import Deployment

RATE = "operations_per_minute"
WINDOW = 6
SHARE = 8


def told_the_time(original: Script, up_to: str = "") -> Script:
    """The same script, but that its last two arguments are the time; with `up_to`, only its beginning."""
    assert original.source.count("redis.call('TIME')") == 1
    time = "{table.remove(ARGV, #ARGV - 1), table.remove(ARGV)}"
    source, found, _ = original.source.replace("redis.call('TIME')", time).partition(up_to or "\0")
    assert bool(found) == bool(up_to)
    return Script(original.name, source, secrets.token_hex(20))


ALL = told_the_time(script._CHECK)
SHORT_WAY = told_the_time(script._CHECK, up_to="-- Windows of so many seconds")


@dataclass
class Model:
    """What was taken, and when: (second it is counted in, amount)."""

    limit: int
    taken: list[tuple[int, int]] = field(default_factory=list)
    at: int = 0

    def second(self, now_us: int) -> int:
        return max(now_us // 1_000_000, self.at)

    def held(self, second: int) -> int:
        return sum(amount for counted, amount in self.taken if counted >= second - WINDOW)

    def take(self, now_us: int, amount: int, wanted: int) -> tuple[bool, int, int]:
        """(allowed, granted, held afterwards)."""
        second = self.second(now_us)
        held = self.held(second)
        if held + amount > self.limit:
            return False, 0, held
        granted = max(amount, min(wanted, (self.limit - held) // SHARE)) if wanted else amount
        self.taken.append((second + bool(wanted), granted))
        self.at = second
        return True, granted, held + granted

    def fits_at(self, now_us: int, amount: int) -> int | None:
        """The first second from which on the amount fits."""
        if amount > self.limit:
            return None
        second = self.second(now_us)
        while self.held(second) + amount > self.limit:
            second += 1
        return second


STEP = st.tuples(
    # Most steps are small; some leave a part of the window, about all of it, or more. Some go back.
    st.one_of(
        st.integers(0, 400_000),
        st.integers(0, 3_000_000),
        st.integers(WINDOW * 10, (WINDOW + 2) * 10).map(lambda tenths: tenths * 100_000),
    ),
    st.sampled_from([1, 3, 12, 20, 40]),  # amount
    st.sampled_from([0, 0, 1, 5, 40]),  # a lease would like so much
)


@pytest.fixture
def ask(deployment: Deployment, open_side: Open) -> Callable[..., Answer]:
    side = open_side(deployment, WINDOW, tenant={"isolation_level": "logical", "default_ops_quota": 40})
    scripts = side.parts.quotas._scripts
    scripts._window = WINDOW

    def one(
        tenant: str, now_us: int, amount: int, wanted: int = 0, told: Script = ALL, **beside: int
    ) -> Answer:
        asked = scripts.check(Ask(tenant, {RATE: amount} | beside, {}, wanted=wanted))
        args = ("EVALSHA", told.sha, *asked.args[2:], *divmod(now_us, 1_000_000))
        return side.store.run(replace(asked, args=args, script=told))

    return one


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.integers(0, 10**15), steps=st.lists(STEP, max_size=40), back=st.booleans())
def test_each_answer_is_what_the_model_says(
    ask: Callable[..., Answer], start: int, steps: list[tuple[int, int, int]], back: bool
) -> None:
    """Asked for alone, which may take the script's short way, or with something else, which never does."""
    tenant, model, now = f"t-{secrets.token_hex(8)}", Model(40), start
    spans: list[tuple[int, int, int]] = []  # first and last moment of use, amount
    for place, (later, amount, wanted) in enumerate(steps):
        now = max(now - later, 0) if back and place % 5 == 4 else now + later
        allowed, granted, held = model.take(now, amount, wanted)
        answer = ask(tenant, now, amount, wanted)
        standing = answer.decision.resources[RATE]
        assert ask(f"{tenant}-2", now, amount, wanted, storage_bytes=0).decision.resources[RATE] == standing
        assert (answer.decision.allowed, standing.used) == (allowed, held)
        if allowed:
            assert not wanted or answer.granted == granted
            spans.append((now, now + (1_000_000 if wanted else 0), granted))
        else:
            fits = model.fits_at(now, amount)
            waited = (
                None if standing.retry_after is None else now // 1000 + round(standing.retry_after * 1000)
            )
            assert waited == (None if fits is None else fits * 1000)
    if not back:
        never_too_many(spans, model.limit)


def test_in_the_same_second_the_short_way_will_do(ask: Callable[..., Answer]) -> None:
    for second in (0, 1_700_000_000, 1_763_722_801):
        begin = second * 1_000_000
        assert ask("acme", begin, 1).decision.resources[RATE].used == 1
        for later, used in ((0, 2), (1, 3), (999_999, 4)):
            assert ask("acme", begin + later, 1, told=SHORT_WAY).decision.resources[RATE].used == used


def never_too_many(spans: list[tuple[int, int, int]], limit: int) -> None:
    """However what was leased is used within its second: no window has more than the limit."""
    for start in {moment for first, last, _ in spans for moment in (first, last)}:
        end = start + WINDOW * 1_000_000
        assert sum(amount for first, last, amount in spans if first <= end and last >= start) <= limit
