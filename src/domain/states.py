"""State machines as tables: one mapping a noun, checked on every step and drawn into docs/lifecycle.md."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from domain.errors import IllegalTransition

S = TypeVar("S", bound=StrEnum)

Table = Mapping[S, frozenset[S]]


def step(noun: str, table: Table[S], current: S, wanted: S) -> S:
    """``wanted`` if the table has that edge. Raises IllegalTransition."""
    if wanted not in table[current]:
        raise IllegalTransition(noun, current, wanted)
    return wanted
