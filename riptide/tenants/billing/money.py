"""Amounts of money: whole millionths of a currency's unit inside, hundredths for people."""

from decimal import Decimal, InvalidOperation

from riptide.errors import InvalidInput
from riptide.tenants.plans import MICROS

_HUNDREDTH = MICROS // 100
_MOST = 10**15


def money(micros: int) -> str:
    """An amount as people write it: `-1,234.50`. Amounts on invoices are whole hundredths."""
    sign, whole = "-" if micros < 0 else "", abs(micros)
    return f"{sign}{whole // MICROS:,}.{whole % MICROS // _HUNDREDTH:02}"


def micros_of(amount: Decimal | str) -> int:
    """What `12.50` is in millionths. Raises InvalidInput unless it is above 0, in whole hundredths."""
    try:
        micros = Decimal(amount) * MICROS if isinstance(amount, Decimal | str) else Decimal("NaN")
    except InvalidOperation:
        micros = Decimal("NaN")
    if not micros.is_finite() or not 0 < micros <= _MOST or micros % _HUNDREDTH:
        raise InvalidInput(
            f"an amount is above 0, with two decimals at most, as in '12.50'; not {repr(amount)[:80]}"
        )
    return int(micros)
