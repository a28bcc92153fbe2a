"""What never leaves a process: values under secret names, credentials inside addresses of endpoints."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

HIDDEN = "***"

_SECRET_NAME = re.compile(
    r"(?:^|[_\-. ])(?:api[_-]?)?(?:key|secret|token|password|passphrase|authorization|cookie)s?$", re.I
)
_USER_INFO = re.compile(r"(\b[a-z][a-z0-9+.\-]*://)[^/@\s'\"]+@", re.I)
_URL_PATH = re.compile(r"(\b(?:https?|wss?)://[^/\s'\"?#>)]+)[/?#][^\s'\"<>)]*", re.I)
_POOL_PATH = re.compile(r"(with url: )\S+")


def is_secret(name: str) -> bool:
    """Whether a value of this name must not be shown: it ends in key, secret, token, password, authorization."""
    return bool(_SECRET_NAME.search(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)))


def without_credentials(text: str) -> str:
    """The text with ``user:password@`` taken out of every address in it."""
    return _USER_INFO.sub(rf"\1{HIDDEN}@", text)


def without_endpoints(text: str) -> str:
    """The text with every address cut behind its host: the path of an endpoint often is the key to it."""
    return _POOL_PATH.sub(rf"\1/{HIDDEN}", _URL_PATH.sub(rf"\1/{HIDDEN}", without_credentials(text)))


def place_of(url: str) -> str:
    """Scheme, host and port: what an error may say of an address whose path, query or user may be a key."""
    try:
        parts = urlsplit(url)
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        return "an address that can't be read"
    host = parts.hostname
    if not host:
        return "an address without a host"
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}"


def redacted(value: Any, depth: int = 6) -> Any:
    """The value with secrets replaced, inside mappings and sequences too."""
    if isinstance(value, str):
        return without_credentials(value)
    if depth and isinstance(value, Mapping):
        return {
            name: HIDDEN
            if isinstance(name, str) and is_secret(name) and entry is not None
            else redacted(entry, depth - 1)
            for name, entry in value.items()
        }
    if depth and isinstance(value, list | tuple):
        return [redacted(entry, depth - 1) for entry in value]
    return value
