"""Alembic runs this for each command; the connection is handed in by ``migrate``."""

from alembic import context

from ostraka_issuer.store.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    transactional_ddl=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
