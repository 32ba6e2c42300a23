"""What Alembic runs for each command: our connection, our metadata, one transaction that the caller owns."""

from alembic import context

from adapters.outbound.sql.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    compare_type=True,
    compare_server_default=True,
)
context.run_migrations()
