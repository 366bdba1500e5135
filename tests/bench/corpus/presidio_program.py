"""Runs Microsoft Presidio over texts; a program of its own, for an environment of its own (README.md beside this file).

Reads one JSON string a line from standard input, a text each, and writes a line for each: {"found": [[entity, start, end],
...], "seconds": ...}, places in code points. The last line is Presidio's release. Not here: what an entity is in our words
(`presidio.py`).
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version

import spacy
import tldextract
from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
from presidio_analyzer.nlp_engine import SpacyNlpEngine
from presidio_analyzer.predefined_recognizers import CreditCardRecognizer, EmailRecognizer, PhoneRecognizer

ENTITIES = ["EMAIL_ADDRESS", "CREDIT_CARD", "PHONE_NUMBER"]


class BlankEngine(SpacyNlpEngine):
    """A tokenizer without a model: models cannot be had offline, and no entity asked for needs one."""

    def __init__(self) -> None:
        super().__init__(models=[{"lang_code": "en", "model_name": "blank"}])
        self.nlp = {"en": spacy.blank("en")}


def analyzer() -> AnalyzerEngine:
    """Its predefined recognizers, for telephones with the regions in question instead of America and Europe."""
    registry = RecognizerRegistry()
    for recognizer in (
        EmailRecognizer(),
        CreditCardRecognizer(),
        PhoneRecognizer(supported_regions=("CN", "HK", "MO")),
    ):
        registry.add_recognizer(recognizer)
    return AnalyzerEngine(nlp_engine=BlankEngine(), registry=registry, supported_languages=["en"])


def run() -> None:
    """Answer every line of standard input."""
    # The list of public suffixes comes with the package; without this it is asked for over the network first.
    tldextract.extract = tldextract.TLDExtract(suffix_list_urls=())
    engine, texts = analyzer(), [json.loads(line) for line in sys.stdin]
    engine.analyze("warm-up: write to a@example.org", "en", entities=ENTITIES)
    for text in texts:
        start = time.perf_counter()
        answer = engine.analyze(text, "en", entities=ENTITIES)
        seconds = time.perf_counter() - start
        found = [[each.entity_type, each.start, each.end] for each in answer]
        sys.stdout.write(json.dumps({"found": found, "seconds": seconds}) + "\n")
    sys.stdout.write(json.dumps(version("presidio-analyzer")) + "\n")


if __name__ == "__main__":
    run()
