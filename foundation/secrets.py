"""Keeping secrets out of everything that is written.

Two nets: :func:`redact` blanks the values of keys that name a secret (``api_key``, ``headers``, ...) in nested
settings, and :func:`hide_secrets` blanks the literal text of every secret that is known, wherever it stands. The
writers in :mod:`inpars_plus.foundation.files` pass everything through the second.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

__all__ = [
    "HIDDEN",
    "contains_secret",
    "hide_secrets",
    "hide_userinfo",
    "redact",
    "register_address",
    "register_secret",
]

HIDDEN = "[hidden]"
"""What stands where a secret stood."""

_SHORTEST = 8
"""Shorter texts are placeholders such as ``EMPTY`` or ``none``; blanking them everywhere would damage the data."""

_SECRET_KEY = re.compile(
    r"(^|[_-])(api[_-]?key|apikey|password|passwd|secret|secret[_-]?access[_-]?key|access[_-]?token|auth[_-]?token"
    r"|session[_-]?token|bearer|authorization|cookie)$|^(token|headers|extra[_-]?headers|default[_-]?headers|auth)$",
    re.IGNORECASE,
)
_USERINFO = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_ENVIRONMENT = re.compile(r"(_API_KEY|_SECRET_ACCESS_KEY|_SESSION_TOKEN)$|^HF_TOKEN$")

_registered: set[str] = set()
_lock = threading.Lock()


def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)  # another thread may have held it


def register_secret(text: str | None) -> None:
    """Remember a secret, so that no writer of this process lets it through.

    Args:
        text: the secret; ``None`` and texts under eight characters (placeholders such as ``EMPTY``) are ignored.
    """
    text = (text or "").strip()
    if len(text) >= _SHORTEST:
        with _lock:
            _registered.add(text)


def register_address(address: str | None) -> None:
    """Remember the name and password that may stand in an address, as in ``http://me:secret@host/v1``."""
    parts = urlsplit(address or "")
    if parts.username:
        register_secret(parts.password or parts.username)
        register_secret(parts.netloc)  # however short they are; libraries put it into their errors


def hide_secrets(value: Any) -> Any:
    """Replace every known secret in all strings of a nested value.

    Known are the registered ones and the values of environment variables such as ``*_API_KEY``.

    Args:
        value: a string, or mappings, lists and tuples of any depth; other values are returned as they are.

    Returns:
        The same structure (mappings as ``dict``), with ``[hidden]`` where a secret stood.
    """
    secrets = _known_secrets()
    return _replace(value, secrets) if secrets else value


def contains_secret(data: bytes) -> bool:
    """Whether the bytes hold a known secret in UTF-8."""
    return any(secret.encode("utf-8", "surrogatepass") in data for secret in _known_secrets())


def hide_userinfo(address: str) -> str:
    """An address without the name and password that may stand in it: ``http://me:secret@host/v1``."""
    return _USERINFO.sub(HIDDEN, address)


def redact(value: Any) -> Any:
    """Blank the values of keys that name a secret, names and passwords in addresses, and every known secret.

    Args:
        value: nested settings, such as the keyword arguments of a language model.

    Returns:
        A copy with ``[hidden]`` in place of each secret; a key whose value is ``None`` keeps it.
    """
    return hide_secrets(_redact_keys(value))


def _redact_keys(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            key: HIDDEN if _names_secret(key) and inner is not None else _redact_keys(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return type(value)(_redact_keys(inner) for inner in value) if type(value) in (list, tuple) else value
    return hide_userinfo(value) if isinstance(value, str) else value


def _names_secret(key: object) -> bool:
    return isinstance(key, str) and _SECRET_KEY.search(key) is not None


def _known_secrets() -> list[str]:
    # Longest first: a secret that begins with another one must not leave its tail behind.
    with _lock:
        known = set(_registered)
    for name, value in os.environ.items():
        if _ENVIRONMENT.search(name) and len(value.strip()) >= _SHORTEST:
            known.add(value.strip())
    return sorted(known, key=lambda secret: (-len(secret), secret))


def _replace(value: Any, secrets: list[str]) -> Any:
    if isinstance(value, str):
        for secret in secrets:
            if secret in value:
                value = value.replace(secret, HIDDEN)
        return value
    if isinstance(value, Mapping):
        return {_replace(key, secrets): _replace(inner, secrets) for key, inner in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_replace(inner, secrets) for inner in value)
    return value
