"""Whether an operation that ended with an error may have been carried out all the same.

A connection knows: it may have sent the operation and lost the answer, at the last try or at an earlier one.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import redis
from redis.asyncio.sentinel import MasterNotFoundError as AsyncMasterNotFoundError
from redis.sentinel import MasterNotFoundError

_MARK = "maybe_done"
#: Answers, though redis-py derives some of them from its ConnectionError: the operation was refused.
_REFUSALS = (redis.ResponseError, redis.AuthenticationError)


class NotTried(redis.ConnectionError):
    """No try was made, so that it tells nothing of the server."""


def judge(error: Exception, *, sent: bool, before: bool) -> bool:
    """Note with `error` whether the operation may have been carried out, and answer it.

    `sent` tells whether the try that ended with `error` had sent it; `before` whether it may have been
    carried out before.
    """
    judgement = before or (sent and not isinstance(error, _REFUSALS))
    setattr(error, _MARK, judgement)
    return judgement


def maybe_done(error: Exception) -> bool:
    """Whether the operation may have been carried out."""
    return bool(getattr(error, _MARK, not isinstance(error, _REFUSALS)))


def unsent(error: redis.RedisError) -> redis.RedisError:
    """`error`, noted as one that came before the operation was sent."""
    judge(error, sent=False, before=False)
    return error


@contextmanager
def nothing_sent() -> Iterator[None]:
    """What fails in here fails before the operation is sent."""
    try:
        yield
    except redis.RedisError as error:
        unsent(error)
        raise


def cause_of(error: BaseException) -> str:
    """What redis-py's error says, in short. Its texts name host and port, never a password."""
    cause = str(error).rstrip(".") or type(error).__name__
    if isinstance(error, (MasterNotFoundError, AsyncMasterNotFoundError)):
        cause = cause.partition(" : ")[0] + " by any Sentinel"  # then come the clients, at length
    return cause
