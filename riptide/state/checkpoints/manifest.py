"""What a checkpoint says of itself, in a blob of its own: JSON, a line break, and the checksum of it."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from riptide.errors import Damaged
from riptide.state.checkpoints.sealed import seal, unseal

FORMAT = 1
_KINDS = r"^(manual|scheduled|shutdown|emergency)$"
_POSITION = Annotated[str, Field(pattern=r"^[0-9]{1,20}-[0-9]{1,20}$")]


class _Version(BaseModel):
    format: int


class Manifest(BaseModel):
    """`begun_ms` and `seconds` tell when it was written and for how long, by the server's clock; `keys` how
    many keys each section holds, `tenants` how many tenants have a record, `unfinished` how many commands
    wait to be carried out, `left_out` how many sessions had no data that could be read; `positions` up to
    which entry usage is counted, by partition; `size` in bytes and `digest` are those of the content."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, hide_input_in_errors=True)

    format: int = FORMAT
    id: str
    prefix: str
    kind: Annotated[str, Field(pattern=_KINDS)]
    note: str = ""
    begun_ms: int
    seconds: float
    tenants: int
    unfinished: int
    left_out: int = 0
    keys: Mapping[str, int]
    positions: Mapping[str, _POSITION]
    frames: int
    content: str
    size: int
    digest: str

    def packed(self) -> bytes:
        return seal(self.model_dump_json().encode())


def read_manifest(name: str, data: bytes) -> Manifest:
    """Raises Damaged."""
    if (text := unseal(data)) is None:
        raise _damaged(name, "the checksum of its manifest is wrong")
    try:
        version = _Version.model_validate_json(text).format
        if version != FORMAT:
            raise _damaged(name, f"its format is {version}; this release reads {FORMAT}")
        return Manifest.model_validate_json(text)
    except ValidationError:
        raise _damaged(name, "its manifest cannot be read") from None


def _damaged(name: str, why: str) -> Damaged:
    return Damaged(f"checkpoint {name} is damaged: {why}. Nothing of it is used")
