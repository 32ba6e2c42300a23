"""/v1/events: catch up on what happened without webhooks, and see what became of each delivery."""

from litestar import get
from litestar.params import FromPath

from adapters.inbound.http.kit import Api, Asker, Cursor, Limit
from adapters.inbound.http.views import DeliveryList, EventPage, delivery_list, event_page
from domain.merchants import Scope


@get("/events", summary="List events", operation_id="listEvents", scope=Scope.EVENTS_READ, tags=["Events"])
async def list_events(api: Api, caller: Asker, cursor: Cursor = None, limit: Limit = 20) -> EventPage:
    """Everything that happened to you in this mode, oldest first.

    No event ever appears behind a cursor that you were given, so polling with `next_cursor` misses nothing.
    """
    return event_page(await api.queries.events(caller.merchant_id, caller.mode, cursor=cursor, limit=limit))


@get(
    "/events/{event_id:str}/deliveries",
    summary="See an event's deliveries",
    operation_id="listDeliveries",
    scope=Scope.EVENTS_READ,
    tags=["Events"],
)
async def list_deliveries(event_id: FromPath[str], api: Api, caller: Asker) -> DeliveryList:
    """Where an event was sent, each try with its answer. Empty for an event that is not yours."""
    return delivery_list(await api.queries.deliveries(caller.merchant_id, caller.mode, event_id))


HANDLERS = [list_events, list_deliveries]
