"""The settings: frozen, checked when made, every error naming the key and the cure."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

from watchkeeper.core.badness import BadnessRules, badness_rules
from watchkeeper.core.budget import (
    FILE_BUDGET_BYTES,
    MIN_BUDGET_BYTES,
    SERVER_BUDGET_BYTES,
)
from watchkeeper.core.rule import Alert
from watchkeeper.core.schedules import zone_named
from watchkeeper.core.scrub import Rules
from watchkeeper.core.silences import parse_quiet_hours, parse_silences
from watchkeeper.core.units import parse_duration, parse_share, parse_size, write_size
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.settings.headers import check_header

if TYPE_CHECKING:
    from sqlalchemy import Engine

USUAL_SLOT_S: Final = 10
DEFAULT_DATABASE: Final = "watchkeeper.db"
DATABASES: Final = ("sqlite", "postgresql", "mariadb", "mysql", "memory")
QUIET_ROUTES: Final = (
    "/favicon.ico",
    "/robots.txt",
    "/health",
    "/healthz",
    "/livez",
    "/readyz",
    "/ping",
)
_SLOTS_S: Final = (1, 2, 5, 10, 15, 20, 30, 60)  # whole slots make a whole minute
_DURATIONS: Final = (
    "slot",
    "flush_jitter",
    "hold",
    "keep_slots",
    "keep_minutes",
    "keep_hours",
    "keep_events",
    "keep_samples",
    "statement_timeout",
)
_PREFIX: Final = re.compile("[a-z][a-z0-9_]{0,19}")  # PostgreSQL's names end at 63 characters
_MIGRATE: Final = ("auto", "manual")
_SCHEMA: Final = re.compile("([a-z][a-z0-9_]{0,62})?")
_PLACE_FRAMES: Final = ("1", "2", "all")
_MODULES: Final = ("fingerprint_transparent", "in_app_include", "in_app_exclude")
_POSITIVE: Final = ("max_routes", "max_series", "max_issues", "max_samples")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that can be set, with the defaults that a small team should keep.

    Durations are texts such as "10s" or "14d", sizes such as "32MB". Each field is also an
    environment variable (`WATCHKEEPER_` and the name in upper case) and a key of
    `watchkeeper.toml`. Raises ConfigurationError for a value that cannot be.
    """

    enabled: bool | None = None
    """On or off; unset means on, but off under test runners."""
    database_url: "str | Engine" = field(default=DEFAULT_DATABASE, repr=False)
    """Where everything is kept: a file name, `sqlite:///…`, `postgresql://…` or `mariadb://…`;
    in code also an `Engine` of SQLAlchemy's."""
    table_prefix: str = "wk_"
    """What the names of our tables and indexes begin with."""
    database_schema: str = ""
    """The schema of PostgreSQL that our tables are in; unset: the user's own, mostly `public`."""
    migrate: str = "auto"
    """Who brings the tables up to date: the application when it starts ("auto"), or only
    `watchkeeper migrate` ("manual")."""
    service: str = ""
    """The name of the application; unset: the name of the working directory."""
    environment: str = "production"
    """Which deployment this is: production, staging, …"""
    release: str = ""
    """The version that runs; unset: a variable of the platform or REVISION (docs/deploys.md)."""
    public_url: str = ""
    """Where browsers reach the application (`https://shop.example`); links in messages need it."""
    secret_key: str = field(default="", repr=False)
    """Signs cookies; unset: a random key that is kept in the database."""
    password: str = field(default="", repr=False)
    """Opens the dashboard; unset: one-time links from `watchkeeper open` only."""
    auth: Callable[[Any], bool] | None = None
    """Decides for each request (dashboard.http.Request) who may see the dashboard."""
    open_access: bool = False
    """Dashboard without a door, for the demo on loopback only."""
    dashboard: bool = True
    """Serve the dashboard."""
    dashboard_prefix: str = "/watchkeeper"
    """The path that the dashboard and the probes live under."""
    health_at_root: bool = False
    """Serve the probes at /livez, /readyz and /health too; routes of your own there go first."""
    slot: str = "10s"
    """The length of a slot: the finest resolution, and the rhythm of flushing."""
    flush_jitter: str = "2s"
    """Each flush waits up to this long, so that many workers do not write at once."""
    hold: str = "1h"
    """How much is held in memory while the database is away."""
    hold_bytes: str = "32MB"
    """How large what is held may grow; beyond it the oldest slots are merged."""
    spool: str = ""
    """Folder for slots that still wait for the database when the process stops; unset: beside a
    SQLite file, else where systemd or the user keeps state; `off`: those slots are lost."""
    keep_slots: str = "24h"
    """How long slots are kept."""
    keep_minutes: str = "14d"
    """How long minutes are kept."""
    keep_hours: str = "400d"
    """How long the rows of hours are kept."""
    keep_events: str = "30d"
    """How long stored events of errors are kept."""
    keep_samples: str = "7d"
    """How long stored requests are kept."""
    max_samples: int = 50_000
    """How many stored requests are kept at most."""
    storage_budget: str = ""
    """How large the tables may grow (`2GiB`); beyond it less is stored, step by step, the finest
    data going first. Unset: 1GiB on SQLite, 5GiB on a server."""
    statement_timeout: str = "5s"
    """How long one statement to the database may take."""
    max_routes: int = 300
    """Routes per worker; further ones are counted as `(other)`."""
    max_series: int = 2_000
    """Series per worker; further ones are counted as `(other)`."""
    max_issues: int = 1_000
    """Different errors per worker and slot; further ones are counted as one."""
    samples: bool = True
    """Store some requests with what happened inside: failed, slow and ordinary ones."""
    own_cpu_budget: str = "1%"
    """Share of a core for the own thread, at slots of 10 s; beyond it less is sampled."""
    fingerprint_frames: "int | str" = 2
    """How many of the application's innermost functions make the place that errors are grouped
    by: 1 merges the users of a helper, "all" parts every way to it."""
    fingerprint_transparent: Sequence[str] = ()
    """Functions that are looked through when that place is chosen: patterns as "shop.util.*"."""
    fingerprint: Callable[[Any], Any] | None = None
    """Groups errors: gets the exception, returns texts that make its fingerprint ("{default}":
    the usual one), or None."""
    in_app_include: Sequence[str] = ()
    """Modules, with all in them, that are the application although they are installed."""
    in_app_exclude: Sequence[str] = ()
    """Modules, with all in them, whose functions do not count as the application's."""
    instruments: Mapping[str, bool] = field(default_factory=dict)
    """Instruments by name, on or off; unset: on where the library is imported."""
    capture_logs: bool = True
    """Record what is logged at ERROR and above: the exception, or the record if there is none."""
    capture_uncaught: bool = True
    """Record exceptions that end the process or a thread, or that Python can only print."""
    capture_futures: bool = True
    """Record exceptions of executors' work whose result nobody asks for."""
    capture_crashes: bool = True
    """Record at the next start what made the process crash, unless the host has a faulthandler."""
    bad_statuses: Sequence[Any] = ("5xx",)
    """Which answers count as bad: classes as "5xx", single ones as 429."""
    expected_exceptions: Sequence[Any] = ()
    """Exceptions (classes or full names, with their subclasses; in code also functions that are
    given the exception) that are neither issues nor bad requests."""
    bad_above: str = ""
    """A duration from which on an answered request counts as bad; unset: none."""
    routes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Route template → its own `bad_statuses`, `expected_exceptions`, `bad_above`."""
    quiet_routes: Sequence[str] = QUIET_ROUTES
    """Counted as one, `(quiet)`; like static files not sampled, and no requests to rules."""
    route_name: Callable[[Any], str | None] | None = None
    """Names requests: gets method, path and route; None: as it is, "": not recorded."""
    scrub_keys: Sequence[str] = ()
    """Further keys whose values are masked: a word ("iban") or words in a row ("order note")."""
    scrub_exempt: Sequence[str] = ()
    """Whole keys whose values are not masked, such as "x-forwarded-for" or "session"."""
    scrub_values: Sequence[str] = ()
    """Further values masked in all texts: "email", "ip", "phone", "mac", "user_folder", "ssn",
    "imei"."""
    request_id_header: str = ""
    """The header that each answer sends the request's id back with, and that a client may send one
    in; unset: ids are read from `X-Request-ID` and not sent back."""
    before_store: Callable[[Any], Any] | None = None
    """Changes an event or a sample (a dict) before it is stored; None drops it."""
    alerts: Sequence[Alert] = ()
    """The alert rules, added to the default pack; one of the same name replaces it."""
    alert_pack: bool = True
    """Use the default alert pack."""
    channels: Mapping[str, Any] = field(default_factory=dict)
    """Where messages go: a name → a mapping with `type`, or a Notifier object. Each mapping may
    have `fallback`, another channel that gets what this one does not take within five minutes, and
    `max_messages` (20): an hour's limit, beyond which digests list the rest."""
    routing: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Severity → names of channels; without it every channel gets everything."""
    silences: Sequence[Any] = ()
    """Planned times at which nobody is told, as tables with `match`, `every` or `from` and
    `until`, and `comment`; in a file `[[silence]]`."""
    time_zone: str = "UTC"
    """Where the users are: rules compare hours with the same local hour of weeks before."""
    quiet_hours: Mapping[str, Any] = field(default_factory=dict)
    """When alerts below a severity wait: `{every = "daily 22:00-07:00 Europe/Berlin", below =
    "critical"}`; unset: never."""
    heartbeat_url: str = field(default="", repr=False)
    """An address that is called (an empty POST) each minute while flushing and evaluation work:
    whoever listens there tells when the calls stay away."""
    health_checks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Built-in checks: a name → a mapping with `type` and its options (see health-checks/)."""

    def __new__(cls, **given: Any) -> Self:
        """Remember which fields were given, for those win over environment and file."""
        unknown = [name for name in given if name not in cls.__dataclass_fields__]
        if unknown:
            raise ConfigurationError(unknown_setting(unknown[0]))
        settings = super().__new__(cls)
        object.__setattr__(settings, "given", frozenset(given))
        return settings

    def __post_init__(self) -> None:
        """Check every value."""
        for name in _DURATIONS:
            parse_duration(_text(getattr(self, name), name), where=name)
        if self.slot_s not in _SLOTS_S:
            raise ConfigurationError(
                f"slot: {self.slot!r} does not divide a minute; use one of "
                + ", ".join(f"{length}s" for length in _SLOTS_S)
            )
        parse_size(_text(self.hold_bytes, "hold_bytes"), where="hold_bytes")
        if type(self.spool) is not str or "\0" in self.spool:
            raise ConfigurationError(f'spool: {self.spool!r} is no folder; write a path, or "off"')
        for name in _POSITIVE:
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ConfigurationError(f"{name}: {value!r} is not a whole number above 0")
        parse_share(_text(self.own_cpu_budget, "own_cpu_budget"), where="own_cpu_budget")
        self.badness()
        self.scrub_rules()
        if isinstance(self.quiet_routes, str):
            raise ConfigurationError(f'quiet_routes: write a list: ["{self.quiet_routes}"]')
        self._check_grouping()
        self._check_budget()
        self._check_database()
        self._check_addresses()
        check_header(_text(self.request_id_header, "request_id_header"))
        self._check_alerts()
        self._check_routing()
        parse_silences(self.silences, where="silences")
        parse_quiet_hours(self.quiet_hours, where="quiet_hours")
        zone_named(self.time_zone, where="time_zone")

    @property
    def slot_s(self) -> int:
        """The length of a slot in seconds."""
        return int(parse_duration(self.slot, where="slot"))

    @property
    def storage_budget_bytes(self) -> int:
        """How many bytes the tables may take."""
        if self.storage_budget:
            return parse_size(self.storage_budget, where="storage_budget")
        url = self.database_url
        kind = url.partition("://") if isinstance(url, str) else (url.dialect.name, "://", "")
        server = kind[1] and not kind[0].startswith(("sqlite", "memory"))
        return SERVER_BUDGET_BYTES if server else FILE_BUDGET_BYTES

    @property
    def place_frames(self) -> int:
        """The number of frames that make an error's place, 0 for all."""
        return 0 if self.fingerprint_frames == "all" else int(self.fingerprint_frames)

    @property
    def own_cpu_share(self) -> float:
        """The budget as a share of a core: who wants shorter slots pays for more of them."""
        share = parse_share(self.own_cpu_budget, where="own_cpu_budget")
        return min(1.0, share * max(1.0, USUAL_SLOT_S / self.slot_s))

    def seconds(self, name: str) -> float:
        """Return a setting that is a duration, in seconds."""
        return parse_duration(getattr(self, name), where=name)

    @property
    def database_place(self) -> str:
        """Name the database in a few words, without user, password and host options."""
        url = self.database_url
        if not isinstance(url, str):
            return f"{url.dialect.name} {url.url.database or ''}".strip()
        if "://" not in url:
            return f"sqlite {url}"
        scheme, rest = url.split("://", 1)
        name = rest.split("?", 1)[0].rsplit("/", 1)[-1]
        return f"{scheme.split('+')[0]} {name}".strip()

    def badness(self) -> BadnessRules:
        """Return what counts as a bad request, on each route."""
        return badness_rules(
            statuses=self.bad_statuses,
            expected=self.expected_exceptions,
            above=self.bad_above,
            routes=self.routes,
        )

    def scrub_rules(self) -> Rules:
        """Return what is masked before anything is written."""
        return Rules.made_of(
            keys=self.scrub_keys, exempt=self.scrub_exempt, values=self.scrub_values
        )

    def _check_alerts(self) -> None:
        for number, alert in enumerate(self.alerts):
            if not isinstance(alert, Alert):
                raise ConfigurationError(
                    f"alerts[{number}]: {alert!r} is not an Alert; "
                    'write Alert("name", when="error_rate > 5%")'
                )

    def _check_grouping(self) -> None:
        if str(self.fingerprint_frames) not in _PLACE_FRAMES:
            raise ConfigurationError(
                f'fingerprint_frames: {self.fingerprint_frames!r} is not 1, 2 or "all"'
            )
        for name in _MODULES:
            value = getattr(self, name)
            if isinstance(value, str) or not all(isinstance(one, str) for one in value):
                raise ConfigurationError(f'{name}: {value!r} is no list; write ["shop.util"]')
        if self.fingerprint is not None and not callable(self.fingerprint):
            raise ConfigurationError(
                f"fingerprint: {self.fingerprint!r} is not a function; a file cannot hold one"
            )

    def _check_budget(self) -> None:
        text = _text(self.storage_budget, "storage_budget")
        if text and parse_size(text, where="storage_budget") < MIN_BUDGET_BYTES:
            raise ConfigurationError(
                f"storage_budget: {text!r} is too little to store anything; "
                f"write at least '{write_size(MIN_BUDGET_BYTES)}'"
            )

    def _check_database(self) -> None:
        url = self.database_url
        if isinstance(url, str):
            scheme, separator, _ = url.partition("://")
            if separator and scheme.partition("+")[0] not in DATABASES:
                raise ConfigurationError(
                    f"database_url: {scheme!r} is not supported; write a file name, "
                    "sqlite:///…, postgresql://… or mariadb://…"
                )
        elif not hasattr(url, "dialect") or hasattr(url, "sync_engine"):
            raise ConfigurationError(
                f"database_url: {type(url).__name__} is neither a text nor an Engine of "
                "SQLAlchemy (an AsyncEngine's driver cannot be used from our thread; write a URL)"
            )
        if not _PREFIX.fullmatch(_text(self.table_prefix, "table_prefix")):
            raise ConfigurationError(
                f"table_prefix: {self.table_prefix!r} must be of at most 20 lower-case letters, "
                "digits and underscores, and begin with a letter, as wk_ does"
            )
        if not _SCHEMA.fullmatch(_text(self.database_schema, "database_schema")):
            raise ConfigurationError(
                f"database_schema: {self.database_schema!r} must be of lower-case letters, "
                "digits and underscores, and begin with a letter"
            )
        if self.migrate not in _MIGRATE:
            raise ConfigurationError(f'migrate: {self.migrate!r} is neither "auto" nor "manual"')

    def _check_addresses(self) -> None:
        prefix = self.dashboard_prefix
        if not prefix.startswith("/") or prefix.endswith("/"):
            raise ConfigurationError(
                f"dashboard_prefix: {prefix!r} must begin with a slash and not end with one, "
                "as /watchkeeper does"
            )
        if self.public_url and urlsplit(self.public_url).scheme not in ("http", "https"):
            raise ConfigurationError(
                f"public_url: {self.public_url!r} is not a web address; write https://…"
            )

    def _check_routing(self) -> None:
        for severity, names in self.routing.items():
            if isinstance(names, str):
                raise ConfigurationError(f'routing.{severity}: write a list: ["{names}"]')
            for name in names:
                if name not in self.channels:
                    known = ", ".join(sorted(self.channels)) or "none"
                    raise ConfigurationError(
                        f"routing.{severity}: there is no channel {name!r}; known: {known}"
                    )


def unknown_setting(name: str, known: Collection[str] | None = None) -> str:
    """Say that a setting is not among the known ones (None: all), and which was probably meant."""
    names = [one.name for one in fields(Settings)] if known is None else known
    close = get_close_matches(name, names, n=1)
    return f'unknown setting "{name}"' + (f'; did you mean "{close[0]}"?' if close else "")


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise ConfigurationError(f"{name}: {value!r} is not a text; write it with a unit: '10s'")
    return value
