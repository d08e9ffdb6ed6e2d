"""What all commands have in common: a frozen body, a type, a version and upcasters (docs/upgrading.md)."""

import json
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import from_json

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]

_TYPE = re.compile(r"[a-z][a-z0-9_]{0,62}\Z", re.ASCII)
_SHOWN_ERRORS = 3
_MOST_ERRORS = 1000
_SHOWN_CHARACTERS = 80


class MalformedBody(ValueError):
    """A body is not a JSON object of its command's form; the message says what is wrong and where."""


class UnknownVersion(ValueError):
    """A body has a version that this release neither reads nor lifts."""


class Command(BaseModel):
    """The body of a command: the message and nothing else.

    A subclass names its `type`, which is what stands in the stream's key, and never its class name.
    A field that changes its meaning, or goes, needs a new `version` and an upcaster from the old one.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, hide_input_in_errors=True
    )

    type: ClassVar[str] = ""
    version: ClassVar[int] = 1
    #: Its stream is kept from ordinary producers by the server's ACL.
    administrative: ClassVar[bool] = False
    #: It is always about one tenant, which the entry's field `tenant` names.
    tenant_required: ClassVar[bool] = True
    #: For each older version, what lifts its body to the next one.
    upcasters: ClassVar[Mapping[int, Upcaster]] = MappingProxyType({})

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse a command that could not be published; TypeError says why."""
        super().__pydantic_init_subclass__(**kwargs)
        if not _TYPE.match(cls.type):
            raise TypeError(f"{cls.__name__}.type is {cls.type!r}: 1 to 63 of a-z, 0-9 and '_' are needed")
        missing = [version for version in range(1, cls.version) if version not in cls.upcasters]
        if missing:
            raise TypeError(f"{cls.__name__} is at version {cls.version} and has no upcaster from {missing}")

    @classmethod
    def parse(cls, v: int, body: bytes | str) -> Self:
        """Read a body of version `v`, lifting an older one.

        Raises UnknownVersion, or MalformedBody; both messages are short and hold no value of the body.
        """
        if v == cls.version:
            try:
                read: Self = cls.__pydantic_validator__.validate_json(body)
                return read
            except ValidationError as error:
                raise MalformedBody(f"{cls.type}: {_describe(error)}") from None
        if not 1 <= v < cls.version:
            raise UnknownVersion(f"{cls.type}: version {v} is unknown here; known are 1 to {cls.version}")
        return cls.parse(cls.version, json.dumps(cls._lift(v, body)))

    @classmethod
    def _lift(cls, v: int, body: bytes | str) -> dict[str, Any]:
        try:
            content: Any = from_json(body, allow_inf_nan=False)
        except ValueError as error:
            raise MalformedBody(f"{cls.type}: body: {error}") from None
        if not isinstance(content, dict):
            raise MalformedBody(f"{cls.type}: body: a JSON object is needed")
        lifted: dict[str, Any] = content
        for version in range(v, cls.version):
            try:
                lifted = cls.upcasters[version](lifted)
            except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
                # What an older body lacks or has of a wrong type shows here first.
                reason = f"not a body of version {version} ({type(error).__name__})"
                raise MalformedBody(f"{cls.type}: body: {reason}") from error
        return lifted

    def body(self) -> bytes:
        """The body as it goes on the wire: UTF-8 JSON of the fields that were given."""
        return self.__pydantic_serializer__.to_json(self, exclude_unset=True, exclude_none=True)


def _describe(error: ValidationError) -> str:
    """The first few errors, each with its place."""
    if error.error_count() > _MOST_ERRORS:
        # Spelling them out would cost a worker more than a good body of that size does.
        return f"body: {error.error_count()} errors"
    details = error.errors(include_url=False, include_context=False, include_input=False)
    lines = [
        f"{_place(detail['loc'])}: {detail['msg'].removeprefix('Value error, ')}"
        for detail in details[:_SHOWN_ERRORS]
    ]
    if len(details) > _SHOWN_ERRORS:
        lines.append(f"and {len(details) - _SHOWN_ERRORS} more")
    return "; ".join(lines)


def _place(loc: tuple[int | str, ...]) -> str:
    if not loc:
        return "body"
    # A field's name may come from the body: escaped and cut, it does no harm in a log.
    path = ".".join(str(part) for part in loc).encode("unicode_escape").decode("ascii")
    return path if len(path) <= _SHOWN_CHARACTERS else path[:_SHOWN_CHARACTERS] + "…"
