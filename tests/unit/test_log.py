"""What RipTide's own programs log."""

import secrets
from typing import Literal

import httpx
import pytest

from riptide import log
from riptide.config import LogSettings
from riptide.logger import get_logger


def test_addresses_that_are_asked_are_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    """Those of webhooks often are secrets."""
    log.configure(LogSettings())
    with httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200))) as client:
        client.post("https://hooks.example/services/hunter2")
    assert "hunter2" not in capsys.readouterr().err


@pytest.mark.parametrize("form", ["console", "json"])
def test_a_traceback_tells_no_values(
    capsys: pytest.CaptureFixture[str], form: Literal["console", "json"]
) -> None:
    def fail(key: str) -> None:
        raise RuntimeError(f"defect after {len(key)} characters")

    log.configure(LogSettings(format=form))
    key = secrets.token_hex(4)
    try:
        fail(key)
    except RuntimeError as error:
        get_logger("riptide.api").error("failed", exc_info=error)
    told = capsys.readouterr().err
    assert "defect after 8 characters" in told
    assert "Traceback" in told
    assert key not in told
