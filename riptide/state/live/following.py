"""A process that follows the deployment's configuration: whenever it hears of another version it takes it
over, whole or not at all."""

from collections.abc import Callable, Mapping

from riptide.config.document import resolve
from riptide.config.live import Live
from riptide.errors import ConfigError
from riptide.logger import get_logger
from riptide.metrics.instruments import RELOADS
from riptide.state.live.versions import Version, Versions
from riptide.store.operation import Flow, ask
from riptide.tenants.plans import Plans, parse_plans


class Following:
    """`environ` is what this process puts in for `${VAR}`, and what wins over every version. `renew_plans` is
    told of the plans of a version that has some."""

    def __init__(
        self,
        live: Live,
        versions: Versions,
        environ: Mapping[str, str],
        renew_plans: Callable[[Plans], None],
    ) -> None:
        self._live, self._versions, self._environ = live, versions, environ
        self._renew_plans = renew_plans
        self._refused = ""
        self._log = get_logger("riptide.config")

    @property
    def version(self) -> str:
        return self._live.version

    def hear(self, version: str) -> Flow[None]:
        """The current version is `version`: take it over if it is another than this process has.

        One that cannot be used here changes nothing, and is logged once.
        """
        if not version or version in {self._live.version, self._refused}:
            return
        found = yield from ask(self._versions.current())
        if found is not None and found.id not in {self._live.version, self._refused}:
            self._take(found)

    def _take(self, found: Version) -> None:
        source = f"version {found.number} of the configuration"
        written = found.document.plans
        try:
            wanted = resolve(found.document, source, self._environ)
            plans = None if written is None else parse_plans(written, source)
        except ConfigError as error:
            self._refused = found.id
            RELOADS.add("refused")
            self._log.error(
                "this configuration cannot be used here; the old one stays",
                version=found.id,
                error=str(error),
            )
            return
        if plans is not None:
            self._renew_plans(plans)
        done = self._live.switch(wanted, found.id, self._failed)
        self._refused = ""
        RELOADS.add("switched")
        self._log.info("configuration switched", version=found.id, changed=list(done.changed))
        if done.restart:
            self._log.warning(
                "these settings are taken over at the next restart, from this process's own file",
                version=found.id,
                settings=list(done.restart),
            )

    def _failed(self, error: Exception) -> None:
        self._log.error("what on_change was given failed", error=str(error), exc_info=error)
