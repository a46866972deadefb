"""What processes have written to a database, read back from outside of them."""

from collections import Counter

from watchkeeper.core.histogram import Histogram
from watchkeeper.exceptions import StorageError
from watchkeeper.storage import open_store

FOR_EVER = 2**40


def counted(url: str, metric: str, *labels: str, slot_s: int = 10) -> Counter[str]:
    """Count what all processes of the test's shop have written of a metric: {"report ok": 3}.

    Nothing while its tables are not there, or cannot be read.
    """
    found: Counter[str] = Counter()
    store = open_store(url)
    try:
        frames = store.frames(slot_s, since=0, until=FOR_EVER, service="shop", environment="test")
    except StorageError:
        return found
    finally:
        store.close()
    for frame in frames:
        for series, value in frame.values.items():
            if series.metric == metric:
                key = " ".join(series.label(label) for label in labels)
                found[key] += value.count if isinstance(value, Histogram) else int(value)
    return found
