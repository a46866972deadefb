"""The addresses of the JSON API that tell of the inside of requests, and of issues."""

import re
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from typing import Any, Final

from watchkeeper.core.kept_events import MAX_EVENTS
from watchkeeper.dashboard.alerts import alerts, rules, silences
from watchkeeper.dashboard.api import plain
from watchkeeper.dashboard.audits import audits
from watchkeeper.dashboard.incident import incident_view
from watchkeeper.dashboard.inside import routes
from watchkeeper.dashboard.issue import events_view, issue_view
from watchkeeper.dashboard.issues import issues
from watchkeeper.dashboard.jobs import jobs
from watchkeeper.dashboard.outgoing import outgoing
from watchkeeper.dashboard.own_figures import own_figures
from watchkeeper.dashboard.parameters import (
    MAX_ID_DIGITS,
    parse_apdex,
    parse_choice,
    parse_id,
    parse_number,
    parse_over,
    parse_page,
)
from watchkeeper.dashboard.pools import pools
from watchkeeper.dashboard.releases import releases
from watchkeeper.dashboard.samples import sample, samples
from watchkeeper.dashboard.searching import parse_search
from watchkeeper.dashboard.statements import statements
from watchkeeper.dashboard.sums import Query
from watchkeeper.dashboard.uptime import health
from watchkeeper.dashboard.visit import Visit, Watched
from watchkeeper.storage.turns import give_way

Answer = Callable[..., Any]
"""From a Watchkeeper, a visit and the parts of its path to a view model; None: not found."""


def endpoint(path: str) -> Callable[[Watched, Visit], Any] | None:
    """Return what answers a path, with plain values; None if the path is not of this API.

    What it returns is None where the path names nothing; it raises ParameterError for parameters
    that cannot be read, and StorageError.
    """
    for pattern, answer in _TABLE:
        found = pattern.fullmatch(path)
        if found:
            return partial(_answered, answer, found.groups())
    return None


def _answered(answer: Answer, parts: tuple[str, ...], wk: Watched, visit: Visit) -> Any:
    view = answer(wk, visit, *parts)
    return None if view is None else plain(asdict(view))


def _query(wk: Watched, visit: Visit) -> Query:
    return Query(
        store=visit.store,
        service=wk.scope.service,
        environment=wk.scope.environment,
        start=visit.window.start,
        end=visit.window.end,
        now=visit.now,
        slot_s=wk.settings.slot_s,
        pause=give_way,
    )


def _routes(wk: Watched, visit: Visit) -> Any:
    apdex_s, page = parse_apdex(visit.query), parse_page(visit.query)
    return routes(_query(wk, visit), apdex_s=apdex_s, page=page)


def _statements(wk: Watched, visit: Visit) -> Any:
    return statements(_query(wk, visit), page=parse_page(visit.query))


def _outgoing(wk: Watched, visit: Visit) -> Any:
    return outgoing(_query(wk, visit), page=parse_page(visit.query))


def _pools(wk: Watched, visit: Visit) -> Any:
    return pools(_query(wk, visit), page=parse_page(visit.query))


def _jobs(wk: Watched, visit: Visit) -> Any:
    return jobs(_query(wk, visit), page=parse_page(visit.query))


def _health(wk: Watched, visit: Visit) -> Any:
    query, over_s = _query(wk, visit), parse_over(visit.query)
    if over_s is not None:
        query = replace(query, start=query.end - over_s)
    return health(query, page=parse_page(visit.query))


def _samples(wk: Watched, visit: Visit) -> Any:
    return samples(
        _query(wk, visit),
        page=parse_page(visit.query),
        route=parse_choice(visit.query, "route"),
        reason=parse_choice(visit.query, "reason"),
        request_id=parse_choice(visit.query, "request_id"),
        issue=parse_id(visit.query, "issue"),
    )


def _sample(wk: Watched, visit: Visit, sample_id: str) -> Any:
    return sample(_query(wk, visit), sample_id)


def _releases(wk: Watched, visit: Visit) -> Any:
    return releases(_query(wk, visit), page=parse_page(visit.query))


def _audit(wk: Watched, visit: Visit) -> Any:
    return audits(_query(wk, visit), page=parse_page(visit.query))


def _issues(wk: Watched, visit: Visit) -> Any:
    asked = parse_search(visit.query, now=visit.now)
    page = parse_page(visit.query)
    return issues(_query(wk, visit), asked.search, page=page, rising=asked.rising)


def _issue(wk: Watched, visit: Visit, issue_id: str) -> Any:
    number = parse_number(visit.query, "event", 1, low=1, high=MAX_EVENTS)
    return issue_view(_query(wk, visit), int(issue_id), number=number)


def _events(wk: Watched, visit: Visit, issue_id: str) -> Any:
    return events_view(_query(wk, visit), int(issue_id), page=parse_page(visit.query))


def _incident(wk: Watched, visit: Visit, incident_id: str) -> Any:
    return incident_view(_query(wk, visit), int(incident_id), planned=wk.settings.silences)


def _alerts(wk: Watched, visit: Visit) -> Any:
    page = parse_page(visit.query)
    return alerts(_query(wk, visit), since=visit.window.start, limit=page.limit)


def _silences(wk: Watched, visit: Visit) -> Any:
    return silences(_query(wk, visit), wk.settings.silences)


def _rules(wk: Watched, visit: Visit) -> Any:
    return rules(_query(wk, visit), wk.rules)


def _self(wk: Watched, visit: Visit) -> Any:
    return own_figures(_query(wk, visit), folded=wk.recorder.folded())


_ID: Final = rf"[0-9]{{1,{MAX_ID_DIGITS}}}"
_TABLE: Final[tuple[tuple[re.Pattern[str], Answer], ...]] = (
    (re.compile(r"/api/v1/routes\.json"), _routes),
    (re.compile(r"/api/v1/statements\.json"), _statements),
    (re.compile(r"/api/v1/outgoing\.json"), _outgoing),
    (re.compile(r"/api/v1/pools\.json"), _pools),
    (re.compile(r"/api/v1/jobs\.json"), _jobs),
    (re.compile(r"/api/v1/health\.json"), _health),
    (re.compile(r"/api/v1/samples\.json"), _samples),
    (re.compile(r"/api/v1/samples/([0-9a-f]{32})\.json"), _sample),
    (re.compile(r"/api/v1/errors\.json"), _issues),
    (re.compile(rf"/api/v1/errors/({_ID})\.json"), _issue),
    (re.compile(rf"/api/v1/errors/({_ID})/events\.json"), _events),
    (re.compile(r"/api/v1/alerts\.json"), _alerts),
    (re.compile(r"/api/v1/silences\.json"), _silences),
    (re.compile(r"/api/v1/rules\.json"), _rules),
    (re.compile(rf"/api/v1/incidents/({_ID})\.json"), _incident),
    (re.compile(r"/api/v1/releases\.json"), _releases),
    (re.compile(r"/api/v1/audit\.json"), _audit),
    (re.compile(r"/api/v1/self\.json"), _self),
)
