"""Make cached entries invalid."""

from typing import Annotated, ClassVar, Self

from pydantic import ConfigDict, Field, model_validator

from commands._base import Command
from commands._fields import Keys, Namespace
from riptide.names import DEFAULT_NAMESPACE


class Invalidate(Command):
    """Make entries of a tenant invalid: by key, by tag, a whole namespace, or all there is.

    What to invalidate is always said: an empty list is refused, and a namespace goes as a whole only if
    it is named. So a producer with nothing to invalidate cannot clear a cache.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {"required": ["all"], "properties": {"all": {"const": True}}, "maxProperties": 1},
                {
                    "anyOf": [{"required": ["keys"]}, {"required": ["tags"]}, {"required": ["namespace"]}],
                    "properties": {"all": {"const": False}},
                },
            ]
        },
    )

    type: ClassVar[str] = "invalidate"

    namespace: Annotated[
        Namespace, Field(description="Where the keys and tags belong; alone, it is invalidated as a whole.")
    ] = DEFAULT_NAMESPACE
    keys: Annotated[Keys, Field(description="Entries to invalidate.")] = ()
    tags: Annotated[Keys, Field(description="Tags whose entries to invalidate.")] = ()
    all: Annotated[bool, Field(description="Invalidate everything of the tenant.")] = False

    @property
    def whole_namespace(self) -> bool:
        """Neither keys nor tags nor everything: the namespace."""
        return not (self.keys or self.tags or self.all)

    @model_validator(mode="after")
    def _says_what(self) -> Self:
        named: set[str] = self.model_fields_set - {"all"}
        if self.all and named:
            raise ValueError("all stands alone: leave out namespace, keys and tags")
        if not self.all and not named:
            raise ValueError("name keys, tags, a namespace, or all")
        return self
