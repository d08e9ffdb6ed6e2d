"""`${VAR}` and `${VAR:-default}` in a file's values. `$${` stands for a plain `${`."""

import re
from collections.abc import Mapping

_REFERENCE = re.compile(r"\$\$\{|\$\{(?P<body>[^}]*)(?P<end>\}?)")
_BODY = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<otherwise>:-.*)?", re.DOTALL)


def expand(text: str, environ: Mapping[str, str]) -> str:
    """Put the variables' values in; raise ValueError that says what is missing or malformed."""
    return _REFERENCE.sub(lambda found: _value(found, environ), text)


def _value(found: re.Match[str], environ: Mapping[str, str]) -> str:
    if found[0] == "$${":
        return "${"
    body = _BODY.fullmatch(found["body"]) if found["end"] else None
    if body is None:
        raise ValueError("malformed ${...}; write ${NAME} or ${NAME:-default}, or $${ for a plain ${")
    name, otherwise = body["name"], body["otherwise"]
    if otherwise is not None:
        return environ.get(name) or otherwise[2:]
    if name not in environ:
        raise ValueError(f"the variable {name} is not set; set it, or write ${{{name}:-default}}")
    return environ[name]
