"""The address of a server: one meaning or none, and shown without what is secret in it."""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

SCHEMES = ("http", "https")
EXPECTED = "expected an address such as http://localhost:8000"
_PLACE = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\.?)(?::[0-9]{1,5})?")
_WITHIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/[^\s'\"]*")  # one slash: how a path of it looks
_PLAIN = re.compile(r"[!-~]+")  # without blanks, control characters and other scripts
_PLAIN_NAME = re.compile(r"[\w.-]{1,64}", re.ASCII)
_SECRET = "***"


@dataclass(frozen=True, slots=True)
class Address:
    """A server. `base` is its URL without credentials and without a slash at its end; `user` None: no credentials."""

    base: str
    user: str | None = None
    password: str = ""

    @property
    def shown(self) -> str:
        """The URL for messages, records and logs: `http://user:***@host`."""
        if self.user is None:
            return self.base
        scheme, _, rest = self.base.partition("://")
        return f"{scheme}://{_hidden(self.user, bool(self.password))}@{rest}"


def parse_address(url: str) -> Address:
    """The server that a URL names. Raises ValueError, without the URL, for one that may be read in two ways."""
    if not _PLAIN.fullmatch(url) or any(sign in url for sign in '\\<>"^`{|}'):
        raise ValueError(f"holds a character that no URL has; {EXPECTED}")
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        raise ValueError(f"is not an HTTP URL; {EXPECTED}")
    if parts.query or parts.fragment or "?" in url or "#" in url:
        raise ValueError(f"has a query or a fragment; {EXPECTED}")
    userinfo, at, place = parts.netloc.rpartition("@")
    if "@" in userinfo or "@" in parts.path:
        raise ValueError(f"has more than one @; {EXPECTED}")
    if at and userinfo in ("", ":"):
        raise ValueError(f"names nobody before its @; {EXPECTED}")
    if parts.port == 0 or place.endswith(":"):  # one out of range or no number raises in `port`
        raise ValueError(f"has no valid port; {EXPECTED}")
    if not (found := _PLACE.fullmatch(place)) or set(userinfo) & set("[]"):
        raise ValueError(f"names no host; {EXPECTED}")
    if found["six"]:
        ipaddress.IPv6Address(found["six"])
    base = f"{parts.scheme}://{place}{parts.path}".rstrip("/")
    if not at:
        return Address(base)
    user, _, password = userinfo.partition(":")
    return Address(base, unquote(user), unquote(password))


def redacted(url: str) -> str:
    """Any text that was given for a URL, without what may be a password, token or query."""
    scheme, divider, rest = url.rpartition("://")
    userinfo, at, place = rest.rpartition("@")
    place, *query = re.split(r"[?#]", place, maxsplit=1)
    user, colon, _ = userinfo.partition(":")
    credentials = f"{_hidden(user, bool(colon))}@" if at else ""
    return f"{scheme.rpartition('://')[2]}{divider}{credentials}{place}" + (f"?{_SECRET}" if query else "")


def redacted_within(text: str) -> str:
    """A text in which URLs may stand, those without what is secret in them."""
    return _WITHIN.sub(lambda match: _redacted_path(match[0]), text)


def _redacted_path(url: str) -> str:
    scheme, _, rest = url.partition(":")
    slashes = rest[: len(rest) - len(rest.lstrip("/"))]
    shown = redacted(f"{scheme}://{rest.lstrip('/')}")
    return shown.replace("://", f":{slashes}", 1)


def _hidden(user: str, with_password: bool) -> str:
    """User and password: a user alone may be a token, and an odd one may be a part of a password."""
    return f"{user}:{_SECRET}" if with_password and _PLAIN_NAME.fullmatch(user) else _SECRET
