"""Who knows the id of a session may have it: no log tells it."""

import pytest
from structlog.testing import capture_logs

from riptide.config import PerformanceSettings
from riptide.errors import InvalidInput
from riptide.state.sessions.session import SessionInfo, SessionPage, check_session_id
from riptide.store.keys import Keys, shown_key
from riptide.store.operation import Operation
from riptide.store.slowlog import SlowLog

SECRET = "gdmUZ_xbEIHqtK4foczSkOnsaCfwygKw"


def test_the_slow_log_does_not() -> None:
    with capture_logs() as logs:
        SlowLog(PerformanceSettings()).note(
            Operation(("HGETALL", Keys("p").session("acme", SECRET)), list), 1.0
        )
    assert SECRET not in repr(logs)
    assert "p:session:{acme}:" in repr(logs)
    account = Keys("p").session_account("acme")
    assert shown_key(account) == account


def test_an_error_does_not() -> None:
    with pytest.raises(InvalidInput) as raised:
        check_session_id(SECRET + "}")
    assert SECRET not in str(raised.value)


def test_what_is_printed_does_not() -> None:
    one = SessionInfo(SECRET, "acme", "ada", None, None, None, {}, 0, 0, 1, spilled=False)
    assert "user_id='ada'" in repr(one)
    assert SECRET not in repr(SessionPage([one], f"digest:{SECRET}"))
