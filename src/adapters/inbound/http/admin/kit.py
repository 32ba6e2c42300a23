"""What the handlers of people's APIs share: names of their dependencies, and running a call once."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any

import msgspec
from litestar import Response
from litestar.di import NamedDependency
from litestar.params import SkipValidation
from msgspec import Meta

from adapters.inbound.http import once as idempotency
from adapters.inbound.http.admin.parts import AdminParts
from adapters.inbound.http.kit import Req
from application.authenticate_person import Signed
from domain.actors import Actor
from domain.channels import Mode
from domain.merchants import Caller

Admin = NamedDependency[SkipValidation[AdminParts]]
Who = NamedDependency[SkipValidation[Actor]]
Me = NamedDependency[SkipValidation[Signed]]

END = r"(?!\n)$"
# No control characters, no line or paragraph separators, and none of the marks that turn the reading direction around.
PLAIN = r"^[^\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]+" + END
Name = Annotated[str, Meta(min_length=1, max_length=80, pattern=PLAIN)]
Sentence = Annotated[str, Meta(min_length=1, max_length=500, pattern=PLAIN)]


async def once(
    admin: AdminParts,
    request: Req,
    actor: Actor,
    body: msgspec.Struct | None,
    run: Callable[[], Awaitable[msgspec.Struct]],
    *,
    status: int = 201,
    shown_once: Sequence[str] = (),
    compared: bool = True,
) -> Response[Any]:
    """``http.once`` for a person: keys are the actor's own. ``shown_once`` names fields of the answer that are secret:
    they are not kept, and a repetition has null in their place. With a password in the body, not ``compared``."""
    # An actor stands in no mode; his keys are kept under one of the two.
    own = Caller(actor.id, Mode.LIVE)
    return await idempotency.once(
        admin.answer_once, request, own, body, run, status=status, shown_once=shown_once, compared=compared
    )
