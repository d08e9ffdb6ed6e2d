"""Publishing commands and following each of them to its end."""

import time
from collections.abc import Callable, Sequence

from riptide import Outgoing, RipTide
from riptide.streams.message import Ref
from scripts.demo.facts import Facts, Step
from scripts.demo.stop import Stop

_LOOK_SECONDS = 0.02
_PATIENCE_SECONDS = 60.0


class Orders:
    """`check` raises if a program that the commands need has ended."""

    def __init__(self, rt: RipTide, facts: Facts, stop: Stop, check: Callable[[], None]) -> None:
        self._rt, self._facts, self._stop, self._check = rt, facts, stop, check

    def carry_out(
        self, commands: Sequence[Outgoing], step: Step | None = None, *, expected: str = "done"
    ) -> list[Ref]:
        """Publish commands and wait for each to end; one that ends otherwise than expected is a problem."""
        refs = self._rt.publish_many(commands)
        self._facts.published["commands"] += len(refs)
        waiting, last = list(refs), time.monotonic()
        while waiting:
            left = [ref for ref in waiting if not self._ended(ref, expected)]
            if step is not None:
                step.done += len(waiting) - len(left)
            now = time.monotonic()
            last = now if len(left) < len(waiting) else last
            waiting = left
            if now - last > _PATIENCE_SECONDS:
                for ref in waiting:
                    self._facts.problem("lost", f"{ref} is still {self._rt.status(ref).state}")
                break
            if waiting:
                self._check()
                self._stop.pause(_LOOK_SECONDS)
        return refs

    def _ended(self, ref: Ref, expected: str) -> bool:
        status = self._rt.status(ref)
        if status.state == "unknown":
            self._facts.problem("lost", f"{ref} was accepted, and is not there any more")
            return True
        if status.final:
            self._facts.ended[status.state] += 1
            if isinstance(status.value, dict):
                self._facts.warmed.update(
                    {name: status.value[name] for name in ("loaded", "present") if name in status.value}
                )
            if status.state != expected:
                self._facts.problem("failed", f"{ref} is {status.state}: {status.error}")
        return status.final
