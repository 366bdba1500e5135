"""`python -m tests.fuzz [--seconds N] [TARGET...]`: fuzz the targets one after another, each for its share of the time.

What a run found interesting stays in `.fuzz/<target>` beside the project and is where the next run begins, together with
`tests/fuzz/corpus/<target>`, which is kept with the code, and fresh seeds (`seeds`). `--keep` puts some of what was found into
the latter, few and small. Exit 1 where a target crashed, hung or lied; the input lies in `.fuzz/<target>-crash-...`, and goes
to the corpus under its name from `crash-` on: such names stay. Inputs that took long (`slow-unit`) fail nothing.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fuzz.seeds import seeds
from tests.fuzz.targets import TARGETS

HERE = Path(__file__).parent
WORK = HERE.parent.parent / ".fuzz"
KEPT = 30  # inputs of a target that are kept with the code, beside those that once failed
KEPT_IN_ALL = 49_152  # bytes of them
SLOW = 5  # seconds


def main() -> int:
    told = argparse.ArgumentParser(prog="tests.fuzz")
    told.add_argument("targets", nargs="*", choices=[[], *TARGETS], help="all where none is named")
    told.add_argument("--seconds", type=int, default=3600, help="in all")
    told.add_argument("--keep", action="store_true", help="minimise what was found into tests/fuzz/corpus")
    asked = told.parse_args()
    targets = asked.targets or list(TARGETS)
    failed = [name for name in targets if not fuzz(name, max(asked.seconds // len(targets), 1))]
    if asked.keep:
        for name in targets:
            keep(name)
    print(f"fuzzed {len(targets)} targets; failed: {', '.join(failed) or 'none'}")
    return 1 if failed else 0


def fuzz(name: str, seconds: int) -> bool:
    found, kept = WORK / name, HERE / "corpus" / name
    found.mkdir(parents=True, exist_ok=True)
    kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as fresh:
        for number, content in enumerate(seeds(name)):
            (Path(fresh) / f"seed{number}").write_bytes(content)
        done = run(name, str(found), str(kept), fresh, f"-max_total_time={seconds}", f"-artifact_prefix={WORK}/{name}-")
    line = next((each for each in reversed(done.stderr.splitlines()) if "cov:" in each), "")
    print(f"{name}: {'ok' if done.returncode == 0 else 'FAILED'} {line}", flush=True)
    for slow in sorted(WORK.glob(f"{name}-slow-unit-*")):
        print(f"  took long: {slow.name}")
    if done.returncode:
        print(done.stderr[-4000:])
    return done.returncode == 0


def keep(name: str) -> None:
    """Each of them reached code that none before it had reached; some of every size are worth their place in the repository."""
    kept = HERE / "corpus" / name
    kept.mkdir(parents=True, exist_ok=True)
    found = {path.name[:16]: path.read_bytes() for folder in (kept, WORK / name) for path in folder.glob("*")}
    inputs = sorted((len(content), each) for each, content in found.items() if "-" not in each)
    while sum(size for size, _ in spread(inputs)) > KEPT_IN_ALL:
        inputs.pop()
    for path in kept.glob("*"):
        if "-" not in path.name:
            path.unlink()
    for _, each in spread(inputs):
        (kept / each).write_bytes(found[each])


def spread(inputs: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """At most KEPT, at even distances."""
    return inputs[:: max(-(-len(inputs) // KEPT), 1)]


def run(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    bounds = ["-timeout=30", f"-report_slow_units={SLOW}", "-rss_limit_mb=3000", "-max_len=262144", "-verbosity=1"]
    command = [sys.executable, "-m", "tests.fuzz.run", name, *arguments, *bounds]
    return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)


if __name__ == "__main__":
    sys.exit(main())
