"""What `/admin/keys` takes and answers."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from riptide.api.access.access import DEFAULT_OVERLAP_SECONDS
from riptide.api.access.caller import Role, permissions_of
from riptide.api.access.key import LONGEST_NAME, ApiKey, NewSecret, State
from riptide.api.access.keys import LONGEST_OVERLAP_SECONDS, LONGEST_SECONDS
from riptide.api.models import PRINTABLE, Body, Cursor, TenantId, Whole

_Name = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME, pattern=PRINTABLE)]


def _may(role: Role) -> dict[str, Any]:
    return {"enum": sorted(permissions_of(role))}


_Narrowed = Field(
    min_length=1,
    max_length=100,
    description="Permissions that the role is narrowed to; left out, all that it has.",
    examples=[["cache:read", "commands:read"]],
)


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class _Wish(Body):
    name: Annotated[_Name, Field(examples=["shop frontend"])]
    expires_in_seconds: Annotated[
        Annotated[int, Field(ge=1, le=LONGEST_SECONDS), Whole] | None,
        Field(description="Left out, it never does.", examples=[7_776_000]),
    ] = None


class ViewerKey(_Wish):
    """A key of role viewer to be made."""

    role: Literal["viewer"]
    scopes: Annotated[list[Annotated[str, Field(json_schema_extra=_may("viewer"))]] | None, _Narrowed] = None


class OperatorKey(_Wish):
    """A key of role operator to be made."""

    role: Literal["operator"]
    scopes: Annotated[list[Annotated[str, Field(json_schema_extra=_may("operator"))]] | None, _Narrowed] = (
        None
    )


class AdminKey(_Wish):
    """A key of role admin to be made."""

    role: Literal["admin"]
    scopes: Annotated[list[Annotated[str, Field(json_schema_extra=_may("admin"))]] | None, _Narrowed] = None


class TenantKey(_Wish):
    """A key of a tenant to be made."""

    role: Literal["tenant"]
    tenant: Annotated[TenantId, Field(examples=["acme"])]
    scopes: Annotated[list[Annotated[str, Field(json_schema_extra=_may("tenant"))]] | None, _Narrowed] = None


KeyWish = Annotated[ViewerKey | OperatorKey | AdminKey | TenantKey, Field(discriminator="role")]


class Rotation(Body):
    """How a key is rotated."""

    overlap_seconds: Annotated[
        int,
        Field(ge=0, le=LONGEST_OVERLAP_SECONDS, description="For so long the secret before it stays valid."),
        Whole,
    ] = DEFAULT_OVERLAP_SECONDS


class KeyFacts(_Answer):
    """A key, without its secret."""

    id: Annotated[str, Field(examples=["acme.4f9a0c2b71d3"])]
    name: str
    role: Role
    tenant: str | None
    scopes: list[str] | None
    state: State
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    rotated_at: datetime | None
    old_secret_until: datetime | None
    revoked_at: datetime | None
    last_used_at: Annotated[datetime | None, Field(description="Right to a few minutes.")]

    @classmethod
    def of(cls, key: ApiKey) -> Self:
        return cls(
            id=key.id,
            name=key.name,
            role=key.role,
            tenant=key.tenant,
            scopes=None if key.scopes is None else list(key.scopes),
            state=key.state,
            created_at=datetime.fromtimestamp(key.made_ms / 1000, UTC),
            created_by=key.made_by,
            expires_at=_moment(key.expires_ms),
            rotated_at=_moment(key.rotated_ms),
            old_secret_until=_moment(key.old_until_ms),
            revoked_at=_moment(key.revoked_ms),
            last_used_at=_moment(key.used_ms),
        )


class KeyPageFacts(_Answer):
    """A page of keys, in order of their ids."""

    keys: list[KeyFacts]
    cursor: Cursor


class NewKeyFacts(_Answer):
    """A key that was just made or rotated, and its secret, which nobody can ask for again."""

    key: KeyFacts
    secret: Annotated[str, Field(repr=False, examples=["rt_acme.4f9a0c2b71d3_<52 characters><8 characters>"])]

    @classmethod
    def of(cls, made: NewSecret) -> Self:
        return cls(key=KeyFacts.of(made.key), secret=made.text)


def _moment(milliseconds: int) -> datetime | None:
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None
