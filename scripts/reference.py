"""Write the reference pages that repeat what the code says: settings and metrics.

python scripts/reference.py            writes docs/settings.md and docs/metrics.md
"""

import ast
import inspect
from dataclasses import fields
from pathlib import Path

from watchkeeper.core.metrics import CATALOGUE
from watchkeeper.settings import Settings
from watchkeeper.settings import settings as settings_module
from watchkeeper.settings.sources import PREFIX, defaults

DOCS = Path(__file__).parents[1] / "docs"
INTRODUCTION = """# Settings

Every setting can be given in code, in the environment or in a file; code wins over environment, environment over file,
file over defaults. `watchkeeper config show` prints each value with its origin, `watchkeeper config check` finds
mistakes.

```python
watchkeeper.watch(app, watchkeeper.Settings(database_url="postgresql+psycopg://db/shop"))
```

```toml
# watchkeeper.toml, or [tool.watchkeeper] in pyproject.toml
database_url = "postgresql+psycopg://db/shop"
```

The file is `WATCHKEEPER_CONFIG`, else the nearest `watchkeeper.toml` or `pyproject.toml` from the working directory
upwards; relative paths start at that file. `"env:NAME"` stands for an environment variable. Nested values in the
environment are JSON. In a file, `[[alert]]` is an alias of `alerts` and `[health.checks.NAME]` of `health_checks`.

A wrong value in code raises at start. A wrong value in the environment or a file is one line in the log and the default
holds; a wrong rule is off. `WATCHKEEPER_ENABLED=0` switches everything off, whatever else is said.

"""


def settings_page() -> str:
    """Return the page of settings, from the fields and the texts below them."""
    texts = field_texts()
    made = defaults()
    rows = [
        f"| `{field.name}` | `{PREFIX}{field.name.upper()}` | {shown(made[field.name])} | "
        f"{texts[field.name]} |"
        for field in fields(Settings)
    ]
    head = "| Setting | Environment | Default | Means |\n|---|---|---|---|\n"
    return INTRODUCTION + head + "\n".join(rows) + "\n"


def field_texts() -> dict[str, str]:
    """Return the text below each field of Settings."""
    tree = ast.parse(inspect.getsource(settings_module))
    made = next(
        node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Settings"
    )
    texts = {}
    for node, after in zip(made.body, made.body[1:], strict=False):
        if (
            isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
        ):
            texts[node.target.id] = " ".join(str(after.value.value).split())
    return texts


def metrics_page() -> str:
    """Return the catalogue of metrics."""
    rows = [
        f"| `{metric.name}` | {metric.kind} | "
        f"{', '.join(f'`{label}`' for label in metric.labels) or '–'} | {metric.help} |"
        for metric in CATALOGUE
    ]
    return (
        "# Metrics\n\nEvery series also carries `service`, `environment` and `release`. Names follow "
        "OpenTelemetry's conventions in\nPrometheus spelling, with the base unit in the name. One "
        "request histogram gives rate, latency and error share:\n`error_rate` = (status 500 and "
        "above + broken + unhandled) / (requests with a duration + disconnects).\n\n"
        "`route` is the template (`/users/{id}`), never the path; what no route matched is "
        "`(unmatched)`, what came after a cap\n`(other)`. A method outside the standard set is "
        "`_OTHER`.\n\n| Metric | Kind | Labels | Means |\n|---|---|---|---|\n"
        + "\n".join(rows)
        + "\n"
    )


def shown(value: object) -> str:
    """Write a default as a reader would."""
    return "–" if value in (None, "", (), {}) else f"`{value}`"


def main() -> None:
    """Write both pages."""
    (DOCS / "settings.md").write_text(settings_page(), "utf-8")
    (DOCS / "metrics.md").write_text(metrics_page(), "utf-8")


if __name__ == "__main__":
    main()
