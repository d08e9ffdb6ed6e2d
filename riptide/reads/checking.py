"""What a configuration must be besides valid: no worker could start with it otherwise."""

from collections.abc import Mapping

from commands import Command
from riptide.cache.loaders.allowlist import HostList
from riptide.config import Settings
from riptide.errors import ConfigError, InvalidInput
from riptide.streams.schedule.entries import entries


def check_usable(models: Mapping[str, type[Command]], settings: Settings) -> None:
    """Raise ConfigError for schedules and hosts that cannot be meant. `models` are the commands known here:
    no configuration that arrives brings code along."""
    entries(settings, models)
    try:
        HostList.parse(settings.cache.loader_allowed_hosts)
    except InvalidInput as error:
        raise ConfigError(f"cache.loader_allowed_hosts: {error}") from error
