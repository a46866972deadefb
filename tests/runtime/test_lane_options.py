"""What every kind of channel may say of its messages: a fallback, and how many."""

import pytest

from watchkeeper.exceptions import ConfigurationError
from watchkeeper.runtime.channels import lane_options
from watchkeeper.runtime.configured import open_channels
from watchkeeper.runtime.lane import LaneOptions
from watchkeeper.settings import Settings, load

LOG = {"type": "log"}


def settings(**team: object) -> Settings:
    return Settings(channels={"team": {**LOG, **team}, "oncall": LOG})


def test_a_channel_names_its_fallback_and_its_limit():
    """Whatever kind of channel it is; the kind itself does not see these keys."""
    chosen = settings(fallback="oncall", max_messages=5)
    problems: list[str] = []

    assert LaneOptions(fallback="oncall", max_messages=5) == lane_options(chosen, "team")
    assert LaneOptions() == lane_options(chosen, "oncall")
    assert ["team", "oncall"] == list(open_channels(load(chosen), problems))
    assert [] == problems


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"fallback": "pager"}, "there is no other channel 'pager'; known: oncall"),
        ({"fallback": "team"}, "there is no other channel 'team'"),
        ({"max_messages": 0}, "0 is not a number from 1 to 1000"),
        ({"max_messages": True}, "True is not a number"),
        ({"max_messages": "20"}, "'20' is not a number"),
    ],
)
def test_a_wrong_value_is_told_with_its_key(given: dict[str, object], told: str):
    """Before a message is lost for it."""
    with pytest.raises(ConfigurationError, match=told) as raised:
        open_channels(load(settings(**given)), [])

    assert str(raised.value).startswith(f"channels.team.{next(iter(given))}: ")


def test_an_object_of_ones_own_has_the_defaults():
    """It has no settings."""

    class Own:
        def send(self, notification: object) -> None: ...

    assert LaneOptions() == lane_options(Settings(channels={"own": Own()}), "own")
