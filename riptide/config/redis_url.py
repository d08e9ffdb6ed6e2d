"""What a server's URL must look like, and how it is shown without its password."""

import re
from urllib.parse import urlsplit

SCHEMES = ("redis", "rediss", "unix", "redis+cluster", "rediss+cluster", "redis+sentinel", "rediss+sentinel")
EXAMPLES = (
    "redis://127.0.0.1:6379/0, rediss:// for TLS, unix:///run/redis.sock, "
    "redis+cluster://h1:6379,h2:6379 or redis+sentinel://h1:26379,h2:26379/mymaster"
)
_USERINFO = re.compile(r"(?<=://)(?P<user>[^/?#]*?)(?P<secret>:.*)?@(?!.*@)", re.DOTALL)
_PASSWORD_OPTION = re.compile(r"(?i)([?&][^=&#]*password=)[^&#]*")


def check_url(url: str) -> None:
    """Raise ValueError, without repeating the URL, if no server can be reached by it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError("it is not a URL") from None
    if parts.scheme not in SCHEMES:
        raise ValueError("its scheme is not supported")
    if parts.scheme == "unix":
        if not parts.path:
            raise ValueError("it names no socket")
        return
    _check_nodes(parts.netloc.rpartition("@")[2], several="+" in parts.scheme)
    _check_path(parts.path.strip("/"), sentinel=parts.scheme.endswith("+sentinel"))


def _check_nodes(netloc: str, *, several: bool) -> None:
    nodes = netloc.split(",")
    if len(nodes) > 1 and not several:
        raise ValueError("several hosts need redis+cluster:// or redis+sentinel://")
    for node in nodes:
        try:
            host, port = urlsplit(f"//{node}").hostname, urlsplit(f"//{node}").port
        except ValueError:
            host, port = node, 0
        if not host:
            raise ValueError("a host is missing")
        if port == 0:
            raise ValueError("a port is not a number from 1 to 65535")


def _check_path(path: str, *, sentinel: bool) -> None:
    service, _, database = path.partition("/") if sentinel else ("", "", path)
    if sentinel and not service:
        raise ValueError("it does not end with the Sentinel service's name, as in /mymaster")
    # redis-py would take database 0 for a text that is no number.
    if database and not (database.isascii() and database.isdigit()):
        raise ValueError("its database is not a number, as in /0")


def mask_url(url: str) -> str:
    """The URL with its passwords as `***`; a user's name stays."""
    shown = _USERINFO.sub(lambda found: f"{found['user']}{':***' if found['secret'] else ''}@", url, count=1)
    return _PASSWORD_OPTION.sub(r"\1***", shown)
