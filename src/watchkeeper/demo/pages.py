"""The pages of the demo shop: how often each is asked for, and how long it takes to answer."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of the shop.

    Latencies have two modes, as with a cache: `slow_share` of the answers take about `slow_s`
    (seconds, median), the others about `fast_s`; `spread` is the sigma of both log-normals.
    `weight` is how often it is asked for compared with the others, `rush` the same in the short
    round, which needs enough requests of the pages that an incident hits.
    """

    method: str
    template: str
    weight: float
    rush: float
    fast_s: float
    slow_s: float
    slow_share: float = 0.1
    spread: float = 0.35
    status: int = 200

    def draw_s(self, rng: random.Random) -> float:
        """Draw one latency in seconds."""
        median_s = self.slow_s if rng.random() < self.slow_share else self.fast_s
        return rng.lognormvariate(log(median_s), self.spread)


PAGES: Final[Mapping[str, Page]] = {
    "home": Page(method="GET", template="/", weight=18, rush=8, fast_s=0.004, slow_s=0.03),
    "catalogue": Page(
        method="GET", template="/catalogue", weight=14, rush=6, fast_s=0.008, slow_s=0.06
    ),
    "product": Page(
        method="GET", template="/products/{product_id}", weight=22, rush=10, fast_s=0.006,
        slow_s=0.05,
    ),
    "search": Page(
        method="GET", template="/search", weight=12, rush=36, fast_s=0.02, slow_s=0.12,
        slow_share=0.2,
    ),
    "basket": Page(
        method="GET", template="/baskets/{basket_id}", weight=8, rush=4, fast_s=0.005, slow_s=0.03
    ),
    "add": Page(
        method="POST", template="/baskets/{basket_id}/items", weight=6, rush=4, fast_s=0.009,
        slow_s=0.05, status=201,
    ),
    "checkout": Page(
        method="POST", template="/checkout", weight=7, rush=36, fast_s=0.03, slow_s=0.15,
        slow_share=0.15,
    ),
    "login": Page(
        method="POST", template="/login", weight=4, rush=2, fast_s=0.05, slow_s=0.09, spread=0.2
    ),
    "order": Page(
        method="GET", template="/orders/{order_id}", weight=3, rush=2, fast_s=0.007, slow_s=0.04
    ),
    "recommended": Page(
        method="GET", template="/recommendations", weight=4, rush=2, fast_s=0.015, slow_s=0.2,
        slow_share=0.25,
    ),
    "review": Page(
        method="POST", template="/products/{product_id}/reviews", weight=1, rush=1, fast_s=0.012,
        slow_s=0.05, status=201,
    ),
    "shipping": Page(
        method="GET", template="/shipping/rates", weight=2, rush=1, fast_s=0.06, slow_s=0.3
    ),
    "voucher": Page(
        method="POST", template="/vouchers/{code}", weight=1, rush=1, fast_s=0.01, slow_s=0.04
    ),
    "invoice": Page(
        method="GET", template="/orders/{order_id}/invoice", weight=0.5, rush=0.5, fast_s=0.09,
        slow_s=0.35,
    ),
}  # fmt: skip
