"""Another service on top of audit's summary."""

from shop import audit, reports


def overview(rows):
    figure = audit.summary(rows)
    return f"{figure:.2f}"


def month_end(rows):
    return reports.monthly(rows)
