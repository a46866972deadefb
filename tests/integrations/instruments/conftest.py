"""An observer for instruments alone: what they tell is read back from its recorder."""

from collections.abc import Iterator

import pytest
from observed import Observed, no_internal_errors
from receivers import Receiver

from watchkeeper.runtime.guard import take_errors


@pytest.fixture
def observed() -> Iterator[Observed]:
    take_errors()
    yield Observed()
    no_internal_errors()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running
