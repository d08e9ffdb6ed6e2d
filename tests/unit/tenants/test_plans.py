"""The plans file: what it says, and that every error names its line."""

from pathlib import Path

import pytest

from riptide.config import TenantSettings
from riptide.errors import ConfigError
from riptide.tenants.plans import DEFAULT_PATH, Plans, load_plans

ROOT = Path(__file__).parents[3]
OWN = ROOT / "riptide/tenants/plans.yml"
GOOD = """\
plans:
  free:
    name: Free
    currency: EUR
    base_fee: "1.50"
    included: {operations: 10}
    overage:
      operations: [{up_to: 10, price: "0.000001"}, {price: 2, per: 1000}]
    quotas:
      memory_bytes: 1MiB
      active_sessions: unlimited
"""


def load(directory: Path, text: str) -> Plans:
    path = directory / "plans.yml"
    path.write_text(text)
    return load_plans(str(path))


def test_the_shipped_file_is_the_packaged_one_and_has_four_plans() -> None:
    assert (ROOT / "config/plans.yml").read_text() == OWN.read_text()
    plans = load_plans(str(OWN)).plans
    assert list(plans) == ["free", "basic", "professional", "enterprise"]
    fees = [plan.base_fee for plan in plans.values()]
    assert fees == sorted(set(fees))
    assert fees[1] == 49_000_000


def test_the_packaged_one_serves_where_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert TenantSettings().plans_file == DEFAULT_PATH
    monkeypatch.chdir(tmp_path)
    assert load_plans(DEFAULT_PATH) == load_plans(str(OWN))
    (tmp_path / "config").mkdir()
    (tmp_path / DEFAULT_PATH).write_text(GOOD)
    assert list(load_plans(DEFAULT_PATH).plans) == ["free"]
    with pytest.raises(ConfigError, match=r"mine\.yml: cannot be read"):
        load_plans("mine.yml")


def test_money_is_whole_millionths_and_bytes_have_units(tmp_path: Path) -> None:
    plan = load(tmp_path, GOOD).plan("free")
    assert plan.base_fee == 1_500_000
    assert [(tier.price, tier.per, tier.up_to) for tier in plan.overage["operations"]] == [
        (1, 1, 10),
        (2_000_000, 1000, None),
    ]
    assert plan.quotas == {"memory_bytes": 1024**2, "active_sessions": -1}


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ('"1.50"', "1.5000001", ":5: plans.free.base_fee: write an amount with at most six decimals"),
        ('"1.50"', "-1", ":5: plans.free.base_fee: write an amount"),
        ('"1.50"', "NaN", ":5: plans.free.base_fee: write an amount"),
        ('"1.50"', "1e9", ":5: plans.free.base_fee: write an amount"),
        ('"1.50"', "", ":5: plans.free.base_fee: Input should be"),
        ("EUR", "euro", ":4: plans.free.currency: String should match"),
        ("memory_bytes: 1MiB", "memory: 1MiB", ":10: plans.free.quotas: there is no resource 'memory'"),
        ("1MiB", "-5", ":10: plans.free.quotas.memory_bytes: Input should be"),
        ("1MiB", "1.5", ":10: plans.free.quotas.memory_bytes: Input should be a valid integer"),
        ("1MiB", "1XB", ":10: plans.free.quotas.memory_bytes: unknown unit"),
        ("{operations: 10}", "{ops: 10}", ":6: plans.free.included.ops: Input should be 'operations'"),
        ("up_to: 10, ", "", ":8: plans.free.overage.operations: every tier but the last needs an up_to"),
        ("price: 2", "up_to: 5, price: 2", ":8: plans.free.overage.operations: every tier but the last"),
        ("per: 1000", "per: 0", ":8: plans.free.overage.operations.1.per: Input should be greater"),
        ("name: Free", "title: Free", ":3: plans.free.title: Extra inputs"),
        ("    name: Free\n", "", ":3: plans.free.name: Field required"),
        ("  free:", "  Free:", ": 'Free' is no name of a plan"),
        ("plans:", "planes:", ":1: planes: Extra inputs"),
        ("  free:", "  free: {}\n  free:", ":3: 'free' appears twice"),
        ("EUR", "!x EUR", ":4: plans.free.currency: tags"),
        ("EUR", "[", "is not YAML"),
        (GOOD, "plans: {}", ":1: plans: Dictionary should have at least 1 item"),
    ],
)
def test_an_error_names_file_line_and_field(tmp_path: Path, old: str, new: str, error: str) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, GOOD.replace(old, new, 1))
    assert error in str(caught.value)


def test_all_errors_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, GOOD.replace("EUR", "E").replace("1MiB", "x").replace('"1.50"', "x"))
    assert "the plans have 3 errors" in str(caught.value)
