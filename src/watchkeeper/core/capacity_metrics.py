"""The part of the catalogue that tells how near its end something limited is."""

from typing import Final

from watchkeeper.core.metrics import Across, Kind, Metric

PROCESS_FDS_USED: Final = Metric(
    name="process_file_descriptor_utilization_ratio",
    kind=Kind.GAUGE,
    help="Share in use of the file descriptors that the process may open (soft limit), 0 to 1.",
    labels=("host", "worker"),
    across=Across.MAX,
)
HOST_DISK: Final = Metric(
    name="host_disk_utilization_ratio",
    kind=Kind.GAUGE,
    help="Share in use of a file system that is needed: the database file's, the working and the "
    "temporary folder's, 0 to 1.",
    labels=("host", "mount"),
    across=Across.MAX,
)
HOST_DISK_FULL_IN: Final = Metric(
    name="host_disk_full_in_seconds",
    kind=Kind.GAUGE,
    help="Time until such a file system is full at the trend of the last 6 h; 30 days: or later. "
    "Absent in the first hour of a worker.",
    labels=("host", "mount"),
    across=Across.LAST,
)
EVENT_LOOP_LAG: Final = Metric(
    name="event_loop_lag_seconds",
    kind=Kind.HISTOGRAM,
    help="How late an event loop came to a timer: ten figures a second; ASGI only. The loops of a "
    "process are numbered from 1.",
    labels=("host", "loop", "worker"),
)
DB_CONNECTIONS_USED: Final = Metric(
    name="db_client_connection_utilization_ratio",
    kind=Kind.GAUGE,
    help="Share in use of the connections that a pool may open, in the worker where it is most.",
    labels=("pool",),
    across=Across.MAX,
)

CAPACITY: Final = (
    PROCESS_FDS_USED,
    HOST_DISK,
    HOST_DISK_FULL_IN,
    EVENT_LOOP_LAG,
    DB_CONNECTIONS_USED,
)
