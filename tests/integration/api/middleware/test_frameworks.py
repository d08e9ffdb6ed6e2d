"""What docs/middleware.md shows works as it stands, in each framework."""

import asyncio
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import django
import pytest
from django.conf import settings as django_settings
from django.http import HttpRequest, JsonResponse
from django.urls import path

import riptide
from riptide.api.access.access import Access
from tests.integration.api.middleware.conftest import Host, published
from tests.support.asgi import Answer, call_wsgi, get, lifespan
from tests.support.workers import ROOT, environment, write_config

PAGE = (ROOT / "docs/middleware.md").read_text("utf-8")
BLOCKS = {
    text.split()[1].rstrip(","): text
    for text in re.findall(r"^```python\n(# \w+\.py\b.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
}


def _page(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"tenant": riptide.current_tenant()})


urlpatterns = [path("page", _page)]


@pytest.fixture
def run(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """`run("flask_app.py")` is the app of that example, in an environment that names the deployment."""
    config = write_config(tmp_path / "persistence.yml", tenant={"enabled": True})
    for name, value in environment(host.deployment, config).items():
        monkeypatch.setenv(name, value)
    if not django_settings.configured:
        django_settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="test", USE_TZ=True)
        django.setup()

    def app(name: str) -> Any:
        module: Any = ModuleType(name)
        monkeypatch.setitem(sys.modules, name, module)
        exec(compile(BLOCKS[name], name, "exec", dont_inherit=True), vars(module))  # noqa: S102 - that is the test
        return module.app

    return app


def test_riptide_takes_at_most_five_lines_of_a_new_fastapi_app() -> None:
    plain = BLOCKS["fastapi_app.py"].replace('"tenant": riptide.current_tenant()', "")
    added = [line for line in plain.splitlines() if "riptide" in line]
    assert added == ["import riptide", "app.add_middleware(riptide.TenantMiddleware)"]


@pytest.mark.parametrize("name", sorted(BLOCKS))
async def test_the_example_serves_and_counts(host: Host, run: Callable[[str], Any], name: str) -> None:
    text = (await Access(host.rt).create("service", role="tenant", tenant="acme")).text
    headers = {"x_tenant_id": "acme", "authorization": f"Bearer {text}"}
    app = run(name)
    if name in {"django_wsgi.py", "flask_app.py"}:
        middleware = app if isinstance(app, riptide.TenantWSGIMiddleware) else app.wsgi_app

        def ask() -> list[Answer]:
            answers = [call_wsgi(app, "/page", **headers), call_wsgi(app, "/page")]
            middleware.close()
            return answers

        answer, refused = await asyncio.to_thread(ask)
    else:
        async with lifespan(app):
            answer, refused = await get(app, "/page", **headers), await get(app, "/page")
    assert (answer.status, answer.json()) == (200, {"tenant": "acme"})
    assert (refused.status, refused.problem) == (400, "tenant-missing")
    sums = published(host.deployment)
    assert sums["acme", "http.request", "operation_count"] == 1
    assert sums["acme", "http.request", "data_bytes"] == len(answer.body)
