"""What the application's role may do: said with each table, in the revision that creates it."""

from collections.abc import Mapping

from alembic import context, op
from sqlalchemy import text


def ensure_role() -> None:
    """The application's role, created without a login where it is missing. Raises PermissionError with what to run.

    Roles belong to the whole server: another database's migration may be creating the same one at this moment.
    """
    role = application_role()
    connection = op.get_bind()
    exists = text("SELECT 1 FROM pg_roles WHERE rolname = :role")
    if not connection.execute(exists, {"role": role}).first():
        _create(role)
    op.execute(f"GRANT USAGE ON SCHEMA public TO {_quoted(role)}")


def _create(role: str) -> None:
    connection = op.get_bind()
    may = "SELECT 1 FROM pg_roles WHERE rolname = current_user AND (rolsuper OR rolcreaterole)"
    if not connection.execute(text(may)).first():
        raise PermissionError(f'the role {role} is missing: let a superuser run CREATE ROLE "{role}" NOLOGIN')
    connection.execute(
        text(
            f"DO $$ BEGIN CREATE ROLE {_quoted(role)} NOLOGIN; GRANT {_quoted(role)} TO CURRENT_USER;"
            " EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
        )
    )


def application_role() -> str:
    role = context.config.attributes["role"]
    assert isinstance(role, str)
    return role


def grant(rights: Mapping[str, str]) -> None:
    """Each table's rights, as SQL writes them: ``SELECT, INSERT, UPDATE (status)``. What is not said is not granted.

    A row lock needs the right to update one column (PostgreSQL manual, GRANT).
    """
    role = _quoted(application_role())
    for table, granted in rights.items():
        op.execute(f"REVOKE ALL ON {table} FROM {role}")
        op.execute(f"GRANT {granted} ON {table} TO {role}")


def grant_besides(rights: Mapping[str, str]) -> None:
    """More rights for tables that have some: ``UPDATE (added)``. Those to a column go with the column."""
    role = _quoted(application_role())
    for table, granted in rights.items():
        op.execute(f"GRANT {granted} ON {table} TO {role}")


def _quoted(role: str) -> str:
    return op.get_bind().dialect.identifier_preparer.quote_identifier(role)
