"""Metrics of a deployment: what its server is asked for, shared by all processes, beside what one counts."""

from riptide.reads.metrics.face import Metrics

__all__ = ["Metrics"]
