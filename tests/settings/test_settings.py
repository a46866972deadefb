"""Settings made in code: checked at once, each error with its key and its cure."""

import pytest
from sqlalchemy import create_engine

from watchkeeper.exceptions import ConfigurationError
from watchkeeper.settings import Settings


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"databse_url": "x.db"}, 'unknown setting "databse_url"; did you mean "database_url"?'),
        ({"slot": "7s"}, "slot: '7s' does not divide a minute"),
        ({"slot": 10}, "slot: 10 is not a text; write it with a unit: '10s'"),
        ({"hold": "1 hour"}, "hold: '1 hour' is not a duration"),
        ({"hold_bytes": "much"}, "hold_bytes: 'much'"),
        ({"fingerprint_frames": 3}, 'fingerprint_frames: 3 is not 1, 2 or "all"'),
        ({"fingerprint_frames": "both"}, "fingerprint_frames: 'both' is not 1, 2 or"),
        ({"fingerprint_transparent": "shop.*"}, "fingerprint_transparent: 'shop.*' is no list"),
        ({"in_app_include": [7]}, "in_app_include: [7] is no list; write"),
        ({"fingerprint": "shop.group"}, "fingerprint: 'shop.group' is not a function"),
        ({"spool": False}, 'spool: False is no folder; write a path, or "off"'),
        ({"storage_budget": "2 GB"}, "storage_budget: '2 GB' is not a size; write '2GB'"),
        (
            {"storage_budget": "1MB"},
            "storage_budget: '1MB' is too little to store anything; write",
        ),
        ({"max_routes": 0}, "max_routes: 0 is not a whole number above 0"),
        ({"dashboard_prefix": "monitor"}, "must begin with a slash"),
        ({"dashboard_prefix": "/monitor/"}, "must begin with a slash and not end with one"),
        ({"public_url": "shop.example"}, "public_url: 'shop.example' is not a web address"),
        ({"routing": {"critical": ["oncall"]}}, "routing.critical: there is no channel 'oncall'"),
        ({"routing": {"critical": "oncall"}}, 'routing.critical: write a list: ["oncall"]'),
        ({"migrate": "never"}, 'migrate: \'never\' is neither "auto" nor "manual"'),
        ({"migrate": False}, 'migrate: False is neither "auto" nor "manual"'),
        ({"database_url": "oracle://db/shop"}, "database_url: 'oracle'"),
        ({"silences": [{"match": {}}]}, "silences[0]: say when"),
        ({"quiet_hours": {"every": "nights"}}, "quiet_hours.every: 'nights' is no time"),
        ({"time_zone": "Berlin"}, "time_zone: 'Berlin' is no time zone known here"),
        ({"alerts": ["error_rate > 5%"]}, "alerts[0]: 'error_rate > 5%' is not an Alert"),
    ],
)
def test_a_wrong_value_in_code_raises_at_once(given, message):
    """A wrong setting in code names its key and what to write instead."""
    with pytest.raises(ConfigurationError) as raised:
        Settings(**given)

    assert message in str(raised.value)


def test_defaults_can_be_made():
    """The defaults are valid, and the slot is ten seconds."""
    assert 10 == Settings().slot_s


@pytest.mark.parametrize(
    ("given", "budget_bytes"),
    [
        ({}, 2**30),
        ({"database_url": "sqlite:////srv/shop.db"}, 2**30),
        ({"database_url": "memory://"}, 2**30),
        ({"database_url": "postgresql+psycopg://db/shop"}, 5 * 2**30),
        ({"database_url": "mariadb://db/shop"}, 5 * 2**30),
        ({"database_url": create_engine("sqlite:///shop.db")}, 2**30),
        ({"storage_budget": "20GB"}, 20_000_000_000),
    ],
)
def test_the_budget_is_smaller_in_a_file_than_in_a_server(given, budget_bytes):
    """A gibibyte beside the application, five in a server, or what is set."""
    assert budget_bytes == Settings(**given).storage_budget_bytes


def test_secrets_do_not_show_in_the_representation():
    """Printing the settings shows neither password nor key nor the database's password."""
    shown = repr(
        Settings(
            password="open-sesame",
            secret_key="k3y",
            database_url="postgresql+psycopg://shop:pa55@db/shop",
        )
    )

    assert "open-sesame" not in shown
    assert "k3y" not in shown
    assert "pa55" not in shown


def test_shorter_slots_may_cost_more():
    """The budget holds for slots of 10 s; ten times as many may take ten times as much."""
    assert 0.01 == Settings().own_cpu_share
    assert 0.1 == pytest.approx(Settings(slot="1s").own_cpu_share)
    assert 0.01 == Settings(slot="60s").own_cpu_share
    assert 1.0 == Settings(slot="1s", own_cpu_budget="50%").own_cpu_share
