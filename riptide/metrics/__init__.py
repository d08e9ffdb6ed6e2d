"""What a process counts of its own work, and the table of all metrics.

`riptide.metrics.registry` holds what this process counts; `rt.metrics` adds what the deployment's server is
asked. No global registry of prometheus_client is touched, and its multiprocess mode has no part in this.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from riptide.metrics.process import CONTENT_TYPE, registry, render
    from riptide.metrics.serving import Serving, serve

# Imported when first used: who only counts needs no exporter.
_HOMES = {
    **dict.fromkeys(("CONTENT_TYPE", "registry", "render"), "riptide.metrics.process"),
    **dict.fromkeys(("Serving", "serve"), "riptide.metrics.serving"),
}

__all__ = ["CONTENT_TYPE", "Serving", "registry", "render", "serve"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'riptide.metrics' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
