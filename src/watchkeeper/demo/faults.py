"""What goes wrong in the demo shop, and how long its pages take: switched from outside."""

import random
from typing import Final

from watchkeeper.demo.pages import PAGES

FAILING_SHARE: Final = 0.3  # of checkouts, while an incident is on
SLOW_PAGE: Final = "search"
SLOW_S: Final = 0.85  # the median of the slow page in an incident
SLOW_SPREAD: Final = 0.15
SEED: Final = 7


class Faults:
    """The state of the shop's surroundings: well, or in an incident."""

    def __init__(self, *, seed: int = SEED) -> None:
        """Begin well; `seed` fixes the order of latencies and failures."""
        self.incident = False
        self._rng = random.Random(seed)  # noqa: S311  # made latencies, no secret

    def work_s(self, page: str) -> float:
        """Return how many seconds a page works this time."""
        if self.incident and page == SLOW_PAGE:
            return SLOW_S * self._rng.lognormvariate(0, SLOW_SPREAD)
        return PAGES[page].draw_s(self._rng)

    def strike(self) -> str:
        """Return what a checkout runs into: "payment", "stock" or, mostly, nothing."""
        if not self.incident or self._rng.random() >= FAILING_SHARE:
            return ""
        return self._rng.choice(("payment", "stock"))
