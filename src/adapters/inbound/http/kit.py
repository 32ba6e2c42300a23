"""The three things that handlers share: the names of their dependencies and of common parameters."""

from typing import Annotated, Any

from litestar import Request
from litestar.di import NamedDependency
from litestar.openapi.spec import Example
from litestar.params import QueryParameter, SkipValidation

from adapters.inbound.http.parts import ApiParts
from domain.merchants import Caller

Api = NamedDependency[SkipValidation[ApiParts]]
Asker = NamedDependency[SkipValidation[Caller]]
Req = Request[Any, Any, Any]
Cursor = Annotated[
    str | None,
    QueryParameter(
        max_length=400,
        description="`next_cursor` of the page before; opaque.",
        examples=[Example(value="bzp8MjAyNi0xMS0wMVQwODozMHxvcmRfMDE")],
    ),
]
Limit = Annotated[
    int,
    QueryParameter(ge=1, le=100, description="Rows on a page, 1 to 100.", examples=[Example(value=20)]),
]
