"""The part of the catalogue that tells what one process uses, and its interpreter."""

from typing import Final

from watchkeeper.core.metrics import Across, Kind, Metric

_OF: Final = ("host", "worker")

PROCESS_CPU_LIMIT: Final = Metric(
    name="process_cpu_limit_utilization_ratio",
    kind=Kind.GAUGE,
    help="CPU time used as a share of the control group's quota, else of the cores it may use.",
    labels=_OF,
)
PROCESS_MEMORY_UNIQUE: Final = Metric(
    name="process_memory_unique_bytes",
    kind=Kind.GAUGE,
    help="Memory that would be free if the process ended (USS); Linux, as often as it is cheap.",
    labels=_OF,
)
PROCESS_MEMORY_LIMIT: Final = Metric(
    name="process_memory_limit_utilization_ratio",
    kind=Kind.GAUGE,
    help="Resident memory as a share of the control group's limit, 0 to 1; absent without one.",
    labels=_OF,
)
PROCESS_SWITCHES: Final = Metric(
    name="process_context_switches_total",
    kind=Kind.COUNTER,
    help="Context switches by type: voluntary (it waited) or involuntary (the core was wanted).",
    labels=(*_OF, "type"),
)
PROCESS_FAULTS: Final = Metric(
    name="process_paging_faults_total",
    kind=Kind.COUNTER,
    help="Page faults by type: minor, or major (read from a disk).",
    labels=(*_OF, "type"),
)
PROCESS_UPTIME: Final = Metric(
    name="process_uptime_seconds",
    kind=Kind.GAUGE,
    help="Time since the process started.",
    labels=_OF,
    across=Across.MAX,
)
GC_COLLECTIONS: Final = Metric(
    name="cpython_gc_collections_total",
    kind=Kind.COUNTER,
    help="Runs of the garbage collector, by generation.",
    labels=("generation", *_OF),
)
GC_PAUSE: Final = Metric(
    name="cpython_gc_pause_seconds",
    kind=Kind.HISTOGRAM,
    help="Time of one run of the garbage collector: every thread of the process waits for it.",
    labels=_OF,
)
GC_UNCOLLECTABLE: Final = Metric(
    name="cpython_gc_uncollectable_objects_total",
    kind=Kind.COUNTER,
    help="Objects that the garbage collector found but could not free.",
    labels=_OF,
)
ALLOCATED_BLOCKS: Final = Metric(
    name="cpython_allocated_blocks",
    kind=Kind.GAUGE,
    help="Blocks of memory that the interpreter has given to objects (sys.getallocatedblocks).",
    labels=_OF,
)
THREAD_POOL_USED: Final = Metric(
    name="thread_pool_used_threads",
    kind=Kind.GAUGE,
    help="Threads in use of the pool in which anyio, and so Starlette, runs functions that block.",
    labels=_OF,
)
THREAD_POOL_MAX: Final = Metric(
    name="thread_pool_max_threads",
    kind=Kind.GAUGE,
    help="Threads that this pool may use; when all are in use, requests wait for one.",
    labels=_OF,
)
HTTP_OLDEST: Final = Metric(
    name="http_server_oldest_request_age_seconds",
    kind=Kind.GAUGE,
    help="Age of the oldest request that is still being answered; 0: none.",
    across=Across.MAX,
)

PROCESS_WATCH: Final = (
    PROCESS_CPU_LIMIT,
    PROCESS_MEMORY_UNIQUE,
    PROCESS_MEMORY_LIMIT,
    PROCESS_SWITCHES,
    PROCESS_FAULTS,
    PROCESS_UPTIME,
    GC_COLLECTIONS,
    GC_PAUSE,
    GC_UNCOLLECTABLE,
    ALLOCATED_BLOCKS,
    THREAD_POOL_USED,
    THREAD_POOL_MAX,
    HTTP_OLDEST,
)
