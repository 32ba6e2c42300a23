"""What the database says when it says no, in our words."""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi
from sqlalchemy.exc import SQLAlchemyError

from application.ports.storage import AlreadyExists
from domain.errors import DatabaseUnavailable, OutcomeUnknown


class StaleWrite(AssertionError):
    """A row was saved that does not exist or has moved on: somebody saved what he had not locked. A bug of ours."""


class LedgerConflict(AssertionError):
    """Another transfer stands under this idem_key: two facts derive one key. A bug of ours."""


# Its transaction is certainly gone, and the whole unit of work may be repeated (PostgreSQL manual, Appendix A).
_PASSING = (
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.QueryCanceledError,
    asyncpg.InsufficientResourcesError,
    asyncpg.ReadOnlySQLTransactionError,
)
# The conversation has ended, whatever the last word did.
_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InterfaceError,
    # What it says between the server's farewell and the end of the connection: neither idle nor closed.
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)


# SQLAlchemy's pool translates what the driver says, and again differently where the engine stands between.
_REFUSED = (
    SQLAlchemyError,
    AsyncAdapt_asyncpg_dbapi.Error,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)


@contextmanager
def in_our_words(*, commits: bool = False) -> Iterator[None]:
    """Translates what asyncpg raises. With ``commits``, a lost connection leaves the outcome unknown.

    Raises AlreadyExists for a unique key, DatabaseUnavailable for what may be repeated, OutcomeUnknown where only a
    look can tell. Everything else is a bug and passes as it is.
    """
    try:
        yield
    except asyncpg.UniqueViolationError as taken:
        raise AlreadyExists(taken.constraint_name or "") from taken
    except ValueError:
        raise  # asyncpg calls an argument of the wrong type an interface error too
    except _PASSING as passing:
        raise DatabaseUnavailable(str(passing)) from passing
    except _LOST as lost:
        if commits:
            raise OutcomeUnknown("the connection was lost during commit: it may have happened") from lost
        raise DatabaseUnavailable(f"the database connection was lost: {lost}") from lost


def settled(error: asyncpg.PostgresError) -> bool:
    """Whether the connection is good for more after this error."""
    return isinstance(error, _PASSING) or not isinstance(error, _LOST)


@contextmanager
def connecting() -> Iterator[None]:
    """Nothing has been sent yet, so whatever goes wrong here leaves no doubt. Raises DatabaseUnavailable."""
    try:
        yield
    except (*_REFUSED, OSError, TimeoutError) as refused:
        raise DatabaseUnavailable(f"no database connection: {refused}") from refused
