"""The kinds of value that settings have. Each also reads its text form, as files and variables give it."""

import json
import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Secret

from riptide.config.redis_url import check_url, mask_url

_UNITS = {"": 1, "B": 1}
_UNITS |= {f"{unit}iB": 1024 ** (power + 1) for power, unit in enumerate("KMGT")}
_UNITS |= {f"{unit}B": 1000 ** (power + 1) for power, unit in enumerate("kMGT")}
_BYTES = re.compile(r"\s*([0-9]{1,18})\s*([A-Za-z]*)\s*", re.ASCII)


class Section(BaseModel):
    """Base of all sections: frozen, no unknown names, and its errors never repeat a value."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False)


def _bytes(value: Any) -> Any:
    match = _BYTES.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return value
    if match[2] not in _UNITS:
        raise ValueError(f"unknown unit; write B, {', '.join(unit for unit in _UNITS if len(unit) > 1)}")
    return int(match[1]) * _UNITS[match[2]]


def _list(value: Any) -> Any:
    """`a, b` on one line or several, or a JSON list where an item holds a comma."""
    if value is None:
        return ()
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            raise ValueError("it begins like a JSON list but is none") from None
    return tuple(item for item in map(str.strip, re.split(r"[,\n]", value)) if item)


def _none_if_empty(value: Any) -> Any:
    return None if value == "" else value


def _lower(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


def _no_mapping(value: Any) -> Any:
    return {} if value is None else value


class RedisUrl(Secret[str]):
    """A server's URL. `str` and `repr` hide the password; `get_secret_value()` is the whole of it."""

    def _display(self) -> str:
        return mask_url(self.get_secret_value())


def _checked_url(value: Any) -> Any:
    text = value.get_secret_value() if isinstance(value, RedisUrl) else value
    if isinstance(text, str):
        check_url(text)
    return value


Bytes = Annotated[int, Field(json_schema_extra={"unit": "bytes"}), BeforeValidator(_bytes)]
MOST_BYTES = 2**50
Count = Annotated[int, Field(ge=1, le=10**9)]
Milliseconds = Annotated[int, Field(ge=1, le=10**9)]
WholeSeconds = Annotated[int, Field(ge=1, le=10**9)]
Seconds = Annotated[float, Field(gt=0, le=10**9)]
Names = Annotated[tuple[str, ...], BeforeValidator(_list)]
Optional = BeforeValidator(_none_if_empty)
AnyCase = BeforeValidator(_lower)
Mapping = BeforeValidator(_no_mapping)
Url = Annotated[RedisUrl, BeforeValidator(_checked_url)]
