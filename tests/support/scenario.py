"""What a worker, a producer or a client does while it is struck at one of its calls to Redis."""

import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import riptide
from riptide.store.keys import PARTITIONS
from tests.support.observer import Call
from tests.support.recorded import Bundle, Step

if TYPE_CHECKING:
    from tests.support.stage import Stage

PARTITION = PARTITIONS[0]
_MARK = f"{{{PARTITION}}}"


def concerns(call: Call) -> bool:
    """Heartbeats do not, nor what is asked of other partitions."""
    return any(_MARK in key for key in call.keys)


@dataclass(frozen=True)
class Scenario:
    """What the victim does. To add one: say what is published (in batches), and who is struck."""

    name: str
    plans: Sequence[tuple[str, ...]] = (("done",),)
    bundles: int = 0
    #: what each start of a step takes; the steps take turns
    seconds: Sequence[float] = (0,)
    #: whose the steps are, in turns
    tenants: Sequence[str | None] = (None,)
    #: before a step may start
    delay: float | None = None
    #: characters that each bundle carries
    ballast: int = 0
    #: who is struck: a producer that publishes it all, a client that cancels it all, or a worker that finds
    #: it published
    victim: Literal["producer", "canceller", "worker"] = "worker"
    #: what is published is held by a worker that has died, or of which nothing else is left
    held_by: Literal["nobody", "dead", "vanished"] = "nobody"
    #: the worker is asked to end, in no time, once it has started something
    ends: bool = False
    #: publish a bundle more when the victim has been killed
    late: bool = False
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    #: which calls count
    counts: Callable[[Call], bool] = concerns
    #: whether a run without a strike has come to what it is about
    shows: Callable[["Stage"], bool] = lambda _: True
    #: what is not yet as it must be in the end, beside commands that have not ended
    lacks: Callable[["Stage"], str] = lambda _: ""

    def batches(self) -> list[list[riptide.Outgoing]]:
        told = zip(self.plans, itertools.cycle(self.seconds), itertools.cycle(self.tenants), strict=False)
        steps = [
            riptide.Outgoing(Step(token=f"step{n}", plan=plan, seconds=seconds), tenant, delay=self.delay)
            for n, (plan, seconds, tenant) in enumerate(told)
        ]
        bundles = [self.bundle(f"bundle{n}") for n in range(self.bundles)]
        return [steps, bundles] if bundles else [steps]

    def bundle(self, token: str) -> riptide.Outgoing:
        ballast = random.Random(token).randbytes(self.ballast // 2).hex()
        return riptide.Outgoing(Bundle(token=token, ballast=ballast))
