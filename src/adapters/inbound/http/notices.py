"""/notices: where the channels tell us what happened. The route is generic; the channel's package reads and answers."""

from litestar import Response, post
from litestar.params import FromPath
from structlog.contextvars import bind_contextvars

from adapters.inbound.http.kit import Api, Req
from domain.channels import Channel
from domain.errors import NotFound


@post("/notices/{channel:str}/{account_id:str}", include_in_schema=False, status_code=200)
async def receive_notice(channel: FromPath[str], account_id: FromPath[str], request: Req, api: Api) -> Response[bytes]:
    """Raw bytes in, since signatures are over bytes; exactly what the channel wants to hear out."""
    try:
        kind = Channel(channel)
    except ValueError:
        raise NotFound("no such notice address") from None
    headers = {name.lower(): value for name, value in request.headers.items()}
    handled = await api.receive_notice(kind, account_id, headers, await request.body())
    api.metrics.notices.labels(channel, handled.outcome if handled.accepted else "rejected").inc()
    # The request's own line says what came of it.
    bind_contextvars(
        channel=channel,
        account_id=account_id,
        accepted=handled.accepted,
        outcome=handled.outcome,
        order_id=handled.order_id,
    )
    answer = handled.answer
    return Response(answer.body, status_code=answer.status, media_type=answer.media_type)
