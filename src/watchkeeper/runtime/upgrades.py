"""The step from one schema to the next: taken when the store is opened, or asked of a person."""

from watchkeeper.exceptions import UpgradeNeededError
from watchkeeper.storage.store import Store
from watchkeeper.storage.upkeep import Schema


def bring_up_to_date(store: Store, *, may_change: bool) -> None:
    """Bring the tables up to date; where they may not be changed, see whether somebody has.

    Raises UpgradeNeededError if they are older and may not be changed, SchemaError if they are
    newer than this version.
    """
    if not may_change:
        schema = store.schema()
        if schema.found < schema.known:
            raise UpgradeNeededError(upgrade_needed(schema))
    store.migrate()


def upgrade_needed(schema: Schema) -> str:
    """Say that the tables are older than this version, and what to run."""
    there = f"tables are schema {schema.found}" if schema.found else "there are no tables yet"
    return f"{there}, this version needs schema {schema.known}. Run: watchkeeper migrate"
