"""/admin/v1/audit: who did what."""

from typing import Annotated

from litestar import get
from litestar.openapi.spec import Example
from litestar.params import QueryParameter

from adapters.inbound.http.admin.guard import needs
from adapters.inbound.http.admin.kit import Admin
from adapters.inbound.http.admin.views import AuditPage, AuditView, page_of
from adapters.inbound.http.kit import Cursor, Limit


def _filter(text: str, example: str) -> QueryParameter:
    return QueryParameter(max_length=64, description=text, examples=[Example(value=example)])


ByActor = Annotated[str | None, _filter("Only what this actor did.", "opr_01KB5P4Z0W3V7H2M9T8Q6R5N4B")]
About = Annotated[str | None, _filter("Only what was done to this object.", "mch_01KB5P4Z0W3V7H2M9T8Q6R5N4B")]
OfMerchant = Annotated[str | None, _filter("Only what concerns this merchant.", "mch_01KB5P4Z0W3V7H2M9T8Q6R5N4B")]


@get("/audit", summary="List audit records", operation_id="listAudit", tags=["Audit"], opt=needs("audit.read"))
async def list_audit(
    admin: Admin,
    *,
    actor_id: ByActor = None,
    object_id: About = None,
    merchant_id: OfMerchant = None,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> AuditPage:
    """Newest first. Nobody can change one, and `pitaya audit verify` finds whoever did so all the same."""
    page = await admin.people.audit(
        actor_id=actor_id, object_id=object_id, merchant_id=merchant_id, cursor=cursor, limit=limit
    )
    found: AuditPage = page_of(AuditPage, AuditView, "audit_record", page)
    return found


HANDLERS = [list_audit]
