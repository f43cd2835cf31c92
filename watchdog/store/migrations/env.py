"""Run by Alembic: applies the migrations on the connection that `migrate` hands over, in its transaction."""

from alembic import context

from watchdog.store.watch_tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    transactional_ddl=True,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
