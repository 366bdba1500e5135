"""Files of every kind the classifier reads, made from a seed; the digest of what is found in each is kept in a test.

Only `Random.random` draws: its numbers are the same in every version of Python. A change here changes every digest.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from functools import cache
from hashlib import blake2b
from random import Random  # noqa: TID251 - seeded, and its numbers are the same in every version
from typing import TypeVar

from gateway.core.classify import FileFindings

_T = TypeVar("_T")

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CREDIT = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_WORDS = (
    "the", "patient", "was", "seen", "with", "fever", "and", "cough", "for", "days", "tel", "contact", "phone", "number",
    "report", "2024", "of", "gene", "study", "cell",
)  # fmt: skip
_CHINESE = (
    "患者因发热咳嗽入院检查机密内部资料血压正常电话联系方式姓名身份证诊断为高糖尿病重要数据的一是在不了有和人这中大"
)


class Draw:
    """Draws from one seed."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed).random

    def below(self, limit: int) -> int:
        return int(self._random() * limit)

    def one(self, choices: Sequence[_T]) -> _T:
        return choices[self.below(len(choices))]

    def digits(self, count: int) -> str:
        return "".join(self.one("0123456789") for _ in range(count))

    def raw(self, count: int) -> bytes:
        return bytes(self.below(256) for _ in range(count))

    def text(self, alphabet: str, count: int) -> str:
        return "".join(self.one(alphabet) for _ in range(count))


def resident(draw: Draw) -> str:
    body = f"{draw.one(['110105', '440300', '310101'])}{1950 + draw.below(60)}{1 + draw.below(12):02d}"
    body += f"{1 + draw.below(28):02d}{draw.below(1000):03d}"
    return body + "10X98765432"[sum(int(d) * w for d, w in zip(body, _WEIGHTS, strict=True)) % 11]


def card(draw: Draw) -> str:
    body = draw.one(["621700", "411111", "955888"]) + draw.digits(9)
    doubled = [int(d) * (2 - n % 2) for n, d in enumerate(reversed(body))]
    return body + str(-sum(d // 10 + d % 10 for d in doubled) % 10)


def hkid(draw: Draw) -> str:
    letter, digits = draw.one("ABCDEFGHKMPRVYZ"), draw.digits(6)
    total = 36 * 9 + (ord(letter) - 55) * 8 + sum(int(d) * w for d, w in zip(digits, range(7, 1, -1), strict=True))
    check = "0123456789A"[-total % 11]
    return f"{letter}{digits}" + draw.one([f"({check})", check, f" ({check})"])


def credit_code(draw: Draw) -> str:
    body = draw.one(["914403", "911100"]) + "00" + draw.text(_CREDIT, 9)
    total = sum(_CREDIT.index(c) * pow(3, n, 31) for n, c in enumerate(body))
    return body + _CREDIT[-total % 31]


def mobile(draw: Draw) -> str:
    number = f"1{draw.one('3456789')}{draw.digits(9)}"
    return draw.one([number, f"+86 {number}", f"86{number}", f"{number[:3]}-{number[3:7]}-{number[7:]}"])


def hong_kong(draw: Draw) -> str:
    number = draw.one("45679") + draw.digits(7)
    return draw.one(
        [number, f"+852 {number[:4]} {number[4:]}", f"852{number}", f"Tel {number}", f"電話:{number[:4]} {number[4:]}"]
    )


def grouped_card(draw: Draw) -> str:
    number, by = card(draw), draw.one(" -")
    return by.join((number[:4], number[4:8], number[8:12], number[12:]))


def grouped_resident(draw: Draw) -> str:
    number, by = resident(draw), draw.one(" -")
    return by.join((number[:6], number[6:14], number[14:]))


def email(draw: Draw) -> str:
    return f"{draw.text('abcXYZ.019_-', 1 + draw.below(9))}@{draw.text('abcde-.', 6)}.{draw.one(['com', 'HK', 'c', 'org'])}"


def old_resident(draw: Draw) -> str:
    return f"110105{50 + draw.below(50)}{1 + draw.below(13):02d}{1 + draw.below(30):02d}{draw.digits(3)}"


_MAKERS: tuple[Callable[[Draw], str], ...] = (
    resident, card, hkid, credit_code, mobile, hong_kong, grouped_card, grouped_resident, email, old_resident,
    lambda draw: draw.digits(1 + draw.below(24)), lambda draw: draw.text("0123456789X -.()", 1 + draw.below(30)),
    lambda draw: draw.one(_WORDS), lambda draw: draw.text(_CHINESE, 6), lambda draw: f"{draw.digits(5)}.{draw.digits(4)}",
)  # fmt: skip


def anything(draw: Draw) -> str:
    return draw.one(_MAKERS)(draw)


# --- kinds of files ----------------------------------------------------------------------------------------------------


def cohort(draw: Draw) -> str:
    lines = ["seq,姓名,身份证号,手机,邮箱,诊断,备注"]
    lines += [
        f"{n:06d},张{draw.one(_CHINESE)},{resident(draw)},{mobile(draw)},{email(draw)},高血压,{draw.one(_WORDS)} {n % 97}"
        for n in range(500)
    ]
    return "\n".join(lines) + "\n"


def uneven(draw: Draw) -> str:
    lines = ["a,b,tel,d"]
    for _ in range(700):
        cells = [anything(draw) for _ in range(draw.below(7))]
        lines.append(
            ",".join(f'"{c}, {c}"' if draw.below(6) == 0 else c for c in cells) + draw.one(["", "", '"', "\r"])
        )
    return "\n".join(lines)


def crlf(draw: Draw) -> str:
    return "id\tphone\tmail\r\n" + "".join(
        f"{resident(draw)}\t{draw.one([hong_kong, mobile])(draw)}\t{email(draw)}\r\n" + "\r\n" * (draw.below(9) == 0)
        for _ in range(600)
    )


def plain(draw: Draw) -> str:
    rows = (f"{n},{draw.digits(4)}.{draw.digits(2)},{draw.one(_WORDS)},{draw.digits(3)}\n" for n in range(2000))
    return "row,mass,word,n\n" + "".join(rows)


def reads(qualities: str, name: Callable[[Draw], str], end: str = "\n") -> Callable[[Draw], str]:
    def make(draw: Draw) -> str:
        records = (
            f"@{name(draw)}{end}{draw.text('ACGTN', 101)}{end}+{end}{draw.text(qualities, 101)}{end}"
            for _ in range(300)
        )
        return "".join(records)

    return make


def _machine(draw: Draw) -> str:
    return f"A00123:45:HXXXXDSX2:1:{draw.digits(4)}:{draw.digits(5)}:{draw.digits(4)} 1:N:0:ATCACG"


def _person(draw: Draw) -> str:
    return f"read {anything(draw)} {anything(draw)} " + "long name " * draw.below(9)


def variants(draw: Draw) -> str:
    head = "##fileformat=VCFv4.2\n##contig=<ID=chr1,length=248956422>\n"
    head += "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS1\tS2\n"
    rows = (
        f"chr1\t{draw.digits(8)}\trs{draw.digits(7)}\tA\tC\t{draw.digits(2)}\tPASS\tDP={draw.digits(3)}\tGT:PL\t0/1:{draw.digits(5)}\t"
        f"1/1:{draw.digits(11)},{draw.digits(4)} {draw.digits(4)}\n"
        for _ in range(900)
    )
    return head + "".join(rows)


def alignments(draw: Draw) -> str:
    rows = (
        f"r{draw.digits(6)}\t0\tchr1\t{1 + draw.below(10**8)}\t60\t80M\t*\t0\t0\t{draw.text('ACGT', 80)}\t"
        f"{draw.text('0123456789@abcIJ.', 80)}\n"
        for _ in range(300)
    )
    return "@HD\tVN:1.6\n@SQ\tSN:1\tLN:249250621\n@RG\tID:a\tSM:x\n" + "".join(rows)


def english(draw: Draw) -> str:
    lines = (" ".join(draw.one(_WORDS) for _ in range(14)) for _ in range(900))
    return "".join(f"{line} {anything(draw) if draw.below(40) == 0 else ''}.\n" for line in lines)


def chinese(draw: Draw) -> str:
    lines = (draw.text(_CHINESE, 40) for _ in range(500))
    return "".join(
        f"{line}:{draw.one(['姓名:', '诊断: ', '机密★', '【秘密】', '密级:机密', '', '内 部 资 料', '１３８００１３８０００'])}"
        f"{anything(draw) if draw.below(9) == 0 else ''}\n"
        for line in lines
    )


def _people(draw: Draw, count: int) -> list[dict[str, object]]:
    keys = ("name", "身份证号", "phone", "诊断", "lat", "note")
    return [{key: anything(draw) for key in keys[: 2 + draw.below(5)]} for _ in range(count)]


def markup(draw: Draw) -> str:
    rows = (
        f'<p id="{draw.digits(6)}"><patient_name>{anything(draw)}</patient_name><tel>&#x31;38{draw.digits(8)}</tel></p>\n'
        for _ in range(500)
    )
    return "<?xml version='1.0'?>\n<people>\n" + "".join(rows) + "</people>\n"


def mixture(draw: Draw) -> str:
    return "".join(
        anything(draw) + draw.one([" ", "\n", ",", ", ", ":", "", "\t", "\\u5bc6", "&#65;"]) for _ in range(5000)
    )


def coded(draw: Draw) -> str:
    text, lines = "", [base64.b64encode(draw.raw(48)).decode() for _ in range(200)]
    for line in lines:
        text += line + draw.one(["\n", "\n", "\r\n", " ", ",", "=="])
        text += draw.one(["", "", anything(draw) + "\n", "ACGT" * 30 + "\n", "a" * draw.below(130) + "\n"])
    return text


KINDS: dict[str, tuple[str, Callable[[Draw], str | bytes]]] = {
    "cohort": ("张三/cohort.csv", cohort),
    "cohort gb18030": ("cohort.csv", lambda draw: cohort(draw).encode("gb18030")),
    "cohort utf-16": ("cohort.csv", lambda draw: cohort(draw).encode("utf-16")),
    "uneven": ("uneven.csv", uneven),
    "crlf": ("people.tsv", crlf),
    "plain": ("plain.csv", plain),
    "reads, binned": ("NA12878_R1.fastq", reads("F:,#", _machine)),
    "reads, full": ("a.fastq", reads("".join(map(chr, range(33, 74))), _machine)),
    "reads, digits": ("a.fastq", reads("0123456789-@.()abA", _machine)),
    "reads, crlf": ("a.fq", reads("0123456789:ABC", _machine, "\r\n")),
    "reads, people": ("a.fastq", reads("#,:FGHI0123", _person)),
    "sequence": ("a.fa", lambda draw: "".join(f">s{anything(draw)}\n{draw.text('ACGT', 70)}\n" * 3 for _ in range(200))),
    "variants": ("a.vcf", variants),
    "alignments": ("a.sam", alignments),
    "english": ("report.txt", english),
    "chinese": ("内部资料.txt", chinese),
    "json": ("people.json", lambda draw: json.dumps(_people(draw, 300), ensure_ascii=False, indent=1)),
    "json, escaped": ("people.json", lambda draw: json.dumps(_people(draw, 300))),
    "json lines": ("p.ndjson", lambda draw: "\n".join(json.dumps(p, ensure_ascii=False) for p in _people(draw, 400))),
    "markup": ("p.xml", markup),
    "mixture": ("mixture.txt", mixture),
    "one line": ("line.txt", lambda draw: mixture(draw).replace("\n", " ")),
    "one line of cells": ("line.csv", lambda draw: "a,b,手机\n1,2,3\n" + mixture(draw).replace("\n", ",") + "\n1,2,3\n"),
    "coded": ("mail.txt", coded),
    "coded cells": ("coded.csv", lambda draw: "k,v\n" + coded(draw).replace("\n", ",1\n")),
    "random": ("a.bin", lambda draw: draw.raw(70_000)),
    "text, then random": ("a.csv", lambda draw: plain(draw).encode() * 2 + draw.raw(20_000)),
    "text, then gb18030": ("a.csv", lambda draw: plain(draw).encode() * 2 + cohort(draw).encode("gb18030")),
}  # fmt: skip


@cache
def corpus(kind: str, seed: int = 1) -> tuple[str, bytes]:
    """Path and content of a file of a kind."""
    path, make = KINDS[kind]
    made = make(Draw(seed * 1000 + list(KINDS).index(kind)))
    return path, made.encode() if isinstance(made, str) else made


def digest(found: FileFindings) -> str:
    """Of everything the findings say, the persons among it; eight bytes in hexadecimal."""
    said = json.dumps(found.to_json(""), sort_keys=True, ensure_ascii=True)
    flags = (found.secrecy_mark, found.personal, found.sensitive, found.precise_geo)
    persons = found.identifiers
    digest_ = blake2b(f"{said}{flags}{persons.uncounted, persons.sensitive, persons.ordinary}".encode(), digest_size=8)
    for kind, values in persons.values.items():
        digest_.update(kind.encode() + values.astype("<u8").tobytes())
    return digest_.hexdigest()
