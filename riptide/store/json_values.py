"""Values as JSON, such that what is written can be read again."""

from typing import Any

from pydantic_core import PydanticSerializationError, from_json, to_json

from riptide.errors import InvalidInput

_JSON_DEPTH = 200  # deeper values are written by pydantic_core, and refused when read
_LONGEST_NUMBER = 4300  # and so are numbers of more digits
_DIGITS = bytes(ord("0") if chr(byte).isdigit() and byte < 128 else 0 for byte in range(256))


def encode_json(value: Any, refused: str, cure: str = "pass what JSON can hold") -> bytes:
    """Raises InvalidInput for what JSON cannot hold: `refused` says what cannot be done, `cure` what can."""
    try:
        encoded = to_json(value)
        if _may_be_unreadable(encoded):
            from_json(encoded)
    except (PydanticSerializationError, ValueError) as error:
        raise InvalidInput(f"{refused}: {error}; {cure}") from None
    return encoded


def _may_be_unreadable(encoded: bytes) -> bool:
    if len(encoded) <= _JSON_DEPTH:
        return False
    if encoded.count(b"[") + encoded.count(b"{") > _JSON_DEPTH:
        return True
    return len(encoded) > _LONGEST_NUMBER and b"0" * (_LONGEST_NUMBER + 1) in encoded.translate(_DIGITS)
