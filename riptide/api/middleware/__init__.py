"""Middleware of services: whose a request is, whether it may pass, and what it used (docs/middleware.md)."""

from riptide.api.middleware.asgi import TenantMiddleware
from riptide.api.middleware.context import TenantRequest, current_tenant
from riptide.api.middleware.wsgi import TenantWSGIMiddleware

__all__ = ["TenantMiddleware", "TenantRequest", "TenantWSGIMiddleware", "current_tenant"]
