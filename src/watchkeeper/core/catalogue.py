"""The catalogue: every metric that Watchkeeper records by itself, named once."""

from typing import Final

from watchkeeper.core.capacity_metrics import CAPACITY
from watchkeeper.core.host_metrics import HOST_WATCH
from watchkeeper.core.metrics import Across, Kind, Metric
from watchkeeper.core.process_metrics import PROCESS_WATCH
from watchkeeper.core.self_metrics import SELF_WATCH

HTTP_DURATION: Final = Metric(
    name="http_server_request_duration_seconds",
    kind=Kind.HISTOGRAM,
    help="Time from the first byte in to the last byte out, per request.",
    labels=("method", "route", "status"),
)
HTTP_BROKEN: Final = Metric(
    name="http_server_broken_responses_total",
    kind=Kind.COUNTER,
    help="Responses below 500 that an exception of the application cut off.",
    labels=("method", "route"),
)
HTTP_UNHANDLED: Final = Metric(
    name="http_server_unhandled_exceptions_total",
    kind=Kind.COUNTER,
    help="Unhandled exceptions after a complete response below 500 (a background task's).",
    labels=("method", "route"),
)
HTTP_DISCONNECTS: Final = Metric(
    name="http_server_disconnects_total",
    kind=Kind.COUNTER,
    help="Requests whose client left before the response was complete; they have no duration.",
    labels=("method", "route"),
)
HTTP_ACTIVE: Final = Metric(
    name="http_server_active_requests",
    kind=Kind.GAUGE,
    help="Requests being answered at the end of the slot.",
)
WEBSOCKET_CONNECTIONS: Final = Metric(
    name="websocket_server_connections_total",
    kind=Kind.COUNTER,
    help="Websocket connections accepted or refused, apart from requests.",
)
PROCESS_CPU: Final = Metric(
    name="process_cpu_utilization_ratio",
    kind=Kind.GAUGE,
    help="CPU time used by the process since the last look, 1 being one whole core.",
    labels=("host", "worker"),
)
PROCESS_MEMORY: Final = Metric(
    name="process_memory_usage_bytes",
    kind=Kind.GAUGE,
    help="Resident memory (RSS) of the process.",
    labels=("host", "worker"),
)
PROCESS_FDS: Final = Metric(
    name="process_open_file_descriptors",
    kind=Kind.GAUGE,
    help="File descriptors that the process holds open.",
    labels=("host", "worker"),
)
PROCESS_THREADS: Final = Metric(
    name="process_threads",
    kind=Kind.GAUGE,
    help="Threads of the process.",
    labels=("host", "worker"),
)
HOST_CPU: Final = Metric(
    name="host_cpu_utilization_ratio",
    kind=Kind.GAUGE,
    help="Share in use of the control group's CPU quota, else of the cores it may use, 0 to 1.",
    labels=("host",),
    across=Across.MAX,
)
HOST_MEMORY: Final = Metric(
    name="host_memory_utilization_ratio",
    kind=Kind.GAUGE,
    help="Share in use of the control group's memory limit, else of the host's memory, 0 to 1.",
    labels=("host",),
    across=Across.MAX,
)
SELF_ERRORS: Final = Metric(
    name="watchkeeper_internal_errors_total",
    kind=Kind.COUNTER,
    help="Exceptions of Watchkeeper's own that its guard swallowed, by border.",
    labels=("where",),
)
SELF_DROPPED: Final = Metric(
    name="watchkeeper_dropped_total",
    kind=Kind.COUNTER,
    help="Things left out because a cap was reached, by what was dropped.",
    labels=("what",),
)
SELF_FLUSH: Final = Metric(
    name="watchkeeper_flush_duration_seconds",
    kind=Kind.HISTOGRAM,
    help="Time to write one slot to the database.",
)
SELF_SERIES: Final = Metric(
    name="watchkeeper_series",
    kind=Kind.GAUGE,
    help="Series in use in this worker.",
)

HTTP_BAD: Final = Metric(
    name="http_server_bad_requests_total",
    kind=Kind.COUNTER,
    help="Answered requests below 500 that the settings call bad: by status or by duration.",
    labels=("method", "route"),
)
HTTP_EXCUSED: Final = Metric(
    name="http_server_excused_requests_total",
    kind=Kind.COUNTER,
    help="Requests of 500 and above that the settings do not call bad: by status or exception.",
    labels=("method", "route"),
)
HTTP_FIRST_BYTE: Final = Metric(
    name="http_server_time_to_first_byte_seconds",
    kind=Kind.HISTOGRAM,
    help="Time until the first byte of the body, of responses that are streamed.",
    labels=("route",),
)
HTTP_QUEUE: Final = Metric(
    name="http_server_request_queue_seconds",
    kind=Kind.HISTOGRAM,
    help="Time between proxy and application, where X-Request-Start or X-Queue-Start tells it.",
    labels=("route",),
)
HTTP_INSIDE: Final = Metric(
    name="http_server_request_inside_seconds",
    kind=Kind.HISTOGRAM,
    help="Time that a request spent in calls of one kind (db, http, cache); the rest is its own.",
    labels=("kind", "route"),
)
HTTP_CALLS: Final = Metric(
    name="http_server_request_calls_total",
    kind=Kind.COUNTER,
    help="Calls of one kind that requests made: db, http or cache.",
    labels=("kind", "route"),
)
WEBSOCKET_DURATION: Final = Metric(
    name="websocket_server_connection_duration_seconds",
    kind=Kind.HISTOGRAM,
    help="Time that a websocket connection lasted.",
    labels=("route",),
)
WEBSOCKET_MESSAGES: Final = Metric(
    name="websocket_server_messages_total",
    kind=Kind.COUNTER,
    help="Messages of websocket connections, by direction: in or out.",
    labels=("direction", "route"),
)
DB_OPERATION: Final = Metric(
    name="db_client_operation_duration_seconds",
    kind=Kind.HISTOGRAM,
    help="Time of one statement or command, as the database client saw it.",
    labels=("db", "operation"),
)
DB_FAILED: Final = Metric(
    name="db_client_failed_operations_total",
    kind=Kind.COUNTER,
    help="Statements and commands that raised.",
    labels=("db", "operation"),
)
DB_STATEMENT: Final = Metric(
    name="db_client_statement_duration_seconds",
    kind=Kind.HISTOGRAM,
    help="Time of one statement, by fingerprint; the statements page has its text.",
    labels=("db", "statement"),
)
DB_ROWS: Final = Metric(
    name="db_client_statement_rows_total",
    kind=Kind.COUNTER,
    help="Rows that a statement returned or changed, where the driver tells it at no cost.",
    labels=("db", "statement"),
)
DB_CALLS: Final = Metric(
    name="db_client_statement_calls_total",
    kind=Kind.COUNTER,
    help="Executions of a statement within requests and jobs, by route.",
    labels=("route", "statement"),
)
DB_REPEATED: Final = Metric(
    name="db_client_repeated_statements_total",
    kind=Kind.COUNTER,
    help="Requests and jobs that ran one statement ten times or more (N+1).",
    labels=("route", "statement"),
)
DB_CONNECTIONS: Final = Metric(
    name="db_client_connection_count",
    kind=Kind.GAUGE,
    help="Connections of a pool, by state: idle or used.",
    labels=("pool", "state"),
)
DB_CONNECTIONS_MAX: Final = Metric(
    name="db_client_connection_max",
    kind=Kind.GAUGE,
    help="Connections that a pool may open.",
    labels=("pool",),
)
DB_WAIT: Final = Metric(
    name="db_client_connection_wait_time_seconds",
    kind=Kind.HISTOGRAM,
    help="Time to get a connection from a pool.",
    labels=("pool",),
)
HTTP_CLIENT: Final = Metric(
    name="http_client_request_duration_seconds",
    kind=Kind.HISTOGRAM,
    help="Time of one outgoing request until its headers came; status is (failed) where none did.",
    labels=("host", "method", "status"),
)
SPAN_DURATION: Final = Metric(
    name="span_duration_seconds",
    kind=Kind.HISTOGRAM,
    help="Time of one span of the application's own.",
    labels=("span",),
)
JOB_DURATION: Final = Metric(
    name="job_duration_seconds",
    kind=Kind.HISTOGRAM,
    help="Time of one run of a job; outcome is ok, failed, cancelled, retried or missed.",
    labels=("job", "outcome"),
)
JOB_WAIT: Final = Metric(
    name="job_wait_seconds",
    kind=Kind.HISTOGRAM,
    help="Time that a run waited: in its queue, or since the moment that its cron names.",
    labels=("job",),
)
JOB_LAST_SUCCESS: Final = Metric(
    name="job_last_success_timestamp_seconds",
    kind=Kind.GAUGE,
    help="When a job last succeeded, in seconds since the epoch.",
    labels=("job",),
    across=Across.MAX,
)
JOB_LATENESS: Final = Metric(
    name="job_lateness_seconds",
    kind=Kind.GAUGE,
    help="How long a run is overdue past its grace; 0 while in time, absent while unknown.",
    labels=("job",),
    across=Across.MAX,
)
SELF_CPU: Final = Metric(
    name="watchkeeper_cpu_seconds_total",
    kind=Kind.COUNTER,
    help="CPU time of Watchkeeper's own thread.",
)
SELF_CPU_SHARE: Final = Metric(
    name="watchkeeper_cpu_utilization_ratio",
    kind=Kind.GAUGE,
    help="CPU of Watchkeeper's thread and of recording, 1 being one whole core.",
)
SELF_REQUEST: Final = Metric(
    name="watchkeeper_request_overhead_seconds",
    kind=Kind.HISTOGRAM,
    help="Time that recording took of a request, measured on one request a second.",
)
SELF_SAMPLING: Final = Metric(
    name="watchkeeper_sampling_level",
    kind=Kind.GAUGE,
    help="How much is sampled: 2 everything, 1 failed and ordinary requests only, 0 nothing.",
    across=Across.LAST,
)
SELF_HELD: Final = Metric(
    name="watchkeeper_held_slots",
    kind=Kind.GAUGE,
    help="Slots that wait for the database.",
)
SELF_OUTBOX: Final = Metric(
    name="watchkeeper_outbox_waiting",
    kind=Kind.GAUGE,
    help="Notifications that wait to be delivered.",
    across=Across.MAX,
)
SELF_STORED: Final = Metric(
    name="watchkeeper_stored_bytes",
    kind=Kind.GAUGE,
    help="Room that Watchkeeper's tables take.",
    across=Across.MAX,
)
SELF_BUDGET: Final = Metric(
    name="watchkeeper_storage_used_ratio",
    kind=Kind.GAUGE,
    help="Share of `storage_budget` that is used; room that is to be filled again does not count.",
    across=Across.LAST,
)
SELF_STORING: Final = Metric(
    name="watchkeeper_storing_level",
    kind=Kind.GAUGE,
    help="What is stored: 4 everything, 3 fewer samples, 2 the finest data for a shorter time, "
    "1 metrics and counts only, 0 nothing.",
    across=Across.LAST,
)
SELF_PRUNE: Final = Metric(
    name="watchkeeper_prune_duration_seconds",
    kind=Kind.HISTOGRAM,
    help="Time of one transaction that deletes what is past its time, or gives room back.",
)
SELF_UP: Final = Metric(
    name="watchkeeper_up",
    kind=Kind.GAUGE,
    help="1 in every minute of which something is stored; made when its hour is sealed.",
    across=Across.MAX,
)
HTTP_ALL: Final = Metric(
    name="http_server_all_requests_duration_seconds",
    kind=Kind.HISTOGRAM,
    help="Time of all requests by class of status (2xx, 5xx); made when their hour is sealed.",
    labels=("status",),
)

CATALOGUE: Final = (
    HTTP_DURATION,
    HTTP_BROKEN,
    HTTP_UNHANDLED,
    HTTP_DISCONNECTS,
    HTTP_ACTIVE,
    HTTP_BAD,
    HTTP_EXCUSED,
    HTTP_FIRST_BYTE,
    HTTP_QUEUE,
    HTTP_INSIDE,
    HTTP_CALLS,
    WEBSOCKET_CONNECTIONS,
    WEBSOCKET_DURATION,
    WEBSOCKET_MESSAGES,
    DB_OPERATION,
    DB_FAILED,
    DB_STATEMENT,
    DB_ROWS,
    DB_CALLS,
    DB_REPEATED,
    DB_CONNECTIONS,
    DB_CONNECTIONS_MAX,
    DB_WAIT,
    HTTP_CLIENT,
    SPAN_DURATION,
    JOB_DURATION,
    JOB_WAIT,
    JOB_LAST_SUCCESS,
    JOB_LATENESS,
    PROCESS_CPU,
    PROCESS_MEMORY,
    PROCESS_FDS,
    PROCESS_THREADS,
    HOST_CPU,
    HOST_MEMORY,
    *PROCESS_WATCH,
    *HOST_WATCH,
    *CAPACITY,
    SELF_ERRORS,
    SELF_DROPPED,
    SELF_FLUSH,
    SELF_SERIES,
    SELF_CPU,
    SELF_CPU_SHARE,
    SELF_REQUEST,
    SELF_SAMPLING,
    SELF_HELD,
    SELF_OUTBOX,
    *SELF_WATCH,
    SELF_STORED,
    SELF_BUDGET,
    SELF_STORING,
    SELF_PRUNE,
    SELF_UP,
    HTTP_ALL,
)
