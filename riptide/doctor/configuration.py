"""Checks of the configuration, and of tenants."""

from collections import Counter
from collections.abc import Sequence

from riptide.doctor.facts import Facts
from riptide.doctor.finding import Check, Finding, fail, few, ok, problems_or, skipped, warn
from riptide.errors import ConfigError
from riptide.reads.checking import check_usable
from riptide.streams.registry import load_models
from riptide.tenants.accounts.unrecorded import met
from riptide.tenants.keyring.master import load_master_keys
from riptide.tenants.plans import load_plans

_PAGE, _MOST_TENANTS = 1000, 20_000


def file(facts: Facts) -> Sequence[Finding]:
    settings, problems = facts.loaded.settings, []
    for read in (
        lambda: check_usable(load_models(settings.workers.modules), settings),
        lambda: load_plans(settings.tenant.plans_file),
        lambda: load_master_keys(settings.security),
    ):
        try:
            read()
        except ConfigError as error:
            problems.append(fail(str(error), "mend it, and try with 'riptide config check'"))
    problems += [warn(notice, "take it out, or write what it says") for notice in facts.loaded.notices]
    where = (
        f"{facts.loaded.path} is valid" if facts.loaded.path else "no file: all is default or from variables"
    )
    return problems_or(problems, where)


def version(facts: Facts) -> Sequence[Finding]:
    parts = facts.parts
    history = facts.store.run(parts.configuration.history())
    if not history.current:
        return [ok("no version yet: every process has what its own file says")]
    problems = []
    if facts.loaded.path is not None and facts.settings.state.enable_hot_reload:
        apart = facts.store.drive(parts.configuration.apply_diff(facts.loaded.path))
        if apart:
            problems.append(
                warn(
                    f"{facts.loaded.path} is not what runs (version {history.current}): "
                    + few([one.path for one in apart]),
                    "riptide config apply, or see 'riptide config apply --dry-run' first",
                )
            )
    if history.refused is not None:
        problems.append(
            warn(
                f"what {history.refused.origin} offered last was refused: {history.refused.why}",
                "riptide config history",
            )
        )
    others = Counter(one.config or "its own file" for one in [*facts.workers, *facts.services])
    others.pop(history.current, None)
    if others:
        shown = few([f"{count} with {which}" for which, count in others.items()])
        problems.append(
            warn(
                f"processes without version {history.current}: {shown}",
                "wait a few seconds; else read their logs, and restart them ('riptide workers' names them)",
            )
        )
    return problems_or(problems, f"all have version {history.current}")


def tenants(facts: Facts) -> Sequence[Finding]:
    settings = facts.settings.tenant
    if not settings.enabled:
        return [skipped("tenant.enabled is off")]
    registry, problems = facts.parts.registry, []
    plans = set(registry.plans.plans)
    lost: list[str] = []
    pending: list[str] = []
    after, count = None, 0
    while count < _MOST_TENANTS and facts.seconds_left > 1:
        page = facts.store.drive(registry.page(after, _PAGE))
        count += len(page.tenants)
        lost += [one.id for one in page.tenants if one.plan and one.plan not in plans]
        pending += [one.id for one in page.tenants if one.status == "pending"]
        if (after := page.cursor) is None:
            break
    if lost:
        problems.append(
            warn(
                f"{len(lost):,} tenants have a plan that {settings.plans_file} lacks: {few(lost)}",
                "riptide tenant update <id> --plan <plan>, or put the plan back into the file",
            )
        )
    if pending:
        problems.append(
            warn(
                f"{len(pending):,} tenants were begun and not finished: {few(pending)}",
                "create them again: riptide tenant create <id>",
            )
        )
    if settings.isolation_level == "logical" and (names := facts.store.drive(met(facts.keys))):
        problems.append(
            warn(
                f"{len(names):,} tenants hold entries and have no record: {few(names)}",
                "riptide tenant create <id>: without one they have the deployment's quotas and no invoice",
            )
        )
    return problems_or(problems, f"{count:,} tenants, each with its record and plan")


CHECKS = (
    Check(
        "config.file",
        "whether this host's configuration, plans and master key can be used, and settings without effect",
        "A process that is started now fails, or does not do what the file seems to say.",
        file,
        needs_server=False,
    ),
    Check(
        "config.version",
        "whether this file, and every process, has the deployment's version",
        "Processes that differ treat the same tenant differently.",
        version,
    ),
    Check(
        "tenants.records",
        "tenants without a record, without a plan, or begun and not finished",
        "Their quotas and invoices are not what somebody thinks.",
        tenants,
    ),
)
