"""Tell the configured webhook of something."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from commands._base import Command
from commands._fields import Amount, Moment, Name


class Notify(Command):
    """Post a signed notice to `webhooks.url`, about the entry's tenant or, without one, about the deployment.

    `quota` tells the `resource`, the `level` that was reached and the `share` that is used, in percent of the
    limit; `suspended` tells `why`; `dead_letters` of which `kind` of command how many (`count`) there are.
    """

    type: ClassVar[str] = "notify"
    administrative: ClassVar[bool] = True
    tenant_required: ClassVar[bool] = False

    event: Annotated[Literal["quota", "suspended", "dead_letters"], Field(description="What happened.")]
    at: Annotated[Moment, Field(description="When that was seen.")]
    resource: Annotated[Name | None, Field(description="Of which resource the quota is.")] = None
    level: Annotated[int | None, Field(ge=0, le=100, description="80 or 100, percent of the limit.")] = None
    share: Annotated[
        int | None, Field(ge=0, le=2**50, description="What is used, in percent of the limit.")
    ] = None
    kind: Annotated[Name | None, Field(description="Type of the dead letters.")] = None
    count: Annotated[Amount | None, Field(description="How many of them there are.")] = None
    why: Annotated[str, Field(max_length=1000, description="Why the tenant is suspended.")] = ""
