"""Reads what is exported, as Prometheus does."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.request import urlopen

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True)
class Scrape:
    text: str

    @property
    def families(self) -> dict[str, Metric]:
        """By the name that its lines have."""
        found = text_string_to_metric_families(self.text)
        return {
            f"{one.name}_total"
            if one.type == "counter" and not one.name.endswith("_total")
            else one.name: one
            for one in found
        }

    def value(self, sample: str, labels: Mapping[str, str] | None = None, **more: str) -> float | None:
        """Of a sample with exactly these labels."""
        wanted = {**(labels or {}), **more}
        for family in self.families.values():
            for one in family.samples:
                if one.name == sample and one.labels == wanted:
                    return float(one.value)
        return None

    def labels(self, sample: str, label: str) -> set[str]:
        return {
            one.labels[label]
            for family in self.families.values()
            for one in family.samples
            if one.name == sample
        }


def fetch(port: int) -> Scrape:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        return Scrape(answer.read().decode())
