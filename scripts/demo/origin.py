"""The origin: Python's own documentation server, which renders a page anew for every request.

It knows two kinds of pages. Those of the standard library never change. The others document modules that the
demo itself writes: each says which edition it is, so that whoever reads a page can tell how old it is.
"""

import http.client
import re
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

TENANTS = ("acme", "globex", "initech")
_CHANGING_PER_TENANT = 4
_TIMEOUT_SECONDS = 30.0
# pydoc's HTML has hard spaces in texts.
_EDITION = re.compile(rb"Edition(?: |&nbsp;)(\d+)")

# Large and small ones; modules that open windows or cannot be read twice are not among them.
_NAMES = Path(__file__).with_name("modules.txt").read_text().split()
MODULES = [name for name in _NAMES if name.partition(".")[0] in sys.stdlib_module_names]


@dataclass(eq=False, slots=True)
class Page:
    """A page of the origin, and whose it is. `file` is the module behind a page that changes."""

    tenant: str
    url: str
    file: Path | None = None
    #: The oldest edition that a read may answer from now on: set when an invalidation has completed.
    floor: int = 0

    @property
    def tag(self) -> str:
        return f"{self.tenant}-news"


@dataclass(slots=True)
class Origin:
    host: str
    port: int
    directory: Path
    _last: int = field(default=0, init=False)

    def stable(self, count: int) -> list[Page]:
        """Pages of the standard library, dealt out to the tenants."""
        return [
            Page(TENANTS[at % len(TENANTS)], self._url(module)) for at, module in enumerate(MODULES[:count])
        ]

    def changing(self) -> list[Page]:
        """Pages that the demo writes itself, with a new edition."""
        names = [
            (tenant, f"{tenant}_news_{n + 1}") for tenant in TENANTS for n in range(_CHANGING_PER_TENANT)
        ]
        pages = [Page(tenant, self._url(name), self.directory / f"{name}.py") for tenant, name in names]
        for page in pages:
            self.edit(page)
        return pages

    def edit(self, page: Page) -> int:
        """Publish a new edition of a page that changes; answers its number, which grows over all runs."""
        assert page.file is not None
        self._last = max(self._last + 1, time.time_ns() // 1_000_000)
        draft = page.file.with_suffix(".draft")
        draft.write_text(f'"""News of {page.tenant}.\n\nEdition {self._last}\n"""\n')
        draft.replace(page.file)
        return self._last

    def fetch(self, page: Page) -> bytes:
        """Ask the origin itself. Raises OSError."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=_TIMEOUT_SECONDS)
        try:
            connection.request("GET", urlsplit(page.url).path)
            return connection.getresponse().read()
        except http.client.HTTPException as error:
            raise OSError(f"{page.url}: {error!r}") from error
        finally:
            connection.close()

    def _url(self, module: str) -> str:
        return f"http://{self.host}:{self.port}/{module}.html"


def edition(html: bytes) -> int:
    """Which edition a page that changes is; 0 if it does not say."""
    found = _EDITION.search(html)
    return int(found[1]) if found else 0
