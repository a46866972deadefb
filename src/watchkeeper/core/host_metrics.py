"""The part of the catalogue that tells more of a host: one of its workers reports it."""

from typing import Final

from watchkeeper.core.metrics import Across, Kind, Metric

HOST_LOAD: Final = Metric(
    name="host_load_average_1m",
    kind=Kind.GAUGE,
    help="Tasks that run or wait for a core or a disk: the mean of a minute.",
    labels=("host",),
    across=Across.MAX,
)
HOST_MEMORY_USED: Final = Metric(
    name="host_memory_usage_bytes",
    kind=Kind.GAUGE,
    help="Memory in use of the control group if it has a limit, else of the host; what can be "
    "dropped at once does not count.",
    labels=("host",),
    across=Across.MAX,
)
HOST_MEMORY_MAX: Final = Metric(
    name="host_memory_limit_bytes",
    kind=Kind.GAUGE,
    help="The control group's memory limit, else the host's memory.",
    labels=("host",),
    across=Across.MAX,
)
HOST_MEMORY_FULL_IN: Final = Metric(
    name="host_memory_full_in_seconds",
    kind=Kind.GAUGE,
    help="Time until this memory is full at the trend of the last 6 h; 30 days: or later. Absent "
    "in the first hour of a worker.",
    labels=("host",),
    across=Across.LAST,
)
HOST_SWAP: Final = Metric(
    name="host_swap_utilization_ratio",
    kind=Kind.GAUGE,
    help="Share in use of the host's swap space, 0 to 1; absent without any.",
    labels=("host",),
    across=Across.MAX,
)
HOST_DISK_FREE: Final = Metric(
    name="host_disk_free_bytes",
    kind=Kind.GAUGE,
    help="Room that is left on a file system that is needed, for who is not root.",
    labels=("host", "mount"),
    across=Across.LAST,
)
HOST_INODES: Final = Metric(
    name="host_disk_inode_utilization_ratio",
    kind=Kind.GAUGE,
    help="Share in use of the inodes (files) of a file system that is needed, 0 to 1; absent "
    "where there is no limit.",
    labels=("host", "mount"),
    across=Across.MAX,
)
HOST_NETWORK: Final = Metric(
    name="host_network_io_bytes_total",
    kind=Kind.COUNTER,
    help="Bytes over the host's network, without loopback, by direction: in or out.",
    labels=("direction", "host"),
)
HOST_NETWORK_ERRORS: Final = Metric(
    name="host_network_errors_total",
    kind=Kind.COUNTER,
    help="Packets that were damaged or dropped, without loopback, by direction: in or out.",
    labels=("direction", "host"),
)

HOST_WATCH: Final = (
    HOST_LOAD,
    HOST_MEMORY_USED,
    HOST_MEMORY_MAX,
    HOST_MEMORY_FULL_IN,
    HOST_SWAP,
    HOST_DISK_FREE,
    HOST_INODES,
    HOST_NETWORK,
    HOST_NETWORK_ERRORS,
)
