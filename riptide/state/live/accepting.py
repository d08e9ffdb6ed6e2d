"""Carries out a `reload`: what it names is looked at, and made the current configuration or refused."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from riptide.config import Settings
from riptide.config.document import Document, differences, parse_document, resolve
from riptide.errors import ConfigError, Dead, InvalidInput, Skip
from riptide.state.blobs.contract import Blobs
from riptide.state.live.offering import Blocking
from riptide.state.live.versions import Versions
from riptide.store.keys import Keys
from riptide.store.operation import Call, Flow, ask
from riptide.tenants.plans import Plans, parse_plans
from riptide.tenants.registry.holders import holders

_NAMED_PLANS = 20


@dataclass(frozen=True, slots=True)
class Order:
    """One `reload`: the entry that it was published as, and what its body says."""

    entry_id: str
    blob: str
    digest: str
    origin: str


class Accepting:
    """`check(settings)` raises ConfigError for what no worker could start with."""

    def __init__(
        self,
        keys: Keys,
        open_blobs: Callable[[], Blobs],
        blocking: Blocking,
        check: Callable[[Settings], None],
        environ: Mapping[str, str],
        now_ms: Callable[[], int],
    ) -> None:
        self._keys, self._open_blobs, self._blocking = keys, open_blobs, blocking
        self._versions = Versions(keys)
        self._check, self._environ, self._now_ms = check, environ, now_ms

    def accept(self, order: Order) -> Flow[dict[str, Any]]:
        """The new version, what it changes, and what of that needs a restart.

        Raises Dead if it cannot be used, which is remembered for whoever asks; Skip if a later one has been
        accepted; BlobError if it cannot be read now.
        """
        try:
            document = yield from self._read(order)
            source = f"the configuration from {order.origin}"
            self._check(resolve(document, source, self._environ))
            if document.plans is not None:
                yield from self._check_plans(parse_plans(document.plans, source), source)
        except (ConfigError, InvalidInput) as error:
            yield from ask(self._versions.refuse(order.origin, str(error), self._now_ms()))
            raise Dead(str(error)) from None
        what = "moved"
        while what == "moved":
            before = yield from ask(self._versions.current())
            accept = self._versions.accept(order.entry_id, document, order.origin, before)
            what, current = yield from ask(accept)
        if what == "late":
            raise Skip(f"a later configuration has been accepted: {current}")
        return (yield from self._told(current))

    def _check_plans(self, plans: Plans, source: str) -> Flow[None]:
        """Raises ConfigError if one is missing that invoices of tenants need. Where it is known what the
        plans were, only those matter that go now."""
        before = yield from ask(self._versions.current())
        known = None if before is None or before.document.plans is None else before.document.plans["plans"]
        if known is not None and known.keys() <= plans.plans.keys():
            return
        held = yield from holders(self._keys, self._now_ms())
        gone = [
            f"{plan} ({count} tenant{'s' if count > 1 else ''})"
            for plan, count in sorted(held.items())
            if plan not in plans.plans and (known is None or plan in known)
        ]
        if gone:
            raise ConfigError(
                f"the plans of {source}: tenants have, or had in the last two months, plans that are not "
                f"among them, and invoices need these: {', '.join(gone[:_NAMED_PLANS])}. Put them back"
            )

    def _told(self, current: str) -> Flow[dict[str, Any]]:
        number = int(current.partition("-")[0])
        before = yield from ask(self._versions.version(number - 1))
        after = yield from ask(self._versions.version(number))
        old, new = (Document({}) if one is None else one.document for one in (before, after))
        apart = differences(old, new)
        return {
            "version": current,
            "changed": [one.path for one in apart if one.live],
            "restart": [one.path for one in apart if not one.live],
        }

    def _read(self, order: Order) -> Flow[Document]:
        data = yield Call(partial(self._blocking, lambda: self._open_blobs().get(order.blob)))
        if hashlib.sha256(data).hexdigest() != order.digest:
            raise ConfigError(f"what lies at {order.blob} is not what was published: its SHA-256 differs")
        return parse_document(data)
