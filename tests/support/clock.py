"""A clock that stands still unless a test moves it."""


class StillClock:
    """`seconds` is what it says, in seconds and in milliseconds."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds

    def now_ms(self) -> int:
        return int(self.seconds * 1000)

    def monotonic(self) -> float:
        return self.seconds
