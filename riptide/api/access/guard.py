"""Who may come in: by an API key or a token. One logic for both faces."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from riptide.api.access.caller import Caller
from riptide.api.access.keys import NOBODY, ApiKeys
from riptide.api.access.text import START, KeyText, read_text
from riptide.api.access.tokens import Blocking, Tokens
from riptide.api.access.tries import Remembered, Report, Tries, client_name
from riptide.api.access.verify import Refused, Verdict
from riptide.api.problems import Problem
from riptide.clock import Clock
from riptide.config import Settings
from riptide.errors import RiptideError
from riptide.logger import get_logger
from riptide.store.keys import Keys
from riptide.store.operation import Flow, ask
from riptide.tenants.registry.audit import REFUSED, Audit, Deed

_CHALLENGE: Mapping[str, str] = {"WWW-Authenticate": 'Bearer realm="riptide"'}


@dataclass(frozen=True, slots=True)
class Shown:
    """What a client shows to be let in: `key`, or else a token. `digest` tells it from others."""

    digest: str = field(repr=False)
    client: str
    key: KeyText | None
    token: str = field(default="", repr=False)


class Guard:
    """Decides about callers. Nothing is let in from memory: each call asks the server, or checks a
    signature."""

    def __init__(self, settings: Settings, clock: Clock, blocking: Blocking) -> None:
        """Raises ConfigError if tokens are configured and cannot be checked here."""
        keys = Keys(settings.cache.key_prefix)
        self.keys = ApiKeys(keys, settings)
        self._audit = Audit(keys, settings.security)
        self._tokens = None if settings.api.jwt_jwks is None else Tokens(settings, clock, blocking)
        self._tries, self._known = Tries(settings.api, clock), Remembered(settings.api, clock)

    def identify(self, authorization: str | None, client: str | None) -> Flow[Caller]:
        """Raises Problem 401 or 429; ServerUnavailable where nobody can be asked; KeySetUnavailable."""
        yield from self.report()
        shown = self.begin(authorization, client)
        if shown.key is not None:
            return self.conclude(shown, (yield from ask(self.keys.verify(shown.key))))
        verdict: Verdict = Refused("no key")
        if self._tokens is not None:
            verdict = yield from self._tokens.verify(shown.token)
        return self.conclude(shown, verdict)

    def begin(self, authorization: str | None, client: str | None) -> Shown:
        """What is shown, before anybody is asked. Raises Problem 401 for what is nothing, or cannot be right;
        429 for who failed too often, unless it is what was right a moment ago."""
        scheme, text = _credentials(authorization)
        if not text or scheme != "bearer":
            raise _unauthenticated(
                "Send an API key or a token: Authorization: Bearer rt_…, or X-API-Key. "
                "'riptide access create' makes a key."
            )
        shown = _shown(text, client)
        if self._known.get(shown.digest) is None and (seconds := self._tries.wait_seconds(shown.client)):
            raise Problem(
                429,
                "too-many-failed-tries",
                "Too many failed tries",
                f"Too many wrong keys or tokens came from this address. Try again in {seconds} s.",
                headers={"Retry-After": str(seconds)},
            )
        if shown.key is None and text.startswith(START):
            self.conclude(shown, Refused("damaged key"))
        return shown

    def conclude(self, shown: Shown, verdict: Verdict) -> Caller:
        """Let in whom `verdict` names, and count the others. Raises Problem 401."""
        if isinstance(verdict, Caller):
            self._known.add(shown.digest, verdict)
            return verdict
        self._known.forget(shown.digest)
        self._tries.failed(shown.client, verdict.why)
        raise _unauthenticated(
            "The key or token is not valid: it is unknown, damaged, expired, revoked or rotated, or its "
            "tenant is gone. Which of these, only the audit trail tells."
        )

    def remembered(self, authorization: str | None) -> Caller | None:
        """Who showed this within `api.remember_seconds`, and was let in: for what has to go on without the
        server."""
        return self._known.get(_digest(_credentials(authorization)[1]))

    def report(self, *, all_of_them: bool = False) -> Flow[None]:
        """Tell the audit trail of failed tries: of windows that are over, or with `all_of_them` of all. What
        cannot be told stands in the log."""
        reports = self._tries.take_reports(all_of_them=all_of_them)
        for place, report in enumerate(reports):
            about = {"tries": report.tries, "reasons": report.reasons, "clients": report.clients}
            try:
                yield from self._audit.note(_deed(report), REFUSED, about, operators=True)
            except RiptideError as error:
                get_logger("riptide.access").warning(
                    "failed tries cannot be told to the audit trail", error=str(error), **about
                )
                self._tries.give_back(reports[place + 1 :])
                return


def _credentials(authorization: str | None) -> tuple[str, str]:
    """Scheme, in lower case, and what follows it."""
    scheme, _, text = (authorization or "").strip().partition(" ")
    return scheme.lower(), text.strip()


def _shown(text: str, client: str | None) -> Shown:
    key = read_text(text)
    digest = _digest(text) if key is None else key.digest
    return Shown(digest, client_name(client), key, "" if key else text)


def _digest(text: str) -> str:
    """Of a key it is the one that the server knows."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _deed(report: Report) -> Deed:
    return Deed(NOBODY, f"client:{report.client}", "sign-in", "api")


def _unauthenticated(detail: str) -> Problem:
    return Problem(401, "unauthenticated", "Unauthenticated", detail, headers=_CHALLENGE)
