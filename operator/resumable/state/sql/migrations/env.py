"""What Alembic runs: on the connection of `schema.migrate`, which holds the lock and owns the transaction."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], version_table="schema_version")
context.run_migrations()
