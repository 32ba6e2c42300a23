"""An order's story: rows of what happened as lines that say when, what, by whom and why."""

from collections.abc import Mapping
from typing import Any

from application.ports.lists import Told

MOST = 500
Row = Mapping[str, Any]

# Who makes an event happen, where its type alone tells.
_BY = {
    "order.created": "merchant",
    "order.paid": "channel",
    "attempt.pending": "channel",
    "attempt.succeeded": "channel",
    "attempt.failed": "channel",
    "attempt.closed": "channel",
    "attempt.unknown": "system",
    "refund.succeeded": "channel",
    "refund.failed": "channel",
    "refund.accepted": "channel",
}


def happened(row: Row) -> Told:
    """An event: a change of state."""
    data = row["data"]
    by = _BY.get(row["type"], "system")
    if row["type"] == "order.closed":
        by = "merchant" if data.get("close_reason") == "merchant" else "system"
    cause = data.get("failure") or data.get("close_reason") or data.get("method")
    detail = {name: data[name] for name in ("status", "method", "number", "failure", "amount") if data.get(name)}
    return Told(row["at"], "event", row["type"], row["object_id"], by, cause, detail)


def paid(row: Row) -> Told:
    """A money fact: what a channel said that it has received, and by what we know."""
    detail = {name: row[name] for name in ("transaction_id", "number", "total", "received", "currency", "unattributed")}
    return Told(
        row["recorded_at"],
        "payment",
        "held" if row["unattributed"] else "effective",
        row["id"],
        "channel",
        row["evidence"],
        detail,
    )


def posted(row: Row) -> Told:
    """A line of the ledger."""
    detail = {name: row[name] for name in ("amount", "currency", "debit_account", "credit_account", "idem_key")}
    return Told(row["created_at"], "transfer", row["fact"], row["about"], "system", row["about"], detail)


def tried(row: Row) -> Told:
    """A try to tell the merchant."""
    accepted = row["status_code"] is not None and 200 <= row["status_code"] < 300
    detail = {name: row[name] for name in ("url", "status_code", "error", "duration_ms", "endpoint_id")}
    type_ = "accepted" if accepted else "refused"
    return Told(row["at"], "delivery", type_, row["delivery_id"], "system", row["event_id"], detail)


def audited(row: Row) -> Told:
    """Something that a person did."""
    detail = {"actor_id": row["actor_id"], "before": row["before"], "after": row["after"]}
    return Told(row["at"], "audit", row["action"], row["object_id"], row["actor_name"], row["request_id"], detail)
