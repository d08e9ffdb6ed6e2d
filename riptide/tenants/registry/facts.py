"""What a tenant says of itself: name, owner, settings, metadata. Kept as JSON in its record."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, ValidationError

from riptide.errors import InvalidInput

_MOST_BYTES = 64 * 1024
_SHOWN_ERRORS, _SHOWN_PARTS = 3, 6

Text = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")
]
Email = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, max_length=254, pattern=r"^([^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+)?$"
    ),
]
Object = Annotated[dict[str, JsonValue], Field(default_factory=dict)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Owner(_Model):
    """Whose tenant it is. Each may be empty."""

    id: Text = ""
    name: Text = ""
    email: Email = ""
    organization: Text = ""


class Facts(_Model):
    """`settings` are read by RipTide and by the service; `metadata` by the service alone."""

    name: Text = ""
    owner: Owner = Owner()
    settings: Object
    metadata: Object

    def json_text(self) -> str:
        """Raises InvalidInput for what is too large, or could not be read again."""
        try:
            text = self.model_dump_json()
            if read_facts(text) != self:
                raise ValueError("a name with half a character in it became another one")
        except ValueError:  # half a character, or too deep
            raise InvalidInput("settings or metadata hold something that has no place in JSON") from None
        if len(text.encode()) > _MOST_BYTES:
            raise InvalidInput(
                f"name, owner, settings and metadata have {len(text.encode()):,} bytes as JSON; "
                f"at most {_MOST_BYTES:,} are kept"
            )
        return text

    def merged(self, **changes: Any) -> "Facts":
        """With `changes`: None leaves a part as it is; of owner, settings and metadata only what is named
        changes, and what is named with None goes. Raises InvalidInput."""
        facts = self.model_dump()
        for part, value in changes.items():
            if value is not None:
                facts[part] = value if part == "name" else _merge(part, facts[part], value)
        try:
            return Facts.model_validate(facts)
        except ValidationError as error:
            raise InvalidInput(_describe(error)) from None


def read_facts(text: str) -> Facts:
    """Facts as a record holds them."""
    return Facts.model_validate_json(text) if text else Facts.model_validate({})


def _merge(part: str, old: dict[str, Any], given: Any) -> dict[str, Any]:
    if isinstance(given, Owner):
        given = given.model_dump()
    if not isinstance(given, Mapping):
        raise InvalidInput(f"{part} is a mapping of names to values")
    return {name: value for name, value in (old | dict(given)).items() if value is not None}


def _describe(error: ValidationError) -> str:
    details = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(
        f"{'.'.join(map(str, one['loc'][:_SHOWN_PARTS]))}: {_said(one)}" for one in details[:_SHOWN_ERRORS]
    )


def _said(error: Any) -> str:
    """A pattern tells people nothing."""
    if error["type"] != "string_pattern_mismatch":
        return str(error["msg"])
    return (
        "this is no e-mail address" if error["loc"][-1] == "email" else "control characters are not allowed"
    )
