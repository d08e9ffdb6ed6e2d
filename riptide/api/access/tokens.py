"""Tokens (JWT), as an identity provider gives them out: who holds one, if it is right in every respect."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

from riptide.api.access.caller import ROLES, Caller, Role
from riptide.api.access.jwks import KeySet, load_jwt
from riptide.api.access.verify import Refused, Verdict
from riptide.clock import Clock
from riptide.config import Settings
from riptide.errors import InvalidInput
from riptide.names import check_tenant
from riptide.store.operation import Call, Flow

MOST_BYTES = 8192
_LEEWAY_SECONDS = 10
_LONGEST_SUBJECT = 160
_REQUIRED = ("exp", "iss", "aud", "sub")

#: Calls something that blocks: at once, or in a thread that can be awaited.
Blocking = Callable[[Callable[[], Any]], Any]


class Tokens:
    """Checks tokens. Only EdDSA and RS256, by keys of the configured set; the key says which, never the
    token."""

    def __init__(self, settings: Settings, clock: Clock, blocking: Blocking) -> None:
        """Raises ConfigError if PyJWT is missing."""
        self._settings, self._blocking = settings, blocking
        self._jwt = load_jwt()
        self._keys = KeySet(settings.api, clock)

    def verify(self, token: str) -> Flow[Verdict]:
        """Raises KeySetUnavailable while there are no keys at all."""
        if len(token) > MOST_BYTES or not token.isascii():
            return Refused("no token")
        try:
            header = self._jwt.get_unverified_header(token)
        except self._jwt.PyJWTError:
            return Refused("no token")
        kid = header.get("kid")
        if not isinstance(kid, str) or "crit" in header:
            return Refused("token header")
        if self._keys.is_due(kid):
            yield Call(partial(self._blocking, partial(self._keys.refresh, kid)))
        key = self._keys.find(kid)
        if key is None:
            return Refused("unknown token key")
        return self._judge(token, key)

    def _judge(self, token: str, key: Any) -> Verdict:
        api = self._settings.api
        try:
            claims = self._jwt.decode(
                token,
                key=key.key,
                algorithms=[key.algorithm_name],
                issuer=api.jwt_issuer,
                audience=api.jwt_audience,
                leeway=_LEEWAY_SECONDS,
                options={"require": list(_REQUIRED)},
            )
        except self._jwt.PyJWTError as error:
            return Refused(f"token: {type(error).__name__}")
        return self._caller(claims)

    def _caller(self, claims: Mapping[str, Any]) -> Verdict:
        api, subject = self._settings.api, claims["sub"]
        role, tenant = claims.get(api.jwt_role_claim), claims.get(api.jwt_tenant_claim)
        if not (isinstance(subject, str) and 0 < len(subject) <= _LONGEST_SUBJECT and subject.isprintable()):
            return Refused("token subject")
        # Whoever is bound to a tenant is no more than that, whatever else the token says.
        if role not in ROLES or (role == "tenant") != (tenant is not None):
            return Refused("token role")
        try:
            whose = None if tenant is None else check_tenant(tenant)
        except InvalidInput:
            return Refused("token tenant")
        return Caller(
            id=f"jwt:{subject}",
            name=subject,
            role=cast(Role, role),
            tenant=whose,
            by_role=self._settings.security.enable_rbac,
        )
