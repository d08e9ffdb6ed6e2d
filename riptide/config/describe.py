"""The configuration told to people and editors: every setting with value and source, and a JSON Schema."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from riptide.config.catalog import Setting, catalog, sections
from riptide.config.loader import Loaded
from riptide.config.models import Settings
from riptide.config.values import RedisUrl, Section
from riptide.config.yaml_file import TOP

_UNEXPANDED = {"type": "string", "pattern": r"\$\{"}
_WITH_UNIT = {"type": "string", "pattern": r"^ *[0-9]+ *(B|[KMGT]iB|[kMGT]B)? *$"}


@dataclass(frozen=True)
class Row:
    """One setting as it is now. `value` is safe to show: secrets are masked."""

    setting: Setting
    value: Any
    source: str


def rows(loaded: Loaded, section: str | None = None) -> Iterator[Row]:
    """All settings, or those of one section, in the order of the models."""
    for path, setting in catalog().items():
        if section is None or path.partition(".")[0] == section:
            yield Row(setting, _masked(setting.value(loaded.settings)), loaded.sources[path])


def json_schema() -> str:
    """JSON Schema of the file, for editors. Values may be `${VAR}`, and all may lie below `persistence:`."""
    schema = Settings.model_json_schema()
    for section in sections():
        # A section may stand there with nothing in it.
        schema["properties"][section] = {
            "anyOf": [{"$ref": schema["properties"][section]["$ref"]}, {"type": "null"}]
        }
    for path, setting in catalog().items():
        owner = schema["$defs"][setting.owner.__name__] if "." in path else schema
        owner["properties"][setting.name] = _for_editors(owner["properties"][setting.name])
    top = {"additionalProperties": False, "properties": dict(schema["properties"]), "type": "object"}
    schema["properties"][TOP] = top | {"description": "All settings may lie below this key."}
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return json.dumps(schema, indent=2) + "\n"


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _masked(item) for name, item in value.items()}
    if isinstance(value, Section):
        return value.model_dump(exclude_defaults=True)
    return str(value) if isinstance(value, (SecretStr, RedisUrl)) else value


def _for_editors(schema: dict[str, Any]) -> dict[str, Any]:
    del schema["title"]
    about = {name: schema.pop(name) for name in ("description", "default") if name in schema}
    shapes = schema.pop("anyOf", None) or [schema]
    if any(shape.pop("unit", None) == "bytes" for shape in shapes):
        shapes.append(_WITH_UNIT)
    return about | {"anyOf": [*shapes, _UNEXPANDED]}
