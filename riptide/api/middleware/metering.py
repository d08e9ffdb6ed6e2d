"""What a response used. An operation is a response whose last piece was handed to the server; bytes count as
they are handed over, and time until the end, also of a response that breaks off."""

from time import perf_counter
from typing import TYPE_CHECKING, Any

from riptide.api.middleware.context import DEFAULT_OPERATION, TenantRequest
from riptide.errors import InvalidInput
from riptide.logger import get_logger

if TYPE_CHECKING:
    from riptide.api.middleware.admission import Admission

_log = get_logger("riptide.middleware")


class Meter:
    """Of one response."""

    __slots__ = ("_counts", "_open", "_request", "_rt", "_started")

    def __init__(self, admission: "Admission", request: TenantRequest) -> None:
        self._rt: Any = request.rt
        self._request, self._counts, self._open = request, admission.counts, True
        self._started = perf_counter()

    def add(self, size: int) -> None:
        """A piece that is not the last one."""
        if size:
            self._note(0, size, 0.0)

    def complete(self, size: int = 0, *, timed: bool = True) -> None:
        """The last piece."""
        if self._open:
            self._open = False
            self._note(1, size, (perf_counter() - self._started) * 1000 if timed else 0.0)

    def end(self) -> None:
        """Nothing more comes. Unless it was complete, it is no operation."""
        if self._open:
            self._open = False
            self._note(0, 0, (perf_counter() - self._started) * 1000)

    def _note(self, operations: int, size: int, milliseconds: float) -> None:
        if not self._counts:
            return
        request, rt = self._request, self._rt
        try:
            rt.usage.note(
                request.tenant,
                request.operation,
                operation_count=operations,
                data_bytes=size,
                compute_ms=milliseconds,
            )
        except InvalidInput as error:  # the response is on its way: it is counted all the same
            _log.error("operation_not_valid", error=str(error), counted_as=DEFAULT_OPERATION)
            request.operation = DEFAULT_OPERATION
            self._note(operations, size, milliseconds)
            return
        if size:
            rt.quotas.charge(request.tenant, size)
