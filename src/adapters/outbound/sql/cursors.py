"""Cursors of lists: opaque to callers, a place in an order to us."""

import base64
from collections.abc import Callable
from typing import TypeVar

from domain.errors import InvalidRequest

T = TypeVar("T")


def cursor(kind: str, *place: str) -> str:
    return base64.urlsafe_b64encode("|".join((kind, *place)).encode()).decode().rstrip("=")


def read_cursor(kind: str, text: str, place: Callable[..., T]) -> T:
    """Where a page ended. Raises InvalidRequest for what ``cursor`` did not write for this kind of list.

    ``place`` takes the parts as ``cursor`` was given them, and raises ValueError for what it does not like.
    """
    try:
        read = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
        its_kind, *parts = read.split("|")
        if its_kind == kind:
            return place(*parts)
    except (ValueError, TypeError):
        pass
    raise InvalidRequest("this cursor is not one of ours", code="cursor_invalid", pointer="/cursor")


def id_place(id: str) -> str:
    """The place in a list by ids. Raises ValueError for what is no id."""
    if not (id.isascii() and id.replace("_", "").isalnum() and len(id) <= 40):
        raise ValueError("not an id")
    return id
