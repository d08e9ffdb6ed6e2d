"""Readers, and the independent judge of what they read: a page's own text says how old it is.

Before a change is invalidated the origin shows the new edition already. Once the invalidation has completed,
the page's floor is raised to it. Whoever begins to read after that and gets an older edition has read stale.
"""

import random
import threading
from types import TracebackType
from typing import Self

from riptide import RipTide, RiptideError
from scripts.demo.facts import Facts
from scripts.demo.origin import Origin, Page, edition

NAMESPACE = "pages"
TTL_SECONDS = 7 * 86400
_READERS = 3
_BREATH_SECONDS = 0.01


class Readers:
    """Threads that read the changing pages all the time, through the cache, as a service does."""

    def __init__(self, rt: RipTide, origin: Origin, pages: list[Page], facts: Facts) -> None:
        self._rt, self._origin, self._pages, self._facts = rt, origin, pages, facts
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(seed,)) for seed in range(_READERS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _run(self, seed: int) -> None:
        rng = random.Random(seed)
        while not self._end.wait(_BREATH_SECONDS):
            self.look(rng.choice(self._pages))

    def look(self, page: Page) -> None:
        """Read a page that changes, loading it if it is missing, and judge what came back."""
        floor = page.floor  # before the read begins: the floor may be raised while it runs
        try:
            html: bytes = self._rt.cache.get_or_load(
                page.url,
                lambda: self._origin.fetch(page),
                tenant=page.tenant,
                namespace=NAMESPACE,
                tags=[page.tag],
                ttl=TTL_SECONDS,
            )
        except (RiptideError, OSError) as error:
            self._facts.problem("failed", f"reading {page.url}: {error}")
            return
        if floor:
            self._facts.judge()
            if edition(html) < floor:
                self._facts.problem("stale", f"{page.url} is edition {edition(html)}, not {floor}")
