"""The package as a whole: what is in it, what is generated from it, what it imports."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

import commands
from commands import COMMANDS
from commands.schemas import stale

ROOT = Path(commands.__file__).parent
FILES = sorted(
    path.stem for path in ROOT.glob("*.py") if not path.stem.startswith("_") and path.stem != "schemas"
)


def resolve(document: dict[str, Any], reference: str) -> Any:
    """What a `$ref` of the AsyncAPI document points to."""
    if not reference.startswith("#/"):
        return json.loads((ROOT / reference).read_text("utf-8"))
    value: Any = document
    for part in reference[2:].split("/"):
        value = value[part]
    return value


def references(value: Any) -> list[str]:
    if isinstance(value, list):
        return [found for item in value for found in references(item)]
    if not isinstance(value, dict):
        return []
    own = [value["$ref"]] if "$ref" in value else []
    return own + [found for item in value.values() for found in references(item)]


@pytest.fixture(scope="module")
def document() -> Any:
    return yaml.safe_load((ROOT / "asyncapi.yml").read_text("utf-8"))


def test_every_file_holds_the_command_of_its_name() -> None:
    assert sorted(COMMANDS) == FILES
    for name, command in COMMANDS.items():
        assert command.type == name
        assert command.__module__ == f"commands.{name}"
        assert getattr(commands, command.__name__) is command


def test_every_command_has_its_twin_in_workers() -> None:
    twins = {path.stem for path in (ROOT.parent / "workers").glob("*.py")}
    assert set(FILES) <= twins


def test_every_command_and_field_is_described() -> None:
    for name, command in COMMANDS.items():
        schema = json.loads((ROOT / "schemas" / f"{name}.v{command.version}.json").read_text("utf-8"))
        jsonschema.Draft202012Validator.check_schema(schema)
        assert schema["description"]
        assert [
            field for field, content in schema["properties"].items() if not content.get("description")
        ] == []


def test_generated_files_are_current() -> None:
    assert stale() == []


def test_asyncapi_describes_each_command(document: Any) -> None:
    assert document["asyncapi"] == "3.0.0"
    assert set(document) <= {"asyncapi", "info", "defaultContentType", "channels", "operations", "components"}
    assert {"title", "version"} <= document["info"].keys()
    assert set(document["channels"]) == set(COMMANDS)
    for name, channel in document["channels"].items():
        assert channel["address"] == f"riptide:commands:{name}:{{partition}}"
        assert set(channel["parameters"]) == {"partition"}
        message = resolve(document, channel["messages"][name]["$ref"])
        assert resolve(document, message["payload"]["schema"]["$ref"])["title"] == COMMANDS[name].__name__
        assert set(message["headers"]["schema"]["properties"]) == {"id", "v", "tenant", "at", "due", "trace"}
    for operation in document["operations"].values():
        assert operation["action"] in {"send", "receive"}


def test_asyncapi_references_lead_somewhere(document: Any) -> None:
    found = references(document)
    assert len(found) > len(COMMANDS)
    for reference in found:
        assert resolve(document, reference)


def test_commands_import_nothing_that_opens_a_socket() -> None:
    program = (
        "import sys, commands; print(*{'redis', 'httpx', 'anyio', 'hiredis', 'ssl'} & sys.modules.keys())"
    )
    shown = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=ROOT.parent
    )
    assert shown.stdout.strip() == ""
