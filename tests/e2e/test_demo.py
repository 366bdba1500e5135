"""`make demo` is the promise of the README: it ends by itself, and every step of it held."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.timeout(400)
def test_the_demo_ends_well(tmp_path: Path):
    command = [sys.executable, "-m", "gateway.cli", "demo", "--dir", str(tmp_path / "demo"), "--lang", "zh-Hant"]
    environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=360, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every step held" in done.stdout
    for word in ("receipted", "refused", "P11", "G4", "D10"):
        assert word in done.stdout
