"""PostgreSQL behind the ports: tables, statements prepared once, units of work, read models, migrations."""

from adapters.outbound.sql.clock import SqlClock
from adapters.outbound.sql.engine import create_engine
from adapters.outbound.sql.queries import SqlMerchantQueries
from adapters.outbound.sql.unit_of_work import SqlDatabase

__all__ = ["SqlClock", "SqlDatabase", "SqlMerchantQueries", "create_engine"]
