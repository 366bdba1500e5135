"""`python -m tests.fuzz [--seconds N] [TARGET...]`: fuzz the targets one after another, each for its share of the time.

What a run found interesting stays in `.fuzz/<target>` beside the project and is where the next run begins, together with
`tests/fuzz/corpus/<target>`, which is kept with the code, and fresh seeds (`seeds.py`). `--keep` puts the smallest of what was
found back into the latter, up to a size. Exit 1 where a target crashed, hung or lied; the input lies in `.fuzz/<target>-...`.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fuzz.seeds import seeds
from tests.fuzz.targets import TARGETS

HERE = Path(__file__).parent
WORK = HERE.parent.parent / ".fuzz"
KEPT_IN_ALL = 65_536  # bytes of a target's kept inputs


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
    if done.returncode:
        print(done.stderr[-4000:])
    return done.returncode == 0


def keep(name: str) -> None:
    """Each of them reached code that none before it had reached; the small ones are worth their place in the repository."""
    kept, left = HERE / "corpus" / name, KEPT_IN_ALL
    for each in sorted((WORK / name).iterdir(), key=lambda path: (path.stat().st_size, path.name)):
        left -= each.stat().st_size
        if left < 0:
            break
        shutil.copy(each, kept / each.name[:16])


def run(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    bounds = ["-timeout=30", "-rss_limit_mb=3000", "-max_len=262144", "-verbosity=1"]
    command = [sys.executable, "-m", "tests.fuzz.run", name, *arguments, *bounds]
    return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)


if __name__ == "__main__":
    sys.exit(main())
