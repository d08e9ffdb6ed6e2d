"""All checks, each within its time, whatever the others met."""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from riptide.config import Loaded
from riptide.doctor import configuration, keeping, members, rights, server, state, waiting, work
from riptide.doctor.facts import Facts
from riptide.doctor.finding import Check, Finding, Level, fail, skipped, warn
from riptide.errors import ConfigError, RiptideError, ServerRefused, ServerUnavailable

CHECKS: tuple[Check, ...] = (
    *server.CHECKS,
    *keeping.CHECKS,
    *rights.CHECKS,
    *configuration.CHECKS,
    *members.CHECKS,
    *work.CHECKS,
    *waiting.CHECKS,
    *state.CHECKS,
)
_CHECK_SECONDS = 10.0
_REACHABLE = "server.reachable"
_NO_SERVER = "the server cannot be reached"


@dataclass(frozen=True, slots=True)
class Result:
    check: Check
    findings: Sequence[Finding]

    @property
    def level(self) -> Level:
        """The gravest."""
        return max((finding.level for finding in self.findings), key=lambda level: level.gravity)


def examine(loaded: Loaded, checks: Sequence[Check], seconds: float) -> Iterator[Result]:
    """Look at all of it, for so long at most; each result as soon as it is known."""
    deadline = time.monotonic() + seconds
    facts = Facts(loaded, deadline)
    try:
        away = _away(facts) if any(check.needs_server for check in checks) else None
        if away is not None:
            yield away
        for check in checks:
            if away is not None and check.needs_server:
                if check is not away.check:
                    yield Result(check, [skipped(_NO_SERVER)])
            else:
                yield Result(
                    check, _within_time(check, facts, min(_CHECK_SECONDS, deadline - time.monotonic()))
                )
    finally:
        facts.close()


def _away(facts: Facts) -> Result | None:
    """What is wrong, if the server cannot be reached."""
    check = next(check for check in CHECKS if check.name == _REACHABLE)
    result = Result(check, _within_time(check, facts, _CHECK_SECONDS))
    return None if result.level is Level.ok else result


def _within_time(check: Check, facts: Facts, seconds: float) -> Sequence[Finding]:
    if seconds <= 0:
        return [skipped("there was no time left: give it more with --timeout")]
    found: list[Sequence[Finding]] = []
    # A store that hangs must not keep the others from being looked at.
    thread = threading.Thread(target=lambda: found.append(_look(check, facts)), daemon=True)
    thread.start()
    thread.join(seconds)
    late = warn(f"it took longer than {seconds:.0f} s", "see whether something hangs there")
    return found[0] if found else [late]


def _look(check: Check, facts: Facts) -> Sequence[Finding]:
    try:
        return check.look(facts)
    except ConfigError as error:
        return [fail(str(error), "riptide config check")]
    except ServerUnavailable as error:
        if check.name != _REACHABLE:  # that one fails: others need not repeat it
            return [warn(f"it cannot be looked at: {error}", "see the checks of the server, and come again")]
        return [fail(str(error), "start it ('riptide redis' runs one here), or mend redis.url")]
    except ServerRefused as error:
        if "NOPERM" in str(error):
            return [skipped(f"this user may not look: {error}")]
        return [fail(f"it cannot be looked at: {error}", "see the checks of the server")]
    except RiptideError as error:
        return [fail(f"it cannot be looked at: {error}", "see what it says")]
    except Exception as error:  # noqa: BLE001 - the others are to be looked at all the same
        return [
            fail(f"the check itself failed: {type(error).__name__}: {error}", "report it, with this line")
        ]
