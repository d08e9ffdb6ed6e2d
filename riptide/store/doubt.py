"""Whether an operation that ended with an error may have been carried out all the same.

A connection knows: it may have sent the operation and lost the answer, at the last try or at an earlier one.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import redis

_MARK = "maybe_done"
#: Answers, though redis-py derives some of them from its ConnectionError: the operation was refused.
_REFUSALS = (redis.ResponseError, redis.AuthenticationError)


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
