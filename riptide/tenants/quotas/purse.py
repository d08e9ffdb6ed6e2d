"""What a process holds of a rate: taken from the server ahead, spent without asking it.

It is spent within a second, and the server counts it in the second after the one in which it was taken: so
it is spent in the second that it is counted in, or in the one before. A window of 60 s reaches into 61
seconds, and a check sums up these and the one ahead: whatever is spent within a window is in the sum that its
last check saw.

What is not spent in time is lost until its second leaves the window, as is what a process holds when it dies.
"""

import threading
from collections.abc import Callable

from riptide.errors import InvalidInput
from riptide.forking import in_children
from riptide.tenants.quotas.amounts import check_amount
from riptide.tenants.quotas.decision import Decision
from riptide.tenants.quotas.script import Answer

#: A second, less what clocks may differ in speed.
LIFE_SECONDS = 0.9
_MOST_GROWTH = 8
_SHORTEST_SECONDS = 0.001
_UNCOUNTED = 2**62


class Purse:
    """Pure but for the clock. `lock` is for threads that share it; a forked child's is empty."""

    def __init__(self, resource: str, clock: Callable[[], float]) -> None:
        self._resource, self._clock = resource, clock
        self.lock = threading.Lock()
        self._left = self._size = 0
        self._since = self._until = 0.0
        self._decision = Decision("", allowed=False)
        self._least_refused = self._missed = 0
        in_children(self, Purse.drop)

    def spend(self, amount: int) -> Decision | None:
        """What is known without asking; None: the server has to be asked. Raises InvalidInput."""
        now = self._clock()
        if type(amount) is int and 0 < amount <= self._left and now < self._until:
            self._left -= amount
            return self._decision
        if check_amount(self._resource, amount) == 0:
            raise InvalidInput(f"an amount of {self._resource} to be taken from a lease is at least 1")
        if now < self._until and 0 < self._least_refused <= amount:
            self._missed += 1
            return self._decision
        return None

    def want(self, amount: int) -> tuple[int, int, float]:
        """How much to ask for (what has been spent by now tells what will be), how many refusals the server
        has not heard of, and the time, which `fill` is to be given."""
        now = self._clock()
        spent = self._size - self._left
        expected = spent * LIFE_SECONDS / max(now - self._since, _SHORTEST_SECONDS)
        missed, self._missed = self._missed, 0
        return max(amount, min(round(expected), _MOST_GROWTH * max(spent, amount))), missed, now

    def fill(self, answer: Answer, amount: int, asked_at: float) -> Decision:
        """Take over what the server answered to the wish for `amount`, which is spent at once."""
        decision = self._decision = answer.decision
        # Nothing came of asking an unreachable server, and it took long: for a while, nobody does it again.
        self._since = self._clock() if decision.degraded else asked_at
        self._until = self._since + LIFE_SECONDS
        if decision.allowed:
            self._least_refused, self._size = 0, answer.granted or _UNCOUNTED
            self._left = self._size - amount
        else:
            any_amount = decision.degraded or decision.status != "active"
            self._least_refused, self._size, self._left = 1 if any_amount else amount, 0, 0
            if decision.retry_after is not None:
                self._until = asked_at + min(decision.retry_after, LIFE_SECONDS)
        return decision

    def drop(self) -> None:
        """Hold nothing: what a parent holds is not its child's too."""
        self.lock = threading.Lock()
        self._left = self._size = self._least_refused = self._missed = 0
