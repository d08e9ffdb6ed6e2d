"""Two flows, their first operations in one round trip."""

from typing import Any

import pytest

from riptide.store.operation import Batch, Flow, Operation, ask, identity, together


def asking(*names: str, fails: str = "") -> Flow[str]:
    """Asks one thing after another; raises KeyError(fails) at the end."""
    answers = ""
    for name in names:
        answers += yield from ask(Operation((name,), identity))
    if fails:
        raise KeyError(fails)
    return answers


def driven(flow: Flow[Any]) -> tuple[Any, list[list[str]]]:
    """Its value, and what was sent together; every operation answers with its own name."""
    sent = []
    try:
        step = next(flow)
        while True:
            operations = step.operations if isinstance(step, Batch) else [step]
            names = [str(one.args[0]) for one in operations if isinstance(one, Operation)]
            sent.append(names)
            step = flow.send(names if isinstance(step, Batch) else names[0])
    except StopIteration as end:
        return end.value, sent


def test_only_the_first_operations_go_together() -> None:
    assert driven(together(asking("a", "b"), asking("c", "d"))) == (("ab", "cd"), [["a", "c"], ["b"], ["d"]])


def test_one_may_need_nothing() -> None:
    assert driven(together(asking(), asking("c"))) == (("", "c"), [["c"]])


def test_the_second_counts_only_when_the_first_has_ended_well() -> None:
    with pytest.raises(KeyError, match="first"):
        driven(together(asking("a", fails="first"), asking(fails="second")))
    with pytest.raises(KeyError, match="second"):
        driven(together(asking("a"), asking("b", fails="second")))
    with pytest.raises(KeyError, match="second"):
        driven(together(asking("a"), asking(fails="second")))
