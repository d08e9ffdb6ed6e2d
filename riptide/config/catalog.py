"""All settings in one place: path, model, names, and what a right value looks like."""

import json
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args

from pydantic import Secret, SecretStr, TypeAdapter
from pydantic.fields import FieldInfo

from riptide.config.models import Settings
from riptide.config.names import ENVIRONMENT
from riptide.config.redis_url import EXAMPLES
from riptide.config.values import RedisUrl, Section


@dataclass(frozen=True)
class Setting:
    """One setting: `path` is `section.name`, `owner` the model that has it."""

    path: str
    owner: type[Section]
    info: FieldInfo

    @property
    def section(self) -> str:
        """Empty for a setting that belongs to none."""
        return self.path.rpartition(".")[0]

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]

    @property
    def secret(self) -> bool:
        return any(_is_secret(kind) for kind in (self.info.annotation, *get_args(self.info.annotation)))

    @property
    def variables(self) -> list[str]:
        return [variable for variable, path in ENVIRONMENT.items() if path == self.path]

    @property
    def meaning(self) -> str:
        return self.info.description or ""

    def expected(self) -> str:
        """What a right value looks like, for people."""
        if self.info.annotation is RedisUrl:
            return EXAMPLES
        schema = TypeAdapter(self.owner).json_schema()["properties"][self.name]
        example = "" if self.secret else _example(schema.get("default"))
        return _kind(schema, self.meaning) + example

    def expected_item(self) -> str:
        """The same of one value of a mapping."""
        schema = TypeAdapter(self.owner).json_schema()
        item = schema["properties"][self.name]["additionalProperties"]
        if "$ref" in item:
            (example,) = schema["$defs"][item["$ref"].rpartition("/")[2]]["examples"]
            return f"an entry, as in {json.dumps(example)}"
        return _kind(item, self.meaning)

    def value(self, settings: Settings) -> Any:
        return getattr(getattr(settings, self.section) if self.section else settings, self.name)


@cache
def catalog() -> dict[str, Setting]:
    """Path -> setting, in the order of the models."""
    found: dict[str, Setting] = {}
    for name, info in Settings.model_fields.items():
        section = info.annotation
        if isinstance(section, type) and issubclass(section, Section):
            for inner, inner_info in section.model_fields.items():
                found[f"{name}.{inner}"] = Setting(f"{name}.{inner}", section, inner_info)
        else:
            found[name] = Setting(name, Settings, info)
    return found


@cache
def sections() -> tuple[str, ...]:
    return tuple(name for name in Settings.model_fields if name not in catalog())


def _is_secret(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, (Secret, SecretStr))


def _example(default: Any) -> str:
    if default is None or isinstance(default, (list, dict)):
        return ""
    return f" (default {str(default).lower() if isinstance(default, bool) else default})"


def _kind(schema: dict[str, Any], meaning: str) -> str:
    if "anyOf" in schema:
        schema = next(option for option in schema["anyOf"] if option.get("type") != "null")
    if "enum" in schema:
        return "one of " + ", ".join(schema["enum"])
    match schema["type"]:
        case "boolean":
            return "true or false"
        case "integer":
            unit = " of bytes, or like 20MiB," if schema.get("unit") == "bytes" else ""
            return f"a whole number{unit}" + _range(schema)
        case "number":
            return "a number" + _range(schema)
        case "array":
            return "a list of texts, or texts with commas between them"
        case "object":
            return "a mapping, as in {name: value}"
    return f"a text: {meaning}"


def _range(schema: dict[str, Any]) -> str:
    if "exclusiveMinimum" in schema:
        return f" above {schema['exclusiveMinimum']}, at most {schema['maximum']}"
    return f" from {schema['minimum']} to {schema['maximum']}"
