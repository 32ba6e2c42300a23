"""The words our tables are written in: kinds of columns, and the transaction id."""

from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, DateTime, Integer, Text
from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.types import TypeEngine, UserDefinedType


class Xid8(UserDefinedType[str]):
    """A transaction id that never wraps (PostgreSQL manual, 8.19 Object Identifier Types)."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return "xid8"


ischema_names["xid8"] = Xid8


def of(name: str, type_: TypeEngine[Any], *, null: bool = False) -> Column[Any]:
    return Column(name, type_, nullable=null)


def texts(*names: str, null: bool = False) -> list[Column[Any]]:
    return [of(name, Text(), null=null) for name in names]


def minors(*names: str, null: bool = False) -> list[Column[Any]]:
    return [of(name, BigInteger(), null=null) for name in names]


def numbers(*names: str, null: bool = False) -> list[Column[Any]]:
    return [of(name, Integer(), null=null) for name in names]


def times(*names: str, null: bool = False) -> list[Column[Any]]:
    return [of(name, DateTime(timezone=True), null=null) for name in names]


def one_of(column: str, enum: type[StrEnum]) -> CheckConstraint:
    return CheckConstraint("{} IN ({})".format(column, ", ".join(f"'{member}'" for member in enum)), name=column)
