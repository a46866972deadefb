"""What every process knows of a channel."""

from dataclasses import replace

from stored import HERE

from watchkeeper.storage import Store
from watchkeeper.storage.channels import Channel, Gone, forget_gone, gone, mark_gone

TEAM = Channel(**HERE, name="team", address="https://hooks.invalid/not-a-real-one")


def test_a_channel_that_is_gone_is_so_for_all(store: Store):
    """Until somebody says that it is there; another scope, name or address is another channel."""
    assert gone(store, TEAM) is None

    mark_gone(store, TEAM, at=100.0, why="410 Gone")

    assert Gone(since=100.0, why="410 Gone") == gone(store, TEAM)
    for other in (
        replace(TEAM, service="other"),
        replace(TEAM, environment="staging"),
        replace(TEAM, name="oncall"),
        replace(TEAM, address="https://hooks.invalid/another"),
    ):
        assert gone(store, other) is None

    forget_gone(store, TEAM)
    forget_gone(store, replace(TEAM, name="oncall"))
    assert gone(store, TEAM) is None
    assert store.meta(replace(TEAM, name="oncall").key) is None


def test_no_address_is_stored(store: Store):
    """It may be a secret."""
    mark_gone(store, TEAM, at=100.0, why="410 Gone")

    assert "hooks" not in TEAM.key + (store.meta(TEAM.key) or "")
