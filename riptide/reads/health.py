"""How everything stands that a process needs: a stand-in."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from riptide.errors import RiptideError
from riptide.reads.aio_client import AsyncRipTide

State = Literal["ok", "degraded", "down"]


@dataclass(frozen=True, slots=True)
class Component:
    """`says` how it stands; `advice` what to do, where something is to be done; `facts` are figures."""

    state: State
    says: str
    advice: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Health:
    state: State
    components: Mapping[str, Component]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


async def health(rt: AsyncRipTide) -> Health:
    """Raises nothing."""
    try:
        members = await rt.workers()
    except RiptideError as error:
        return Health("down", {"server": Component("down", str(error))})
    return Health("ok", {"server": Component("ok", "the server answers", facts={"workers": len(members)})})
