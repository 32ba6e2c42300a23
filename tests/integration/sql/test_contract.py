"""PostgreSQL keeps the contract of every database."""

from tests.contracts.unit_of_work import UnitOfWorkContract


class TestPostgres(UnitOfWorkContract):
    patience_seconds = 0.3
