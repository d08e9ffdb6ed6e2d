"""When whoever looks after something looks again."""

from types import SimpleNamespace
from typing import Any

import pytest

from riptide.config import Settings
from riptide.tenants.accounts import keeping
from riptide.tenants.accounts.keeping import Keeping


class Mine:
    """A server that gives everybody the lease."""

    def run(self, _: Any) -> bool:
        return True


@pytest.mark.parametrize(
    ("takes", "looked"), [(0.0, [100, 110, 120, 130]), (1.0, [100, 110, 120, 130]), (6.0, [100, 130])]
)
def test_it_rests_four_times_as_long_as_a_look_takes(
    monkeypatch: pytest.MonkeyPatch, takes: float, looked: list[float]
) -> None:
    """Or for as long as it wants to, if that is longer."""
    clock = SimpleNamespace(now=100.0)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr(keeping, "time", clock)
    found: list[float] = []

    class Looks(Keeping):
        def _look(self, store: Any) -> float:
            found.append(clock.now)
            clock.now += takes
            return 10.0

    one = Looks(Settings(), "it", "me", "riptide.test")
    one._store = Mine()  # type: ignore[assignment]
    while clock.now < 131:
        pause = one._pass()
        assert 0 < pause <= 5
        clock.now += pause
    assert found == looked
