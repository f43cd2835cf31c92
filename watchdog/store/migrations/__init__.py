"""How the schema came about, one step a file in `versions`, applied by Alembic in one transaction.

To add one: change `tables`, write ``versions/000N_WHAT.py`` beside the last, set `tables.SCHEMA`. Migrations only add;
qualifications are kept for ever.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection

if TYPE_CHECKING:
    from alembic.config import Config

SCRIPTS = Path(__file__).parent


def configuration(connection: Connection | None = None, scripts: Path = SCRIPTS) -> "Config":
    """Alembic's settings, which are here and in no ini file."""
    from alembic.config import Config  # noqa: PLC0415 - takes 0.2 s, and a database that is up to date needs none

    settings = Config()
    settings.set_main_option("script_location", str(scripts).replace("%", "%%"))
    settings.set_main_option("path_separator", "os")
    settings.attributes["connection"] = connection
    return settings


def migrate(connection: Connection, scripts: Path = SCRIPTS) -> None:
    """Bring the database to the newest schema, within the caller's transaction: all of it or nothing."""
    from alembic import command  # noqa: PLC0415 - as above

    command.upgrade(configuration(connection, scripts), "head")
