"""Every error RipTide raises on purpose. Each says whose fault it is and what to do."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from riptide.streams.attempt import Attempt


class RiptideError(Exception):
    """Root of all errors raised on purpose."""


class ConfigError(RiptideError):
    """The configuration is wrong; the message names file and line, or variable, and what would be right."""


class InvalidInput(RiptideError, ValueError):
    """The caller passed something that can never work; nothing was sent."""


class EntryTooLarge(InvalidInput):
    """A cache value exceeds `cache.max_entry_size_bytes`."""


class WriteBehindFull(RiptideError):
    """The write-behind buffer is full and the caller did not want to wait; nothing was buffered."""


class UnknownCommand(InvalidInput):
    """No command of that type is registered here."""


class ServerUnavailable(RiptideError):
    """Redis could not be reached, or did not answer in time, after all retries.

    `maybe_done` is False if nothing was sent, so that nothing can have been carried out.
    """

    def __init__(self, message: str, *, maybe_done: bool = True) -> None:
        super().__init__(message)
        self.maybe_done = maybe_done


class PersistenceOff(ServerUnavailable):
    """`enable_persistence` is off: no server is used, and nothing was done."""

    def __init__(self, message: str) -> None:
        super().__init__(message, maybe_done=False)


class ServerRefused(RiptideError):
    """The server answered a command with an error, for example that it is out of memory or that an ACL
    forbids it.

    `maybe_done` is True if an earlier try got no answer, so that that one may have been carried out.
    """

    def __init__(self, message: str, *, maybe_done: bool = False) -> None:
        super().__init__(message)
        self.maybe_done = maybe_done


class PublishRefused(ServerRefused):
    """The server refused the command; it was not published."""


class BacklogFull(PublishRefused):
    """The backlog of the command's type has reached `streams.max_backlog`; it was not published."""


class PublishUnknown(ServerUnavailable):
    """The answer was lost, or part of the answers: the commands may or may not be in their streams.

    Where nothing was sent, the error is a plain ServerUnavailable, and publishing anew is safe.

    Pass the error to `rt.publish_again(error)`: it repeats the very same attempt, and what was already
    accepted is not published twice.
    """

    def __init__(self, message: str, attempt: "Attempt") -> None:
        super().__init__(message)
        self.attempt = attempt


class BlobError(RiptideError):
    """The blob store could not do what was asked; the message names store and blob."""


class BlobNotFound(BlobError):
    """There is no blob of that name."""


class Damaged(RiptideError):
    """What was stored cannot be trusted: its checksum is wrong, or part of it is missing. Nothing of it is
    used."""


class LoaderError(RiptideError):
    """A loader could not produce the value."""


class LoaderRefused(LoaderError):
    """The loader must not fetch this: the address, the scheme or the size is not allowed."""


class LoaderNotFound(LoaderError):
    """The origin says that there is no such value."""


class MultiTenancyDisabled(RiptideError):
    """`tenant.enabled` is off: everything belongs to the tenant 'default', and there are no others."""


class UnknownTenant(RiptideError):
    """There is no tenant of that id."""


class TenantExists(RiptideError):
    """There is a tenant of that id already, or somebody is just creating it."""


class TooManyTenants(RiptideError):
    """There are as many tenants as `tenant.max_tenants` allows; none was created."""


class TenantNotActive(RiptideError):
    """The tenant is suspended, disabled or not yet made, so this cannot be done.

    `status` is pending, suspended or disabled; `why` the reason that was given, if one was.
    """

    def __init__(self, message: str, *, status: str, why: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.why = why


class TenantChanged(RiptideError):
    """The tenant's record has another revision than the caller expected; nothing was changed."""


class QuotaExceeded(RiptideError):
    """The tenant may not use so much of a resource; nothing was used.

    `limit` and `remaining` are in the resource's unit; `retry_after` says in how many seconds it can be tried
    again (None: not before something is given back). `violated` names all resources that were exceeded,
    `resource` the first of them.
    """

    def __init__(
        self,
        message: str,
        *,
        tenant: str,
        resource: str,
        limit: int,
        remaining: int,
        retry_after: float | None = None,
        violated: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.tenant = tenant
        self.resource = resource
        self.limit = limit
        self.remaining = remaining
        self.retry_after = retry_after
        self.violated = violated or (resource,)


class KeyUnavailable(RiptideError):
    """What is encrypted cannot be read or written: its key, or the master key that wraps it, is not here."""


class KeyDestroyed(KeyUnavailable):
    """It was destroyed, or is in another blob store: nothing that it encrypted can be read."""


class Retry(RiptideError):
    """A handler raises this to be run again, after `delay` seconds or by the configured backoff."""

    def __init__(
        self, reason: str = "the handler asked to be run again", *, delay: float | None = None
    ) -> None:
        super().__init__(reason)
        self.delay = delay


class Dead(RiptideError):
    """A handler raises this when no further try can help: the command goes to the dead letters.

    `reason` says there in one word why.
    """

    def __init__(self, *args: object, reason: str = "refused") -> None:
        super().__init__(*args)
        self.reason = reason


class Skip(RiptideError):
    """A handler raises this when there is nothing to do any more: the command ends as skipped."""


class Stopped(RiptideError):
    """Something long was told to stop before its end."""
