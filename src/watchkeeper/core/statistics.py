"""How sure a share of a few observations is, and how sure a count."""

from math import sqrt
from typing import Final

Z_99: Final = 2.3263478740408408  # one-sided 99 % of the normal distribution


def wilson_lower(bad: float, total: float, *, z: float = Z_99) -> float:
    """Return the lower end of the one-sided Wilson interval of the share `bad / total`.

    The true share lies above it with 99 % confidence at the default `z`. 0 without observations.
    Source: E. B. Wilson, Journal of the American Statistical Association 22 (1927).
    """
    if total <= 0 or bad <= 0:
        return 0.0
    share = min(bad / total, 1.0)
    z2 = z * z
    centre = share + z2 / (2 * total)
    spread = z * sqrt((share * (1 - share) + z2 / (4 * total)) / total)
    return (centre - spread) / (1 + z2 / total)


def count_lower(count: float, *, z: float = Z_99) -> float:
    """Return the least mean that a Poisson count still leaves likely, with 99 % confidence.

    Source: E. B. Wilson and M. M. Hilferty, PNAS 17 (1931): a cube root makes it nearly normal.
    """
    if count <= 0:
        return 0.0
    return count * max(1 - 1 / (9 * count) - z / (3 * sqrt(count)), 0.0) ** 3


def count_upper(count: float, *, z: float = Z_99) -> float:
    """Return the largest mean that a Poisson count still leaves likely, with 99 % confidence.

    Source: as `count_lower`.
    """
    following = max(count, 0.0) + 1
    return following * (1 - 1 / (9 * following) + z / (3 * sqrt(following))) ** 3
