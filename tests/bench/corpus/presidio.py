"""Microsoft Presidio over the same texts, in its own environment, with its entities in our kinds.

Presidio says "telephone" for every number: the digits tell which kind it would be, in its favour where they leave it open.
"""

from __future__ import annotations

import json
import re
import subprocess
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.corpus.shown import Sample

RELEASE = "2.2.366"
PROGRAM = Path(__file__).with_name("presidio_program.py")
PYTHON = Path(__file__).parents[3] / "build" / "presidio" / "bin" / "python"
MAKE = f"python3 -m venv build/presidio && build/presidio/bin/pip install presidio-analyzer=={RELEASE}"
KINDS = {"EMAIL_ADDRESS": "email", "CREDIT_CARD": "bank_card"}
COVERED = {*KINDS.values(), "cn_mobile", "hk_mobile", "mo_mobile", "landline"}


@dataclass(frozen=True)
class Answer:
    """Counts and seconds by file."""

    founds: list[Counter[str]]
    seconds: list[float]
    version: str


def run(samples: Sequence[Sample]) -> Answer | None:
    """Presidio's answer, or None where its environment was not made."""
    if not PYTHON.is_file():
        return None
    texts = [sample.text() for sample in samples]
    lines = "".join(json.dumps(text) + "\n" for text in texts)
    done = subprocess.run([PYTHON, PROGRAM], input=lines, stdout=subprocess.PIPE, text=True, check=True)
    *answers, release = (json.loads(line) for line in done.stdout.splitlines())
    founds = [
        Counter(kind_of(entity, text[start:end], sample) for entity, start, end in answer["found"])
        for answer, text, sample in zip(answers, texts, samples, strict=True)
    ]
    return Answer(founds, [answer["seconds"] for answer in answers], release)


def kind_of(entity: str, text: str, sample: Sample) -> str:
    """The kind of ours that an entity's text would be."""
    if entity in KINDS:
        return KINDS[entity]
    digits = re.sub(r"\D", "", unicodedata.normalize("NFKC", text))
    if re.fullmatch(r"(?:0{0,2}86)?1[3-9]\d{9}", digits):
        return "cn_mobile"
    if re.fullmatch(r"(?:852)?[23]\d{7}", digits):
        return "landline"
    if re.fullmatch(r"(?:852|853)?\d{8}", digits):
        there = sample.counts()
        macao = digits.startswith("853") or ("mo_mobile" in there and "hk_mobile" not in there)
        return "mo_mobile" if macao and not digits.startswith("852") else "hk_mobile"
    return "landline"
