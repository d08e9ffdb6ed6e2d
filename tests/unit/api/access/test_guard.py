"""What the audit trail cannot be told of failed tries."""

import pytest
from structlog.testing import capture_logs

from riptide.api.access.guard import Guard
from riptide.api.problems import Problem
from riptide.clock import SystemClock
from riptide.config import Settings
from riptide.errors import ServerUnavailable


def test_one_that_cannot_be_told_is_logged_and_the_others_wait() -> None:
    guard = Guard(Settings(), SystemClock(), lambda function: function())
    for client in ("10.0.0.1", "10.0.0.2", "10.0.0.3"):
        with pytest.raises(Problem):
            guard.begin("Bearer rt_nonsense", client)
    telling = guard.report(all_of_them=True)
    next(telling)
    with capture_logs() as logged, pytest.raises(StopIteration):
        telling.throw(ServerUnavailable("gone"))
    assert [line["tries"] for line in logged] == [1]
    assert len(guard._tries.take_reports()) == 2
