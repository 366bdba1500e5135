"""The bench: makes the corpus, runs the classifier and Presidio over it, and prints a table in Markdown.

`python -m tests.bench corpus [seed] [--show] [--files] [--write]`: `--show` lists what was missed and what was invented, a line
a file and kind; `--files` leaves the files and their truth in build/corpus; `--write` puts the table into policies/README.md.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.bench.corpus import ours, presidio
from tests.bench.corpus.plan import DEVELOPMENT, REPORT, corpus
from tests.bench.corpus.scoring import Counts, Scores, Tally, score, score_file
from tests.bench.corpus.shown import Sample
from tests.bench.corpus.values import KINDS

README = Path(__file__).parents[3] / "policies" / "README.md"
FILES = README.parents[1] / "build" / "corpus"
BEGIN, END = "<!-- corpus:begin -->", "<!-- corpus:end -->"
GROUPS = ("tables", "text")
ROUNDS = 3


@dataclass(frozen=True)
class Ours:
    """The classifier's counts by file, strong findings alone and all; how many files it could not read; its seconds."""

    strong: Sequence[Counts]
    every: Sequence[Counts]
    unread: int
    seconds: float


def main(*arguments: int | str) -> None:
    """Score one seed; the development seed where none is given."""
    flags = {each for each in arguments if isinstance(each, str)}
    if unknown := flags - {"--show", "--files", "--write"}:
        raise SystemExit(f"unknown option {min(unknown)!r}: there are --show, --files and --write")
    seed = next((each for each in arguments if isinstance(each, int)), DEVELOPMENT)
    if "--write" in flags and seed == DEVELOPMENT:
        raise SystemExit(f"detectors are mended by looking at seed {DEVELOPMENT}: publish another, such as {REPORT}")
    samples = list(corpus(seed))
    mine, other = run_ours(samples), presidio.run([*samples, joined(samples)])
    if other is None and "--write" in flags:
        raise SystemExit(f"Presidio is not there, and the table has a column for it: {presidio.MAKE}")
    table = markdown(seed, samples, mine, other)
    print(table)
    if "--show" in flags:
        print(shown(samples, mine.strong, "strong"), shown(samples, mine.every, "any"), sep="\n")
    if "--files" in flags:
        keep(samples, FILES / str(seed))
    if "--write" in flags:
        README.write_text(placed(README.read_text("utf-8"), table), "utf-8")


def run_ours(samples: Sequence[Sample]) -> Ours:
    """All findings; of some rounds the fastest is the time."""
    best, reports = _timed(samples)
    return Ours(
        [ours.counts(each, strong_only=True) for each in reports],
        [ours.counts(each, strong_only=False) for each in reports],
        sum(not each["inspectable"] for each in reports),
        best,
    )


def _timed(samples: Sequence[Sample]) -> tuple[float, list[dict[str, Any]]]:
    best, reports = float("inf"), []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        reports = [ours.inspect(sample.name, sample.data) for sample in samples]
        best = min(best, time.perf_counter() - start)
    return best, reports


def joined(samples: Sequence[Sample]) -> Sample:
    """All free text as one file, for speed where a file is not small; it is not scored."""
    data = "\n".join(sample.text() for sample in samples if sample.group == "text").encode()
    return Sample("all.txt", data, "utf-8", "text", "all text", ())


# ---- the table ----------------------------------------------------------------------------------------------------------


def markdown(seed: int, samples: Sequence[Sample], mine: Ours, other: presidio.Answer | None) -> str:
    """Kinds by tables and free text: n, then precision / recall in three columns each; and lines on what they rest on."""
    theirs = score(samples, other.founds[: len(samples)]) if other else {}
    columns = (score(samples, mine.strong), score(samples, mine.every), theirs)
    heads = [f"{group}: {head}" for group in GROUPS for head in ("n", "strong", "any", "Presidio")]
    lines = [f"| kind | {' | '.join(heads)} |", f"| --- |{' ---: |' * len(heads)}"]
    lines += [_row(f"`{kind}`", columns, (kind,)) for kind in KINDS]
    lines += [
        _row("all that Presidio has", columns, tuple(kind for kind in KINDS if kind in presidio.COVERED)),
        _row("all", columns, KINDS),
    ]
    return "\n".join([_caption(seed, samples, mine), "", *lines, "", _speed(samples, mine, other)])


def _row(name: str, columns: Sequence[Scores], kinds: Sequence[str]) -> str:
    cells = [name]
    for group in GROUPS:
        tallies = [sum((scores.get((group, kind), Tally()) for kind in kinds), Tally()) for scores in columns]
        cells.append(str(tallies[0].hits + tallies[0].missed))
        cells += [_rates(tally) for tally in tallies[:2]]
        cells.append(_rates(tallies[2]) if columns[2] and presidio.COVERED.issuperset(kinds) else "")
    return f"| {' | '.join(cells)} |"


def _rates(tally: Tally) -> str:
    return " / ".join("-" if rate is None else f"{rate:.2f}" for rate in (tally.precision, tally.recall))


def _caption(seed: int, samples: Sequence[Sample], mine: Ours) -> str:
    return (
        f"Precision / recall over {len(samples)} generated files of {_bytes(samples) / 1000:.0f} kB:\n"
        f"`python -m tests.bench corpus {seed}` (development seed: {DEVELOPMENT}). n: true values. Tables are CSV, TSV,\n"
        "JSON and NDJSON; text is notes, letters, e-mails, reports, logs and code. Strong: strong findings alone; any: weak\n"
        f"ones too. {mine.unread} files could not be read and are held as not inspectable: what is in them counts as missed."
    )


def _speed(samples: Sequence[Sample], mine: Ours, other: presidio.Answer | None) -> str:
    whole = joined(samples)
    files, one = _bytes(samples) / 1e6 / mine.seconds, len(whole.data) / 1e6 / _timed([whole])[0]
    line = f"Speed on one core: {files:.2f} MB/s over these small files, {one:.1f} MB/s over all free text as one file"
    if other is None:
        return f"{line}.\nPresidio was not run: `{presidio.MAKE}`."
    theirs = _bytes(samples) / 1e6 / sum(other.seconds[: len(samples)]), len(whole.data) / 1e6 / other.seconds[-1]
    return (
        f"{line}.\nPresidio {other.version}, with three recognisers and no model, in the same run: "
        f"{theirs[0]:.2f} and {theirs[1]:.2f} MB/s."
    )


def _bytes(samples: Iterable[Sample]) -> int:
    return sum(len(sample.data) for sample in samples)


def placed(page: str, table: str) -> str:
    """The page with the table between the markers.

    Raises:
        SystemExit: A marker is missing.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"the page has no {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{after}"


# ---- what went wrong ----------------------------------------------------------------------------------------------------


def shown(samples: Sequence[Sample], founds: Sequence[Counts], confidence: str) -> str:
    """Misses and false alarms, a line a file and kind."""
    return "\n".join(
        f"{confidence}: {kind}: missed {tally.missed} of {tally.hits + tally.missed}, invented {tally.false}: "
        f"{sample.name}: {sample.about}"
        for sample, found in zip(samples, founds, strict=True)
        for kind, tally in score_file(sample, found).items()
        if tally.missed or tally.false
    )


def keep(samples: Iterable[Sample], folder: Path) -> None:
    """The files as they are, and `truth.ndjson` with what each was made to try and its true values by bytes and line."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for sample in samples:
        (folder / sample.name).write_bytes(sample.data)
        truth = [asdict(sighting) for sighting in sample.truth]
        about = {"name": sample.name, "about": sample.about, "encoding": sample.encoding, "truth": truth}
        lines.append(json.dumps(about, ensure_ascii=False) + "\n")
    (folder / "truth.ndjson").write_text("".join(lines), "utf-8")
