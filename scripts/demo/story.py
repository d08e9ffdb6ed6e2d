"""What the demo does, step by step."""

import itertools
import time
from collections.abc import Callable, Iterator, Sequence

from riptide import Invalidate, Outgoing, Warm
from riptide.cache.entry import Miss
from riptide.streams import dead
from riptide.streams.overview import overview
from scripts.demo.deployment import Deployment
from scripts.demo.facts import Facts, Step
from scripts.demo.orders import Orders
from scripts.demo.origin import TENANTS, Page
from scripts.demo.readers import NAMESPACE, TTL_SECONDS, Readers
from scripts.demo.recovery import Recovery
from scripts.demo.stop import Stop

KINDS = ["warm", "invalidate", "record_usage"]
_KEYS_PER_COMMAND = 5
_READ_SECONDS = 2.0
_KEY_ROUNDS = 6
_TAG_ROUNDS = 2
_SAMPLE = 24
_PATIENCE_SECONDS = 30.0
_LOOK_SECONDS = 0.1
_CALM_SECONDS = 1.0
_FORBIDDEN = "http://10.0.0.1/"

Plan = list[tuple[Step, Callable[[Step], None]]]


class Story:
    """`steps` names them in order; `facts` takes what is found out."""

    def __init__(self, deployment: Deployment, pages: int, facts: Facts, stop: Stop) -> None:
        self._rt, self._origin, self._keys = deployment.rt, deployment.origin, deployment.keys
        self._stop, self._facts = stop, facts
        self._orders = Orders(self._rt, facts, stop, deployment.check)
        self._stable, self._changing = self._origin.stable(pages), self._origin.changing()
        self._readers = Readers(self._rt, self._origin, self._changing, facts)
        self._recovery = Recovery(self._rt, facts, self._orders, deployment.empty)
        self._quiet: Plan = [
            (Step("found"), self._find),
            (Step("warm"), self._warm),
            (Step("read"), self._read),
            (Step("refuse"), self._refuse),
        ]
        self._noisy: Plan = [
            (Step("invalidate by key"), self._by_key),
            (Step("invalidate by tag"), self._by_tag),
            (Step("invalidate namespace"), self._by_namespace),
            (Step("sessions"), self._recovery.begin),
            (Step("settle"), self._settle),
            (Step("lose and restore"), self._recovery.restore),
        ]
        facts.steps = [step for step, _ in self._quiet + self._noisy]

    def tell(self) -> None:
        """Do the steps. Raises Stopped, ChildFailed, RiptideError, OSError."""
        self._do(self._quiet)  # latencies are measured while nobody else reads
        with self._readers:
            self._do(self._noisy)

    @staticmethod
    def _do(plan: Plan) -> None:
        for step, act in plan:
            step.state = "running"
            act(step)
            step.state = "ended"

    def go_on(self) -> None:
        """Something calm for as long as the user looks on. Raises as `tell` does."""
        with Readers(self._rt, self._origin, self._changing, self._facts):
            for turn in itertools.count():
                tenant = TENANTS[turn % len(TENANTS)]
                pages = self._of(tenant, self._stable)
                self._invalidate_keys(tenant, pages[turn % len(pages) :][:2])
                for page in self._stable:
                    self._timed_get(page)
                self._stop.pause(_CALM_SECONDS)

    def _find(self, step: Step) -> None:
        self._facts.found = self._weigh()
        self._dead = self._states()[1]
        step.text = f"{self._facts.found} pages of an earlier run"

    def _warm(self, step: Step) -> None:
        start = time.monotonic()
        self._warm_all(self._stable, step)
        self._expect_present(self._stable)
        warmed, seconds = self._facts.warmed, time.monotonic() - start
        there = f", {warmed['present']} were there" if warmed["present"] else ""
        step.text = f"{warmed['loaded']} pages by {step.total} commands in {seconds:.1f} s{there}"

    def _read(self, step: Step) -> None:
        """The origin is asked for some of the pages, the cache for all of them, again and again."""
        sample = self._stable[:: max(1, len(self._stable) // _SAMPLE)]
        end = time.monotonic() + _READ_SECONDS
        step.total = len(sample)
        for page in sample:
            self._stop.check()
            with self._facts.origin.measure():
                self._origin.fetch(page)
            step.done += 1
        while time.monotonic() < end or not self._facts.cache:
            self._stop.check()
            for page in self._stable:
                if self._timed_get(page) is None:
                    self._facts.problem("lost", f"{page.url} was warmed, and is not in the cache")
        step.text = (
            f"{len(self._facts.cache):,} reads, {self._facts.speedup:,.0f} times as fast as the origin"
        )
        self._weigh()

    def _refuse(self, step: Step) -> None:
        """An address that nobody allowed must end in the dead letters; the letter is dropped again."""
        forbidden = [Outgoing(Warm(namespace=NAMESPACE, keys=(_FORBIDDEN,)), TENANTS[0])]
        refs = self._orders.carry_out(forbidden, step, expected="dead")
        for ref in refs:
            letter = self._rt.status(ref).dead_id
            if letter is not None:
                self._rt.store.run(dead.drop(self._keys, type(ref)(ref.kind, ref.partition, letter)))
        step.text = f"{_FORBIDDEN} into the dead letters, and dropped"

    def _by_key(self, step: Step) -> None:
        step.total = _KEY_ROUNDS
        for turn in range(_KEY_ROUNDS):
            tenant = TENANTS[turn % len(TENANTS)]
            self._invalidate_keys(tenant, self._of(tenant, self._stable)[turn::_KEY_ROUNDS][:3])
            step.done += 1
        step.text = f"{self._facts.invalidated['key']} pages, gone and loaded again"

    def _invalidate_keys(self, tenant: str, stable: Sequence[Page]) -> None:
        news = self._of(tenant, self._changing)[:2]
        keys = tuple(page.url for page in (*news, *stable))
        self._change(news, Outgoing(Invalidate(namespace=NAMESPACE, keys=keys), tenant))
        self._expect_gone(stable)
        self._facts.invalidated["key"] += len(keys)
        self._warm_all(stable)

    def _by_tag(self, step: Step) -> None:
        step.total = _TAG_ROUNDS * len(TENANTS)
        for tenant in TENANTS * _TAG_ROUNDS:
            news = self._of(tenant, self._changing)
            for page in news:
                self._readers.look(page)  # so that all of them are there
            self._change(news, Outgoing(Invalidate(namespace=NAMESPACE, tags=(news[0].tag,)), tenant))
            self._facts.invalidated["tag"] += len(news)
            step.done += 1
        self._expect_present(self._stable)
        step.text = f"{self._facts.invalidated['tag']} pages, gone and loaded again; others stayed"

    def _by_namespace(self, step: Step) -> None:
        step.total = len(TENANTS) * (1 + len(self._stable) // len(TENANTS) // _KEYS_PER_COMMAND)
        for tenant in TENANTS:
            pages, news = self._of(tenant, self._stable), self._of(tenant, self._changing)
            self._change(news, Outgoing(Invalidate(namespace=NAMESPACE), tenant))
            self._expect_gone(pages)
            self._facts.invalidated["namespace"] += len(pages) + len(news)
            self._expect_present([page for page in self._stable if page.tenant != tenant])
            self._warm_all(pages, step)
        self._expect_present(self._stable)
        step.text = f"{self._facts.invalidated['namespace']} pages, gone and loaded again"

    def _settle(self, step: Step) -> None:
        """No command may be unread, being worked on or waiting for a retry, and no dead letter be new."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while (left := self._states())[0] and time.monotonic() < deadline:
            self._stop.pause(_LOOK_SECONDS)
        if left[0]:
            self._facts.problem("lost", f"{left[0]} commands are left in their streams, unfinished")
        if left[1] > self._dead:
            self._facts.problem(
                "failed", f"{left[1] - self._dead} dead letters have come that nobody expected"
            )
        self._weigh()
        step.text = "no command and no dead letter is left over" if self._facts.well else "see below"

    def _states(self) -> tuple[int, int]:
        """How many commands are unfinished, and how many dead letters there are."""
        states = self._rt.store.drive(overview(self._keys, KINDS))
        unfinished = sum((state.lag or 0) + state.pending + state.retries for state in states)
        return unfinished, sum(state.dead for state in states)

    def _change(self, pages: Sequence[Page], invalidation: Outgoing) -> None:
        """New editions at the origin, then the invalidation; from its end on nobody may read an old one."""
        editions = {page: self._origin.edit(page) for page in pages}
        self._orders.carry_out([invalidation])
        for page, number in editions.items():
            page.floor = number
        for page in pages:
            self._readers.look(page)

    def _warm_all(self, pages: Sequence[Page], step: Step | None = None) -> None:
        commands = [
            Outgoing(Warm(namespace=NAMESPACE, keys=tuple(p.url for p in part), ttl=TTL_SECONDS), tenant)
            for tenant in TENANTS
            for part in _parts(self._of(tenant, pages))
        ]
        if step is not None:
            step.total = max(step.total, len(commands))
        self._orders.carry_out(commands, step)

    def _timed_get(self, page: Page) -> bytes | None:
        with self._facts.cache.measure():
            html: bytes | None = self._rt.cache.get(page.url, tenant=page.tenant, namespace=NAMESPACE)
        return html

    def _expect_gone(self, pages: Sequence[Page]) -> None:
        """Nobody loads these again by himself: whatever is read now is stale."""
        for page in pages:
            self._facts.judge()
            if self._rt.cache.get(page.url, tenant=page.tenant, namespace=NAMESPACE) is not None:
                self._facts.problem("stale", f"{page.url} was invalidated, and is still there")

    def _expect_present(self, pages: Sequence[Page]) -> None:
        for tenant in TENANTS:
            urls = [page.url for page in self._of(tenant, pages)]
            found = self._rt.cache.get_many(urls, tenant=tenant, namespace=NAMESPACE)
            for url in set(urls) - set(found):
                self._facts.problem("lost", f"{url} should be in the cache, and is not")

    def _weigh(self) -> int:
        """Count entries, and their bytes before and after compression."""
        count = value = stored = 0
        for page in (*self._stable, *self._changing):
            entry = self._rt.cache.inspect(page.url, tenant=page.tenant, namespace=NAMESPACE)
            if not isinstance(entry, Miss):
                count, value, stored = count + 1, value + entry.value_bytes, stored + entry.stored_bytes
        facts = self._facts
        facts.entries, facts.value_bytes, facts.stored_bytes = count, value, stored
        return count

    @staticmethod
    def _of(tenant: str, pages: Sequence[Page]) -> list[Page]:
        return [page for page in pages if page.tenant == tenant]


def _parts(pages: Sequence[Page]) -> Iterator[Sequence[Page]]:
    for start in range(0, len(pages), _KEYS_PER_COMMAND):
        yield pages[start : start + _KEYS_PER_COMMAND]
