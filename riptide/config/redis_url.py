"""What a server's URL must look like, and how it is shown without its password."""

import re
from urllib.parse import SplitResult, parse_qsl, urlsplit

SCHEMES = ("redis", "rediss", "unix", "redis+cluster", "rediss+cluster", "redis+sentinel", "rediss+sentinel")
EXAMPLES = (
    "redis://127.0.0.1:6379/0, rediss:// for TLS, unix:///run/redis.sock, "
    "redis+cluster://h1:6379,h2:6379 or redis+sentinel://h1:26379,h2:26379/mymaster"
)
#: What may stand after the '?', and what each must look like.
_OPTIONS = {
    "db": re.compile(r"[0-9]{1,5}"),
    "client_name": re.compile(r"[!-~]{1,200}"),  # a server refuses blanks in it
    "username": re.compile(r".+", re.DOTALL),
    "password": re.compile(r".+", re.DOTALL),
}
#: Options of other clients whose meaning is a setting here.
_SETTINGS = {
    "max_connections": "pool_size",
    "retry_on_error": "retry_attempts",
    "retry_on_timeout": "retry_attempts",
    "socket_connect_timeout": "connection_timeout_ms",
    "socket_timeout": "command_timeout_ms",
    "ssl_ca_certs": "tls_ca_certs",
    "ssl_cert_reqs": "tls_verify",
    "ssl_certfile": "tls_certfile",
    "ssl_check_hostname": "tls_verify",
    "ssl_keyfile": "tls_keyfile",
    "timeout": "command_timeout_ms",
}
_OPTION_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,40}")
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
    # What follows a '?' or '#' that belongs to a password must not be named in an error.
    if parts.fragment or "@" in parts.query:
        raise ValueError("a '#', '?', '/' or '@' in a name or password is written as %23, %3F, %2F or %40")
    database = _check_options(parts.query).get("db", "0")
    if parts.scheme == "unix":
        if not parts.path:
            raise ValueError("it names no socket")
        return
    _check_nodes(parts.netloc.rpartition("@")[2], several="+" in parts.scheme)
    _check_path(parts.path.strip("/"), sentinel=parts.scheme.endswith("+sentinel"))
    if parts.scheme.endswith("+cluster") and {database, parts.path.strip("/") or "0"} != {"0"}:
        raise ValueError("a cluster has database 0 alone")


def options_of(parts: SplitResult) -> dict[str, str]:
    """What stands after the '?' of a URL that `check_url` has let pass."""
    return dict(parse_qsl(parts.query))


def _check_options(query: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if not _OPTION_NAME.fullmatch(name):
            raise ValueError("what follows the '?' is not of the form name=value&name=value")
        if name in _SETTINGS:
            raise ValueError(f"the option {name!r} is not taken from a URL: set redis.{_SETTINGS[name]}")
        if name not in _OPTIONS:
            raise ValueError(f"there is no option {name!r}; the options are {', '.join(_OPTIONS)}")
        if name in found:
            raise ValueError(f"the option {name!r} stands there twice")
        if not _OPTIONS[name].fullmatch(value):
            raise ValueError(f"the option {name!r} has no valid value")
        found[name] = value
    return found


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
