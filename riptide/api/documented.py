"""What each endpoint may answer, as the OpenAPI document tells it."""

from typing import Any

from riptide.api.models import CommandState
from riptide.api.problems import MEDIA_TYPE

Responses = dict[int | str, dict[str, Any]]
#: Where the schema of a problem stands in the document.
PROBLEM = "#/components/schemas/Problem"

_MEANINGS = {
    400: "The request cannot be read.",
    401: "There is no key or token, or it is not valid.",
    403: "The key does not allow this, or the tenant is not active.",
    404: "There is no such thing.",
    405: "The endpoint has no such method; `Allow` names those that it has.",
    408: "The request took too long to arrive.",
    409: "What there is already does not allow it.",
    412: "It was changed meanwhile.",
    413: "The body is too large.",
    414: "Path and query are too long.",
    415: "The body is not JSON, or does not say so.",
    422: "What was sent cannot work; the answer says what is wrong where.",
    429: "A quota is used up, or too many tries failed; `Retry-After` says when to come again.",
    431: "The headers are too large.",
    500: "A defect of the service.",
    503: "The server behind it cannot be reached or refuses, or too much is asked; `Retry-After` says when "
    "to come again.",
    504: "There was no answer in time.",
}
#: What any endpoint may answer.
ALWAYS = (400, 401, 403, 408, 413, 414, 422, 429, 431, 500, 503, 504)

_TEXT = {"schema": {"type": "string"}}
LOCATED = {"Location": {"description": "Where it is.", **_TEXT}}
ETAGGED = {"ETag": {"description": "The tenant's entity tag.", **_TEXT}}


def problem(status: int) -> dict[str, Any]:
    content = {MEDIA_TYPE: {"schema": {"$ref": PROBLEM}}}
    return {"description": _MEANINGS[status], "content": content}


def answers(*statuses: int, also: Responses | None = None) -> Responses:
    """Problems with `statuses`, besides those of ALWAYS; `also` what is no problem."""
    return {status: problem(status) for status in statuses} | (also or {})


#: Of what publishes a command.
COMMAND = answers(
    404,
    409,
    415,
    also={
        200: {
            "model": CommandState,
            "description": "It has ended; asked with `?wait=`.",
            "headers": LOCATED,
        },
        202: {"headers": LOCATED},
    },
)
#: What an endpoint that publishes a command is declared with.
PUBLISHED: dict[str, Any] = {"status_code": 202, "response_model": CommandState, "responses": COMMAND}
