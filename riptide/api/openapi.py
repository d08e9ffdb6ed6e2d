"""The OpenAPI document: what FastAPI writes, and what it cannot know.

`python -m riptide.api.openapi` writes that of RipTide's own commands to docs/openapi.json; with `--check` it
only says whether that is current, and exits 1 if not.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema

from commands import Command
from riptide.api.access.caller import PERMISSIONS
from riptide.api.documented import ALWAYS, problem
from riptide.api.permits import permission_of

_REF = "#/components/schemas/{model}"
_SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"key": []}]
_SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key (`rt_…`), or a token of the identity provider.",
    },
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key (`rt_…`)."},
}
_PROBLEM = {
    "type": "object",
    "title": "Problem",
    "description": "A refusal (RFC 9457). `type` is stable; docs/http-api.md lists them all.",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string", "examples": ["urn:riptide:problem:unknown-tenant"]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}


def document(app: FastAPI, models: Iterable[type[Command]], plans: Iterable[str]) -> dict[str, Any]:
    """`models` are the commands that can be published, `plans` those that tenants can have."""
    found = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        separate_input_output_schemas=False,
    )
    schemas = found["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    _, bodies = models_json_schema([(model, "validation") for model in models], ref_template=_REF)
    schemas |= bodies["$defs"]
    schemas["Problem"] = _PROBLEM
    _name_plans(schemas, sorted(plans))
    found["components"]["securitySchemes"] = _SCHEMES
    found["security"] = _SECURITY
    for operation, route in _operations(app, found["paths"]):
        _complete(operation, permission_of(route))
    return found


def endpoints(app: FastAPI) -> Iterator[tuple[str, APIRoute]]:
    """Every method of every endpoint, also of those that stand in no document."""
    for route in app.routes:
        if isinstance(route, APIRoute):
            for method in sorted(route.methods or ()):
                yield method, route


def _operations(app: FastAPI, paths: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], APIRoute]]:
    for method, route in endpoints(app):
        if route.include_in_schema:
            yield paths[route.path_format][method.lower()], route


def _complete(operation: dict[str, Any], permission: str | None) -> None:
    responses = operation["responses"]
    if "HTTPValidationError" in str(responses.get("422")):
        del responses["422"]  # FastAPI's own form
    for status in ALWAYS:
        if permission is not None or status not in {401, 403}:
            responses.setdefault(str(status), problem(status))
    operation["responses"] = dict(sorted(responses.items()))
    if permission is None:
        operation["security"] = []
        return
    operation["security"] = _SECURITY
    operation["x-permission"] = permission
    roles = ", ".join(sorted(PERMISSIONS[permission]))
    operation["description"] = f"{operation.get('description', '')}\n\nNeeds `{permission}`: {roles}.".strip()


def _name_plans(schemas: dict[str, Any], plans: list[str]) -> None:
    schemas["NewTenant"]["properties"]["billing_plan"]["enum"] = plans
    change = schemas["TenantChange"]["properties"]["billing_plan"]
    change["anyOf"] = [{"type": "string", "enum": plans}, {"type": "null"}]


def main() -> int:
    """Write the document, or check it."""
    from riptide.api.app import create_app
    from riptide.config import Settings

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if it is not current")
    parser.add_argument("path", nargs="?", type=Path, default=Path("docs/openapi.json"))
    chosen = parser.parse_args()
    text = json.dumps(create_app(Settings()).openapi(), indent=1, ensure_ascii=False) + "\n"
    if not chosen.check:
        chosen.path.write_text(text, encoding="utf-8")
    elif not chosen.path.is_file() or chosen.path.read_text(encoding="utf-8") != text:
        sys.stderr.write(f"{chosen.path} is not current: run python -m riptide.api.openapi\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
