"""Carries out `notify`: a signed notice, posted to the configured webhook.

A receiver may get one twice, after a crash between its answer and ours: `RipTide-Delivery` tells it.
"""

from collections.abc import Sequence

import httpx

from riptide.errors import Retry, RiptideError, Skip
from riptide.reads.context import Context
from riptide.reads.webhooks.delivery import request_of
from riptide.streams.job import Job

#: So that a receiver that is away for some minutes misses nothing: 10 s, 40 s, 160 s, ..., as far as
#: workers.retry_cap_seconds goes.
_FIRST_DELAY, _GROWTH = 10.0, 4.0


async def handle(batch: Sequence[Job], ctx: Context) -> None:
    for job in batch:
        try:
            await _post(job, ctx)
        except httpx.HTTPError as error:
            job.fail(_again(job, ctx, f"the receiver did not answer: {type(error).__name__}"))
        except Exception as error:  # noqa: BLE001 - the runtime decides by its kind
            job.fail(error)


async def _post(job: Job, ctx: Context) -> None:
    webhooks = ctx.settings.webhooks
    if webhooks.url is None:
        raise Skip("webhooks.url is not set")
    if webhooks.secret is None:
        raise RiptideError("webhooks.secret is not set here (WEBHOOKS_SECRET), and nothing is sent unsigned")
    asked = request_of(job, webhooks.secret.get_secret_value())
    # Straight there: no proxy or login of the environment, no redirect to where nobody meant it to go.
    async with (
        httpx.AsyncClient(
            timeout=webhooks.timeout_seconds, trust_env=False, follow_redirects=False
        ) as client,
        client.stream("POST", webhooks.url, content=asked.body, headers=asked.headers) as answer,
    ):
        if not answer.is_success:
            raise _again(job, ctx, f"the receiver answered {answer.status_code}")


def _again(job: Job, ctx: Context, why: str) -> Retry:
    most = ctx.settings.workers.retry_cap_seconds
    return Retry(why, delay=min(most, _FIRST_DELAY * _GROWTH ** (job.attempt - 1)))
