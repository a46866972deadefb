"""Write the reference pages that repeat what the code says: settings, metrics, default rules.

python scripts/reference.py     writes docs/settings.md, docs/metrics.md and docs/default-rules.md
"""

import ast
import inspect
from dataclasses import fields
from pathlib import Path

from watchkeeper.core.catalogue import CATALOGUE
from watchkeeper.core.pack import ALERTS, PACK
from watchkeeper.core.rule import Rule
from watchkeeper.core.rule_text import rule_to_mapping, write_toml
from watchkeeper.settings import Settings
from watchkeeper.settings import settings as settings_module
from watchkeeper.settings.sources import PREFIX, defaults

DOCS = Path(__file__).parents[1] / "docs"


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
    return introduction("settings") + head + "\n".join(rows) + "\n"


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
    head = "| Metric | Kind | Labels | Means |\n|---|---|---|---|\n"
    return introduction("metrics") + head + "\n".join(rows) + "\n"


def default_rules_page() -> str:
    """Return the default rules: what each means, and its table."""
    parts = [
        f"## {alert.name}\n\n{alert.description}\n\n```toml\n{written(rule)}```\n"
        for alert, rule in zip(ALERTS, PACK, strict=True)
    ]
    return introduction("default-rules") + "\n".join(parts)


def written(rule: Rule) -> str:
    """Write a rule without the sentence that stands above it."""
    mapping = rule_to_mapping(rule)
    mapping.pop("description", None)
    return write_toml(mapping)


def introduction(page: str) -> str:
    """Return what stands above the table of a page, written by hand."""
    return (DOCS / f"_{page}.head.md").read_text("utf-8")


def shown(value: object) -> str:
    """Write a default as a reader would."""
    return "–" if value in (None, "", (), {}) else f"`{value}`"


def main() -> None:
    """Write the pages."""
    (DOCS / "settings.md").write_text(settings_page(), "utf-8")
    (DOCS / "metrics.md").write_text(metrics_page(), "utf-8")
    (DOCS / "default-rules.md").write_text(default_rules_page(), "utf-8")


if __name__ == "__main__":
    main()
