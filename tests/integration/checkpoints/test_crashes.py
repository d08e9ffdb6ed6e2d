"""A restore that ends at any of its calls, before or after it was carried out, and is run again."""

import random
from contextlib import suppress
from pathlib import Path

from riptide.errors import RiptideError
from riptide.state.checkpoints.shelf import Shelf
from riptide.state.restore.restoring import restore
from tests.integration.checkpoints.test_restoring import create
from tests.support.archives import archiving, wait_archived
from tests.support.calls import CallProxy, When
from tests.support.checkpointed import Ledger, brought_back, checkpoint_settings, forget
from tests.support.deployment import Deployment
from tests.support.purged import have_everything
from tests.support.usage import KIND
from tests.support.waiting import PATIENCE

_STRIKES = 25


def test_a_restore_that_is_killed_and_run_again(
    on_valkey: Deployment, tmp_path: Path, rng: random.Random
) -> None:
    quick = {"retry_attempts": 0, "retry_delay_ms": 1}
    settings = checkpoint_settings(on_valkey, tmp_path, redis=quick)
    have_everything(on_valkey, settings, {"acme": 1, "wide": 2})
    create(settings, "umbrella")
    ledger, shelf = Ledger(on_valkey, ["umbrella"], rng), Shelf(settings)
    with archiving(settings):
        ledger.add(20)
        made = shelf.create()
        ledger.add(20)
        wait_archived(settings, KIND)

    def struck(number: int, when: When) -> int:
        """How many calls there were, before one was struck."""
        forget(on_valkey)
        with CallProxy(on_valkey.url, lambda _: True) as proxy:
            proxy.strike_at(number, when, lambda: None, last=True)
            through = Deployment(proxy.url, on_valkey.prefix)
            with suppress(RiptideError):
                restore(checkpoint_settings(through, tmp_path, redis=quick), shelf, made.id)
            through.close()
            assert number < 0 or proxy.struck.wait(PATIENCE)
            return len(proxy.calls)

    struck(-1, "before")  # at first the server has to be taught the scripts
    calls = struck(-1, "before")
    whole = brought_back(on_valkey)
    ledger.check()
    whens: tuple[When, ...] = ("before", "after", "amid")
    for number in sorted(rng.sample(range(calls), min(calls, _STRIKES))):
        when = rng.choice(whens)
        struck(number, when)
        restore(settings, shelf, made.id)
        assert brought_back(on_valkey) == whole, f"{when} call {number} of {calls}"
        ledger.check()
    assert not restore(settings, shelf, made.id).corrected
