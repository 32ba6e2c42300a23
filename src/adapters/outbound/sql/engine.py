"""How we connect: timeouts, isolation, role and pool size, said once for every connection."""

from sqlalchemy import URL
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

# A payment waits for nobody for long: whoever cannot have its lock gives up and comes again (reliability.md 3.3).
SETTINGS = {
    "timezone": "UTC",
    "default_transaction_isolation": "read committed",
    "lock_timeout": "2s",
    "statement_timeout": "5s",
    "idle_in_transaction_session_timeout": "10s",
    "client_connection_check_interval": "1s",  # what a vanished client waits for, it does not hold for long
    "jit": "off",
}
CONNECT_SECONDS = 5.0
# Longer than the server's own timeouts: this one is for a server that does not answer at all.
COMMAND_SECONDS = 10.0


def database_url(url: str | URL) -> URL:
    """The URL with our driver, however it names PostgreSQL (``postgres://``, ``postgresql://``, with a driver)."""
    return make_url(url).set(drivername="postgresql+asyncpg")


def create_engine(
    url: str | URL,
    *,
    pool_size: int = 10,
    role: str | None = None,
    application_name: str = "pitaya",
    pool_seconds: float = 3.0,
    patience_seconds: float = COMMAND_SECONDS,
) -> AsyncEngine:
    """A pool of exactly ``pool_size`` connections; who gets none within ``pool_seconds`` sees DatabaseUnavailable.

    ``patience_seconds`` is how long one statement may take: more for those who read and match whole days at once.

    Build one for each use that must not starve the others: channel notices have their own. ``role`` is taken on
    by a login that is a member of it, where owner and application share one URL.
    """
    settings = {**SETTINGS, "application_name": application_name, **({"role": role} if role else {})}
    if patience_seconds > COMMAND_SECONDS:
        settings["statement_timeout"] = f"{patience_seconds:.0f}s"
    return create_async_engine(
        database_url(url),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=pool_seconds,
        pool_recycle=1800,
        pool_reset_on_return=None,  # a Transaction leaves its connection clean or does not give it back
        isolation_level="AUTOCOMMIT",  # a Transaction says BEGIN itself, and only when it needs one
        connect_args={"timeout": CONNECT_SECONDS, "command_timeout": patience_seconds, "server_settings": settings},
    )
