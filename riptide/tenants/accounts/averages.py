"""Averages that figures show."""


def average_ms(microseconds: int, count: int) -> float:
    return round(microseconds / 1000 / count, 3) if count else 0.0
