"""Lists of people and of variants beside genotypes: PLINK .fam, .ped, .psam and .bim, Oxford .sample.

Sources: PLINK 1.9 file format reference (.fam, .ped, .bim), PLINK 2 (.psam), Oxford .sample. A person is a family and an
individual id together: individual ids repeat from family to family. Where a parent is named, the list is a pedigree (implementing
rules art. 37 with rules.md 10.2: whether it is an important one no file says, and so it counts as one).

A change must keep: only the beginning of a line is held, since a .ped has all genotypes of a person in one.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.core.classify.findings import Finding, Hgr
from gateway.core.classify.genomes import SAMPLES_CAP, Told

_KEPT: Final = 4_096  # bytes of a line
_NONE: Final = frozenset({"0", ".", "-9", "NA", "na", ""})
_CHROMOSOME: Final = re.compile(rb"^(?:chr)?(\d{1,4})[ \t]", re.MULTILINE | re.IGNORECASE)
_HUMAN_CODES: Final = 26  # 1 to 22, then X, Y, their shared region, mitochondria


class Lines:
    """Beginnings of lines as a text streams by."""

    def __init__(self) -> None:
        self.overlong = False
        self._line = b""

    def feed(self, own: memoryview) -> None:
        """The next bytes."""
        first, *rest = bytes(own).split(b"\n")
        self._line += first[: _KEPT - len(self._line)]
        for line in rest:
            self._take(self._line)
            self._line = line[:_KEPT]

    def finish(self) -> None:
        """The last line may lack its end."""
        if self._line:
            self._take(self._line)
            self._line = b""

    def _take(self, line: bytes) -> None:
        raise NotImplementedError


class Families(Lines):
    """A person a line: family, individual, father, mother."""

    def __init__(self) -> None:
        super().__init__()
        self._people: set[str] = set()
        self._nameless = 0
        self._parents = 0
        self._columns: tuple[int, int, int, int] = (0, 1, 2, 3)

    def told(self, path: str) -> Told:
        """Everybody listed; at least one."""
        del path
        count = max(len(self._people) + self._nameless, 1)
        found = (Finding("pedigree", "parents", self._parents, self._parents, "strong"),) if self._parents else ()
        return Told(Hgr(information=True, subjects=count), frozenset(self._people), found)

    def _take(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").strip()
        if not text or text.startswith("##"):
            return
        if text.startswith("#"):
            self._head(text[1:].split())
            return
        cells = text.split(None, max(self._columns) + 1)
        family, person, father, mother = (cells[at] if 0 <= at < len(cells) else "" for at in self._columns)
        if not person or len(self._people) > SAMPLES_CAP:
            self._nameless += 1
            self.overlong = self.overlong or len(self._people) > SAMPLES_CAP
            return
        self._people.add(person_of(family, person))
        self._parents += father not in _NONE or mother not in _NONE

    def _head(self, names: list[str]) -> None:
        """The line of names that a .psam begins with."""
        places = {name.upper(): at for at, name in enumerate(names)}
        if "IID" in places:
            family, person, father, mother = (places.get(name, -1) for name in ("FID", "IID", "PAT", "MAT"))
            self._columns = (family, person, father, mother)


def person_of(family: str, person: str) -> str:
    """A person's name over all files of a project: PLINK joins ids with `_` where it writes a VCF."""
    return person if family in _NONE or family == person else f"{family}_{person}"


class OxfordSamples(Lines):
    """A person a line, after two lines that name the columns and their types."""

    def __init__(self) -> None:
        super().__init__()
        self._people: set[str] = set()
        self._lines = 0
        self._double = False
        self._parents = 0
        self._places: tuple[int, ...] = ()
        self._known = True

    def told(self, path: str) -> Told:
        """Everybody listed; nothing where it is no list of samples."""
        del path
        if not self._known or self._lines < 2:
            return Told()
        found = (Finding("pedigree", "parents", self._parents, self._parents, "strong"),) if self._parents else ()
        return Told(Hgr(information=True, subjects=max(len(self._people), 1)), frozenset(self._people), found)

    def _take(self, line: bytes) -> None:
        cells = line.decode("utf-8", "replace").split()
        if not cells or not self._known:
            return
        self._lines += 1
        if self._lines == 1:
            names = [cell.lower() for cell in cells]
            self._known = names[0] in {"id", "id_1"}
            self._double = len(names) > 1 and names[1] == "id_2"
            self._places = tuple(at for at, name in enumerate(names) if name in {"father", "mother"})
        elif self._lines > 2 and len(self._people) <= SAMPLES_CAP:
            self._people.add(person_of(cells[0], cells[1]) if self._double and len(cells) > 1 else cells[0])
            self._parents += any(at < len(cells) and cells[at] not in _NONE for at in self._places)


class Variants:
    """A .bim: variants without people, human by their chromosomes."""

    def __init__(self) -> None:
        self.overlong = False
        self._codes: set[int] = set()

    def feed(self, own: memoryview) -> None:
        """The next bytes; a line that begins in one block and ends in another is one of many."""
        self._codes.update(int(code) for code in set(_CHROMOSOME.findall(own)))

    def finish(self) -> None:
        """Nothing is held."""

    def told(self, path: str) -> Told:
        """Genetic information about nobody."""
        del path
        if any(code > _HUMAN_CODES for code in self._codes):
            return Told(findings=(Finding("genomic_data", "not human by its chromosomes", 1, 1, "weak"),))
        return Told(Hgr(information=True, aggregate_only=True))
