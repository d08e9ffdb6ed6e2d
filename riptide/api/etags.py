"""Entity tags of tenants: which one of its id it is, and which revision."""

from riptide.errors import TenantChanged
from riptide.tenants.registry.tenant import Tenant


def etag_of(tenant: Tenant) -> str:
    return f'"{tenant.incarnation}.{tenant.revision}"'


def matches(header: str, tenant: Tenant) -> bool:
    """Whether one of the listed tags is the tenant's; a weak one is as good."""
    tags = {tag.strip().removeprefix("W/") for tag in header.split(",")}
    return "*" in tags or etag_of(tenant) in tags


def check_match(header: str, tenant: Tenant) -> int | None:
    """The only revision that may be changed, None for any. Raises TenantChanged."""
    if header.strip() == "*":
        return None
    if etag_of(tenant) not in {tag.strip() for tag in header.split(",")}:
        raise TenantChanged(
            f"the tenant {tenant.id} has the entity tag {etag_of(tenant)} by now: look at it again"
        )
    return tenant.revision
