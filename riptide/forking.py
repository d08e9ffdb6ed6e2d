"""What a forked child inherits and must not use: locks that threads of its parent held, which nobody gives
back, and what waits there for the parent to send."""

import os
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

_ALL: WeakKeyDictionary[Any, Callable[[Any], None]] = WeakKeyDictionary()


def in_children(holder: Any, begin_anew: Callable[[Any], None]) -> None:
    """Call `begin_anew(holder)` in every child that is forked while `holder` lives, before anything else runs
    there: later two threads could do it at once."""
    _ALL[holder] = begin_anew


def forget(holder: Any) -> None:
    """Leave it out from now on."""
    _ALL.pop(holder, None)


def _begin_anew() -> None:
    for holder, begin_anew in list(_ALL.items()):
        begin_anew(holder)


os.register_at_fork(after_in_child=_begin_anew)
