"""Static codes as merchants receive them."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from adapters.inbound.http.views import OBJECT, Fen, NoCursor, Time
from domain.channels import Mode
from domain.codes import StaticCode


class CodeView(msgspec.Struct, kw_only=True):
    """A static code (聚合码)."""

    id: Annotated[str, Meta(description="Our id.", examples=["cod_01KB5P4Z0W3V7H2M9T8Q6R5N4G"])]
    object: Annotated[Literal["code"], OBJECT]
    mode: Annotated[Mode, Meta(description="Live money or test money, as your key says.", examples=["test"])]
    name: Annotated[str, Meta(description="What payers see.", examples=["Till 3"])]
    amount: Annotated[int | None, Meta(description="In fen; null where the payer says it.", examples=[None])]
    most: Fen
    currency: Annotated[str, Meta(description="ISO 4217.", examples=["CNY"])]
    enabled: Annotated[bool, Meta(description="Whether it takes orders.", examples=[True])]
    url: Annotated[str, Meta(description="Print it as a QR code.", examples=["https://pay.example.com/c/4fT9x2"])]
    created_at: Time


class CodeList(msgspec.Struct, kw_only=True):
    """All your static codes of this mode."""

    data: Annotated[list[CodeView], Meta(description="Oldest first; at most 200.")]
    next_cursor: NoCursor = None


def code_view(code: StaticCode, public_url: str) -> CodeView:
    return msgspec.convert(code.snapshot() | {"url": f"{public_url}/c/{code.token}"}, CodeView)
