"""Figures."""

import functools
import itertools
from abc import ABC
from concurrent.futures import ThreadPoolExecutor


def monthly(rows):
    months = {}
    for row in rows:
        months.setdefault(row["month"], []).append(row["amount"])
    return {month: sum(amounts) / len(amounts) for month, amounts in months.items()}


def quarterly(rows):
    months = sorted({row["month"] for row in rows})
    return months[2], months[-1]


def growth(series):
    return [(b - a) / a for a, b in itertools.pairwise(series)]


def parallel(chunks):
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(chunk_total, chunks))


def chunk_total(chunk):
    return sum(chunk["values"])


@functools.singledispatch
def show(value):
    raise NotImplementedError(f"cannot show {type(value).__name__}")


@show.register
def _(value: int):
    return str(value)


class Exporter(ABC):
    def rows(self):
        raise NotImplementedError

    def export(self):
        return list(self.rows())


class PdfExporter(Exporter):
    pass


class XmlExporter(Exporter):
    def rows(self):
        return self.source.rows


def export(name):
    exporter = {"pdf": PdfExporter, "xml": XmlExporter}[name]()
    return exporter.export()


def paginate(rows, size):
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def table(rows):
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return widths
