"""Invoices and credit notes: written once, never changed."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from riptide.tenants.billing.computing import Line
from riptide.tenants.billing.terms import Term
from riptide.tenants.plans import Metric


class Late(BaseModel):
    """Usage of an earlier `month` that was recorded after `generation` invoices had billed it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    month: str
    generation: Annotated[int, Field(ge=1)]
    usage: dict[Metric, int]


class Invoice(BaseModel):
    """What a tenant owes for a month. Money is in millionths of the currency's unit.

    `usage` is that of the month; `late` what earlier months got since they had been billed. `terms` are the
    plans it was computed by, as they were then. A credit note takes `total_micros`, below zero, off the
    invoice whose number it `credits`, for a `reason`; `reference` is what its writer knows it by, and `nonce`
    tells it from another one like it. An estimate is no invoice yet.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["invoice", "credit_note", "estimate"] = "invoice"
    number: str
    tenant: str
    month: str
    currency: str
    issued_ms: int
    lines: tuple[Line, ...] = ()
    total_micros: int
    usage: dict[Metric, int] = Field(default_factory=dict)
    late: tuple[Late, ...] = ()
    terms: tuple[Term, ...] = ()
    credits: str | None = None
    reason: str | None = None
    reference: str | None = None
    nonce: str | None = None
