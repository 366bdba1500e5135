"""What a forecast is told: the facts around the data, and what is said of the data.

A change must keep these:
1. A facts file is one of `hetao policy check`. What it says of the data is the ground, as a project's standing declaration
   is; the declaration stands on it by the gateway's own rule (`core.declaration.stand_on`).
2. Its `persons` are refused: there they are everybody of the year, in a declaration those of this dataset.
3. Unknown keys, wrong types and words outside the lists are refused, all of a document at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.core.declaration import SECTIONS, parse_declaration, stand_on
from gateway.core.errors import Unusable
from gateway.core.situation import Situation, Vocabulary, parse_situation

_GROUND: Final = frozenset(SECTIONS) - {"persons"}


@dataclass(frozen=True)
class Told:
    """What was told.

    Attributes:
        facts: Everything around the data, defaults where nothing was said.
        stated: Sections that were.
        on: Whether the facts name a day.
        ground: What they say of the data.
    """

    facts: Situation
    stated: frozenset[str]
    on: bool
    ground: Mapping[str, Any]


def parse_facts(document: Mapping[str, Any], vocabulary: Vocabulary) -> Told:
    """Facts as `hetao policy check` takes them, without counts of persons.

    Raises:
        Unusable: With every complaint about the document.
    """
    if "persons" in document:
        raise Unusable(
            "leave [persons] out of the facts: say who was sent before with --sent-sensitive and --sent-nonsensitive, "
            "and whom this dataset is about in the declaration"
        )
    ground = {name: document[name] for name in document if name in _GROUND}
    return Told(parse_situation(document, vocabulary), frozenset(document), "on" in document, ground)


def parse_said(document: Mapping[str, Any], ground: Mapping[str, Any], vocabulary: Vocabulary) -> dict[str, Any]:
    """The declaration on its ground.

    Raises:
        Unusable: As `parse_declaration`.
    """
    own = parse_declaration(document, vocabulary)
    if not ground:
        return own
    # Whom the data are about is said in the declaration; the ground may be personal without saying it again.
    persons = {"persons": own["persons"]} if "persons" in own else {}
    return stand_on(parse_declaration({**ground, **persons}, vocabulary), own)
