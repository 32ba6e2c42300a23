"""Is the database there, and is it set up so that a payment once acknowledged cannot be lost or rewritten?"""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.outbound.sql.failures import connecting
from adapters.outbound.sql.migrations import head_revision, revision_of, revisions
from domain.errors import DatabaseUnavailable

# Rows that say what happened: the application may add to them and do nothing else.
APPEND_ONLY = (
    "transfer",
    "event",
    "delivery_try",
    "notice",
    "channel_payment",
    "ledger_account",
    "audit_record",
    "account_entry",
    "ledger_closing",
    "account_closing",
    "audit_link",
)
_SETTINGS = {
    "fsync": ("on",),
    "full_page_writes": ("on",),
    "synchronous_commit": ("on", "local", "remote_write", "remote_apply"),
    "transaction_isolation": ("read committed",),
}
MAY_CHANGE = text(
    "SELECT name, privilege FROM unnest(CAST(:tables AS text[])) AS name,"
    " unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE']) AS privilege"
    " WHERE to_regclass(name) IS NOT NULL AND (has_table_privilege(current_user, name, privilege)"
    " OR privilege = 'UPDATE' AND has_any_column_privilege(current_user, name, 'UPDATE'))"
)

_LIVE = text(
    "SELECT EXISTS (SELECT FROM api_key WHERE mode = 'live')"
    " OR EXISTS (SELECT FROM channel_account WHERE mode = 'live')"
)


async def ping(engine: AsyncEngine) -> tuple[str, bool, str, bool]:
    """Name, whether it works, a detail for people, and that we cannot do without it. Never raises."""
    try:
        with connecting():
            async with engine.connect() as connection:
                revision = await connection.run_sync(revision_of)
    except DatabaseUnavailable as unavailable:
        return "database", False, str(unavailable), True
    head = head_revision()
    # A revision that we do not know is newer than we are: a deployment is on its way, and we go on.
    if revision is None or (revision != head and revision in revisions()):
        return "database", False, f"the schema is at {revision}, this version needs {head}: run pitaya migrate", True
    return "database", True, f"schema {revision}", True


async def unsafe_settings(engine: AsyncEngine, *, totp_required: bool = True) -> list[str]:
    """Reasons not to start, in words for the operator; empty when all is well. Raises DatabaseUnavailable.

    ``totp_required``: where people may go without a second factor, no live money may be within their reach.
    """
    reasons = []
    with connecting():
        async with engine.connect() as connection:
            for name, safe in _SETTINGS.items():
                value = await connection.scalar(text("SELECT current_setting(:name)"), {"name": name})
                if value not in safe:
                    reasons.append(f"PostgreSQL runs with {name} = {value}; it must be {safe[0]}")
            for table, privilege in await connection.execute(MAY_CHANGE, {"tables": list(APPEND_ONLY)}):
                reasons.append(f"the application's role may {privilege} rows of {table}, which are append-only")
            if await connection.scalar(text("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")):
                reasons.append("the application's role is a superuser")
            if not totp_required and await connection.scalar(_LIVE):
                reasons.append("PITAYA_REQUIRE_TOTP=0, and there are live keys or channel accounts")
    _, works, detail, _ = await ping(engine)
    return reasons if works else [*reasons, detail]
