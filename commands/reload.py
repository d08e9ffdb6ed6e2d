"""Switch the configuration everywhere."""

from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from commands._base import Command


class Reload(Command):
    """Validate a configuration, then switch to it in every process. The last one accepted wins."""

    type: ClassVar[str] = "reload"
    administrative: ClassVar[bool] = True
    tenant_required: ClassVar[bool] = False

    blob: Annotated[str, Field(min_length=1, max_length=1024, description="Where the blob store holds it.")]
    content_hash: Annotated[
        str,
        StringConstraints(pattern=r"^[0-9a-f]{64}$"),
        Field(description="SHA-256 of its bytes, in hex; anything else found there is refused."),
    ]
    origin: Annotated[
        str | None,
        Field(
            min_length=1, max_length=500, description="Where it comes from: `host:/file`, or who wants it."
        ),
    ] = None
