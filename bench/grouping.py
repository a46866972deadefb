"""How well errors are grouped: a corpus of bugs in many circumstances, against two simple rules.

Every occurrence is a real exception of an application that was written to a folder, edited, and
run in a process of its own, by several versions of Python where they are found. Pairwise: of all
pairs that a rule puts together, how many are one bug (precision); of all pairs that are one bug,
how many does it put together (recall).
"""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import goals
from corpus import edits, entries
from corpus.ways import WAYS

HERE: Final = Path(__file__).resolve().parent
SHOP: Final = HERE / "corpus" / "shop"
INTERPRETERS: Final = ("3.11", "3.12", "3.13", "3.14")
RULES: Final = {
    "rule": "Watchkeeper",
    "frame": "type and innermost frame of the application",
    "message": "type and message without its values",
}
MIN_PRECISION: Final = 0.99
MIN_F1: Final = 0.95
_DIGITS: Final = re.compile(r"\d+")
_TIMEOUT_S: Final = 300

Occurrence = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Process:
    """One process of the corpus: an application in a folder, an interpreter, ways into it.

    Without a name of its own each way is a circumstance.
    """

    circumstance: str
    where: Path
    python: Path
    values: int = 0  # the number of the bugs' values
    ways: Iterable[str] = ("view",)


def measure() -> dict[str, Any]:
    """Run the corpus and compare the rules."""
    found = occurrences()
    circumstances = {one["circumstance"] for one in found}
    per_bug = Counter(one["bug"] for one in found)
    return {
        "bugs": len(per_bug),
        "circumstances": len(circumstances),
        "fewest_per_bug": min(per_bug.values()),
        "occurrences": len(found),
        "interpreters": sorted({one["python"] for one in found}),
        "rules": {rule: _scores(found, rule) for rule in RULES},
        "merged": list(_merged(found)),
        "split": list(_split(found)),
    }


def occurrences() -> list[Occurrence]:
    """Run into every bug in every circumstance; one entry each, with its groups."""
    found: list[Occurrence] = []
    with tempfile.TemporaryDirectory(prefix="watchkeeper-corpus-") as folder:
        by_python: dict[Path, list[Process]] = defaultdict(list)
        for one in _processes(Path(folder)):
            by_python[one.python].append(one)
        for python, processes in by_python.items():
            for process, some in zip(processes, _run(python, processes), strict=True):
                found += [_placed(one, process) for one in some]
    _check(found)
    return found


def _placed(one: Occurrence, process: Process) -> Occurrence:
    """Say in which circumstance, and by which version of Python."""
    name = process.circumstance or one["way"]
    return one | {"circumstance": name, "python": _version(process.python)}


def _check(found: list[Occurrence]) -> None:
    """See that no edit made another error of a bug; digits count classes made on the way."""
    types: dict[str, set[str]] = defaultdict(set)
    for one in found:
        name = _DIGITS.sub("#", one["type"])
        types[one["bug"]].add("error" if name == "PatternError" else name)
    for bug, names in types.items():
        if len(names) > 1:
            raise RuntimeError(f"{bug} raises {sorted(names)}: the corpus is broken")


def _processes(folder: Path) -> Iterator[Process]:
    this = Path(sys.executable)
    plain = _deployed(folder / "plain")
    yield Process("", plain, this, ways=WAYS)
    for name, edit in edits.EDITS.items():
        yield Process(name, _deployed(folder / name.replace(" ", "_"), edit), this)
    yield Process("another folder", _deployed(folder / "srv" / "releases" / "r17"), this)
    for values in (1, 2):
        where = _deployed(folder / f"values{values}", values=values)
        yield Process(f"values {values + 1}", where, this, values=values)
    elsewhere = _deployed(folder / "elsewhere", elsewhere=True)
    yield Process("another service", elsewhere, this, ways=["another view"])
    for version in INTERPRETERS:
        python = interpreter(version)
        if python is not None and version != _version(this):
            yield Process(f"Python {version}", plain, python)


def _deployed(
    folder: Path,
    edit: edits.Edit = edits.unchanged,
    *,
    values: int = 0,
    elsewhere: bool = False,
) -> Path:
    edits.write(SHOP, folder, edit)
    entries.write(folder, values, elsewhere=elsewhere)
    return folder


def interpreter(version: str) -> Path | None:
    """Find a Python of a version: on the path, or among those that pyenv installed."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    candidates = sorted(root.glob(f"versions/{version}.*/bin/python"))
    if not candidates and (found := shutil.which(f"python{version}")):
        candidates = [Path(found)]
    return candidates[-1] if candidates else None


def _run(python: Path, processes: Iterable[Process]) -> list[list[Occurrence]]:
    """Run processes of the corpus; packages come from this interpreter's environment."""
    asked = [(str(one.where), one.values, list(one.ways)) for one in processes]
    packages = os.pathsep.join([str(HERE.parent / "src"), sysconfig.get_path("purelib")])
    done = subprocess.run(
        [python, HERE / "corpus" / "occurrences.py", json.dumps(asked)],
        env={**os.environ, "PYTHONPATH": packages, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT_S,
    )
    if done.returncode:
        raise RuntimeError(f"{python}: {done.stderr[-2000:]}")
    found: list[list[Occurrence]] = json.loads(done.stdout)
    return found


def _version(python: Path) -> str:
    if python == Path(sys.executable):
        return f"{sys.version_info.major}.{sys.version_info.minor}"
    return next(version for version in INTERPRETERS if interpreter(version) == python)


def _scores(found: list[Occurrence], rule: str) -> dict[str, Any]:
    """Score one rule over all pairs of occurrences."""
    together = _pairs(Counter(one[rule] for one in found))
    of_one_bug = _pairs(Counter(one["bug"] for one in found))
    right = _pairs(Counter((one["bug"], one[rule]) for one in found))
    precision, recall = right / together, right / of_one_bug
    f1 = 2 * precision * recall / (precision + recall)
    scores = {"precision": round(precision, 4), "recall": round(recall, 4), "f1": round(f1, 4)}
    if rule == "rule":
        return scores | {
            "precision": goals.at_least(MIN_PRECISION, precision, "of 1"),
            "f1": goals.at_least(MIN_F1, f1, "of 1"),
        }
    return scores


def _pairs(sizes: Counter[Any]) -> int:
    return sum(size * (size - 1) // 2 for size in sizes.values())


def _merged(found: list[Occurrence]) -> Iterator[dict[str, Any]]:
    """Yield the bugs that one group holds although they are several."""
    groups: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for one in found:
        groups[one["rule"]][one["bug"]].append(one["circumstance"])
    seen: set[frozenset[str]] = set()
    for bugs in groups.values():
        if len(bugs) > 1 and frozenset(bugs) not in seen:
            seen.add(frozenset(bugs))
            yield {"bugs": sorted(bugs), "circumstances": sum(map(len, bugs.values()))}


def _split(found: list[Occurrence]) -> Iterator[dict[str, Any]]:
    """Yield the bugs that lie in several groups, with the circumstances outside the largest."""
    bugs: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for one in found:
        bugs[one["bug"]][one["rule"]].append(one["circumstance"])
    for bug, groups in bugs.items():
        by_size = sorted(groups.values(), key=len, reverse=True)
        if len(by_size) > 1:
            yield {"bug": bug, "groups": len(by_size), "apart": by_size[1:]}


def text(found: dict[str, Any]) -> str:
    """Return the table, and every wrong merge and split, to be read."""
    lines = [
        f"{found['bugs']} bugs x {found['circumstances']} circumstances (each bug in at least "
        f"{found['fewest_per_bug']}), {found['occurrences']:,} occurrences, "
        f"Python {', '.join(found['interpreters'])}"
    ]
    for rule, name in RULES.items():
        scores = found["rules"][rule]
        shown = ", ".join(f"{key} {goals.plain(value):.3f}" for key, value in scores.items())
        lines.append(f"  {name}: {shown}")
    lines += [f"  merged: {' + '.join(one['bugs'])}" for one in found["merged"]]
    for one in found["split"]:
        apart = "; ".join(", ".join(names) for names in one["apart"])
        lines.append(f"  split: {one['bug']} in {one['groups']}: {apart}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(text(measure()))
