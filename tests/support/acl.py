"""Users of a server by the templates in config/acl."""

import re
from urllib.parse import urlsplit

from tests.support.workers import ROOT

ROLES = ("reader", "producer", "service", "worker", "operator")
PASSWORD = "a password of a test"


def setuser(role: str, prefix: str) -> list[str]:
    """The template as one command, as docs/server-acl.md does it, for a deployment of that prefix."""
    text = (ROOT / f"config/acl/{role}.acl").read_text("utf-8")
    text = " ".join(line for line in text.splitlines() if not line.startswith("#"))
    text = re.sub(r"riptide(?!-)", prefix, text)
    return [PASSWORD.join((">", "")) if part == ">CHANGE-ME" else part for part in text.split()]


def url_of(role: str, url: str) -> str:
    return f"redis://riptide-{role}:{PASSWORD.replace(' ', '%20')}@{urlsplit(url).netloc}"
