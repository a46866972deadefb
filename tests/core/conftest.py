"""How many examples the laws of the core are tried on: few, so that its tests stay quick."""

import os
from collections.abc import Generator

import pytest
from hypothesis import settings

settings.register_profile("quick", max_examples=25, deadline=None)
settings.register_profile("thorough", max_examples=300, deadline=None)
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "quick")


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Load the profile while this folder's modules are imported, and only for them.

    A law takes its settings when it is defined, so the other floors' tests keep theirs.
    """
    before = settings.get_current_profile_name()
    settings.load_profile(PROFILE)
    try:
        return (yield)
    finally:
        settings.load_profile(before)
