"""Who calls, and what each role may do: one table, used by the endpoints, the docs and the tests."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

Role = Literal["viewer", "operator", "admin", "tenant"]
ROLES: tuple[Role, ...] = get_args(Role)

#: Permission -> the roles that have it. The role `tenant` has it for its own tenant alone.
PERMISSIONS: dict[str, frozenset[Role]] = {
    permission: frozenset(roles)
    for permission, roles in {
        "health:read": ROLES,
        "metrics:read": ("viewer", "operator", "admin"),
        "tenants:read": ROLES,
        "tenants:write": ("admin",),
        "tenants:suspend": ("operator", "admin"),
        "tenants:export": ("admin", "tenant"),
        "billing:read": ROLES,
        "cache:read": ROLES,
        "cache:write": ("operator", "admin"),
        "state:read": ("viewer", "operator", "admin"),
        "state:write": ("operator", "admin"),
        "state:restore": ("admin",),
        "streams:read": ("viewer", "operator", "admin"),
        "dead:read": ("viewer", "operator", "admin"),
        "dead:write": ("operator", "admin"),
        "audit:read": ("operator", "admin"),
        "keys:read": ("admin",),
        "keys:write": ("admin",),
        "commands:publish": ("operator", "admin", "tenant"),
        "commands:read": ROLES,
        "commands:cancel": ("operator", "admin", "tenant"),
    }.items()
}
#: What a tenant may publish, for itself.
TENANT_COMMANDS = frozenset({"warm", "invalidate", "record_usage", "record_access"})
#: What a tenant may cancel of these. What was used stays counted: mostly it was a service that told of it.
TENANT_CANCELS = frozenset({"warm", "invalidate"})


def permissions_of(role: Role) -> frozenset[str]:
    """All that a role has."""
    return frozenset(permission for permission, roles in PERMISSIONS.items() if role in roles)


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever proved to be one: by an API key or a token.

    `id` is the key's id or the token's subject, and stands in the audit trail. `tenant` is set for the role
    `tenant`, and only then. `scopes` are permissions that the role is narrowed to; None: all that it has.
    Without `by_role` (`security.enable_rbac` is off) any role will do; scopes and the tenant count still.
    """

    id: str
    name: str
    role: Role
    tenant: str | None = None
    scopes: frozenset[str] | None = None
    by_role: bool = True

    @property
    def actor(self) -> str:
        """How the audit trail calls them."""
        return f"api:{self.id}"

    def may(self, permission: str, tenant: str | None = None) -> bool:
        """Whether the caller may do this, to `tenant` (None: to what belongs to no tenant, or to all)."""
        if self.by_role and self.role not in PERMISSIONS[permission]:
            return False
        if self.scopes is not None and permission not in self.scopes:
            return False
        return self.role != "tenant" or tenant == self.tenant or permission == "health:read"

    def covers(self, role: Role, scopes: Iterable[str] | None) -> bool:
        """Whether the caller may do all that a key of that role and these scopes could: nobody hands out more
        than they have."""
        wanted = permissions_of(role) if scopes is None else scopes
        return all(permission in PERMISSIONS and self.may(permission) for permission in wanted)
