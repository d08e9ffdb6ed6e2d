"""The plans that tenants can have: what they cost and what they allow. Data, in config/plans.yml.

Money is in millionths of the currency's unit, whole numbers: no float ever stands for a price.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from riptide.config.given import Given, Problem
from riptide.config.values import Bytes, Section
from riptide.config.yaml_file import YamlFile
from riptide.errors import ConfigError, InvalidInput
from riptide.tenants.resources import MOST, UNLIMITED, check_resource

MICROS = 1_000_000
_MONEY = re.compile(r"[0-9]{1,9}(\.[0-9]{1,6})?", re.ASCII)
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}\Z", re.ASCII)

Metric = Literal["operations", "data_bytes", "compute_ms", "storage_byte_hours"]


def _micros(value: Any) -> Any:
    if isinstance(value, str):
        if not _MONEY.fullmatch(value):
            raise ValueError('write an amount with at most six decimals, as in "49.00"')
        return int(Decimal(value) * MICROS)
    return value


def _limit(value: Any) -> Any:
    return UNLIMITED if value == "unlimited" else value


def _resources(value: dict[str, int]) -> dict[str, int]:
    for resource in value:
        try:
            check_resource(resource)
        except InvalidInput as error:
            raise ValueError(str(error)) from None
    return value


Money = Annotated[int, Field(ge=0, le=10**15), BeforeValidator(_micros)]
Amount = Annotated[Bytes, Field(ge=0, le=MOST)]
Limit = Annotated[Bytes, Field(ge=UNLIMITED, le=MOST), BeforeValidator(_limit)]


class Tier(Section):
    """`price` for each `per` units begun, of those above what is included and up to `up_to` of them."""

    price: Money
    per: Annotated[Bytes, Field(ge=1, le=MOST)] = 1
    up_to: Annotated[Bytes, Field(ge=1, le=MOST)] | None = None


def _tiers(value: tuple[Tier, ...]) -> tuple[Tier, ...]:
    bounds = [tier.up_to for tier in value]
    steps = [bound for bound in bounds[:-1] if bound is not None]
    if not bounds or bounds[-1] is not None or len(steps) < len(bounds) - 1:
        raise ValueError("every tier but the last needs an up_to, and the last has none")
    if sorted(set(steps)) != steps:
        raise ValueError("up_to must grow from tier to tier")
    return value


class Plan(Section):
    """One plan. `base_fee` is for a month; `quotas` are limits by resource, -1: unlimited."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    base_fee: Money
    included: dict[Metric, Amount] = Field(default_factory=dict)
    overage: dict[Metric, Annotated[tuple[Tier, ...], AfterValidator(_tiers)]] = Field(default_factory=dict)
    quotas: Annotated[dict[str, Limit], AfterValidator(_resources)] = Field(default_factory=dict)


class Plans(Section):
    """All plans by name."""

    plans: Annotated[dict[str, Plan], Field(min_length=1)]

    @model_validator(mode="after")
    def _named(self) -> Self:
        for name in self.plans:
            if not _NAME.match(name):
                raise ValueError(f"{name[:80]!r} is no name of a plan: 1 to 63 of a-z, 0-9, '_' and '-'")
        return self

    def plan(self, name: str) -> Plan:
        """Raises InvalidInput if there is none of that name."""
        if isinstance(name, str) and name in self.plans:
            return self.plans[name]
        raise InvalidInput(f"there is no plan {repr(name)[:80]}; known are {', '.join(self.plans)}")


def load_plans(path: str) -> Plans:
    """Read the plans of a file, or RipTide's own where the default file is not there.

    Raises ConfigError with all that is wrong, a line each.
    """
    if is_missing(path):
        with resources.as_file(resources.files("riptide.tenants").joinpath("plans.yml")) as own:
            return _read(own, None)
    return _read(Path(path), None)


DEFAULT_PATH = "config/plans.yml"


def is_missing(path: str) -> bool:
    """Whether RipTide's own plans stand in for the file."""
    return path == DEFAULT_PATH and not Path(path).is_file()


def written_plans(path: Path, data: bytes | None = None) -> dict[str, Any]:
    """What a file of plans says, as it is written; `data` is what it holds where that has been read.

    Raises ConfigError as `load_plans` does.
    """
    _read(path, data)
    return {one.name: one.value for one in YamlFile(path, {}, data).read()}


def parse_plans(given: Mapping[str, Any], source: str) -> Plans:
    """Read what `written_plans` gave; raise ConfigError, which says that it is from `source`."""
    try:
        return Plans.model_validate(given)
    except ValidationError as errors:
        wrong = errors.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, wrong["loc"]))
        raise ConfigError(f"the plans of {source}: {where}: {wrong['msg']}") from None


def _read(path: Path, data: bytes | None) -> Plans:
    file = YamlFile(path, {}, data)
    given = {one.name: one for one in file.read()}
    problems = list(file.problems)
    if not problems:
        try:
            return Plans.model_validate({name: one.value for name, one in given.items()})
        except ValidationError as errors:
            found = errors.errors(include_url=False, include_input=False)
            problems = [_problem(path, given, error) for error in found]
    listed = "".join(f"\n  {problem}" for problem in problems)
    count = "one error" if len(problems) == 1 else f"{len(problems)} errors"
    raise ConfigError(f"the plans have {count}:{listed}")


def _problem(path: Path, given: Mapping[str, Given], error: ErrorDetails) -> Problem:
    """Where it is wrong: the innermost thing of the file that encloses it."""
    location = tuple(part for part in error["loc"] if part != "[key]")
    text = f"{'.'.join(map(str, location)) or 'the file'}: {error['msg'].removeprefix('Value error, ')}"
    one = given.get(str(location[0])) if location else None
    if one is None:
        return Problem(str(path), text)
    inner = [one.inner.get(location[1:end]) for end in range(len(location), 1, -1)]
    place = next((found for found in inner if found is not None), one.place)
    return Problem(place.source, text)
