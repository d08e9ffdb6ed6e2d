"""Load entries into the cache before anybody asks for them."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from commands._base import Command
from commands._fields import Keys, Name, Namespace


class Warm(Command):
    """Load entries of a namespace through a loader: the given keys, or those that a source names.

    An entry that is there already is left alone, unless `refresh` says otherwise.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {
                    "required": ["keys"],
                    "properties": {"source": {"type": "null"}, "every_tenant": {"const": False}},
                },
                {
                    "required": ["source"],
                    "properties": {"source": {"type": "string"}},
                    "not": {"required": ["keys"]},
                },
            ]
        },
    )

    type: ClassVar[str] = "warm"

    namespace: Annotated[
        Namespace | None,
        Field(
            description="Where the entries belong; left out, default, or for popular keys wherever they are."
        ),
    ] = None
    keys: Annotated[Keys, Field(description="The entries to load.")] = ()
    source: Annotated[
        Literal["list", "popular", "access_log", "all"] | None,
        Field(
            description="Where the keys come from: the tenant's list or the configured one, what is read "
            "most, the configured access logs, or all of these: first the list, then the best of the others."
        ),
    ] = None
    every_tenant: Annotated[
        bool,
        Field(description="Have the same done for every other active tenant, each by a command of its own."),
    ] = False
    top: Annotated[
        int, Field(ge=1, le=1_000_000, description="How many keys to take from the source, the best first.")
    ] = 1000
    loader: Annotated[
        Name | None, Field(description="A registered loader's name; left out, the namespace's own.")
    ] = None
    ttl: Annotated[
        int | None,
        Field(
            ge=1, le=315_360_000, description="Life of the entries in seconds; left out, the configured one."
        ),
    ] = None
    refresh: Annotated[bool, Field(description="Load again what is there already.")] = False

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if bool(self.keys) == bool(self.source):
            raise ValueError("either keys or a source is needed")
        if self.every_tenant and not self.source:
            raise ValueError("what every tenant is to have needs a source")
        return self
