"""The loop of a thread that looks after something: pass after pass, until it is stopped."""

import threading
from collections.abc import Callable
from typing import Any

from riptide.errors import RiptideError

_LONGEST_BACKOFF = 30.0


def keep_passing(one_pass: Callable[[], float], stopped: threading.Event, log: Any, failed: str) -> None:
    """Each pass answers after how many seconds the next is due. One that fails is logged as `failed`, and the
    next comes later and later."""
    failures = 0
    while not stopped.is_set():
        try:
            pause = one_pass()
            failures = 0
        except Exception as error:
            failures += 1
            log.warning(failed, error=str(error), exc_info=None if isinstance(error, RiptideError) else error)
            pause = min(_LONGEST_BACKOFF, 0.25 * 2 ** min(failures, 10))
        stopped.wait(pause)
