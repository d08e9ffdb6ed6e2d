"""Amounts of money: whole millionths of a currency's unit inside, hundredths for people."""

import re
from decimal import Decimal

from riptide.errors import InvalidInput
from riptide.tenants.plans import MICROS

_HUNDREDTH = MICROS // 100
_MOST = 10**15
_WRITTEN = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?")


def money(micros: int) -> str:
    """An amount as people write it: `-1,234.50`. Amounts on invoices are whole hundredths."""
    sign, whole = "-" if micros < 0 else "", abs(micros)
    return f"{sign}{whole // MICROS:,}.{whole % MICROS // _HUNDREDTH:02}"


def micros_of(amount: Decimal | str) -> int:
    """What `12.50` is in millionths. Raises InvalidInput unless it is above 0, in whole hundredths."""
    known = isinstance(amount, Decimal) or (isinstance(amount, str) and _WRITTEN.fullmatch(amount))
    micros = Decimal(amount) * MICROS if known else Decimal("NaN")
    if not micros.is_finite() or not 0 < micros <= _MOST or micros % _HUNDREDTH:
        raise InvalidInput(
            f"an amount is above 0, with two decimals at most, as in '12.50'; not {repr(amount)[:80]}"
        )
    return int(micros)
