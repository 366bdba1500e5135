"""Hard negatives: what looks like an identifier and is none. Each has the field names under which it is met.

What would pass for a person's number by every public check is drawn again: nobody could tell it from a true one.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from tests.bench.corpus.checks import (
    CARBON,
    carbon_check,
    hkid_check,
    luhn_check,
    organisation_check,
    passes_for_true,
    resident_check,
)
from tests.bench.corpus.dice import Dice
from tests.bench.corpus.values import CREDIT, DEBIT, Areas, resident, uscc


@dataclass(frozen=True)
class Negative:
    """One class of things that are nobody's number; `headers` by language, `key` in code and logs."""

    name: str
    make: Callable[[Dice], str]
    headers: dict[str, str]
    key: str

    def draw(self, dice: Dice) -> str:
        while passes_for_true(text := self.make(dice)):
            pass
        return text


def _other(dice: Dice, right: str, among: str) -> str:
    """Any of the characters but the right one."""
    return dice.pick([mark for mark in among if mark.upper() != right.upper()])


def wrong_resident(dice: Dice) -> str:
    number = resident(dice)
    return number[:17] + _other(dice, number[17], "0123456789X")


def resident_of_no_day(dice: Dice) -> str:
    day = dice.pick(("19901301", "19850230", "20010931", "19770229", "18720105", "20991231", "19930000"))
    body = f"{dice.pick(Areas.area_codes)}{day}{dice.digits(3)}"
    return body + resident_check(body)


def resident_of_nowhere(dice: Dice) -> str:
    area = dice.pick(("00", "10", "18", "26", "39", "48", "57", "68", "74", "79", "88")) + dice.digits(4)
    body = f"{area}{dice.date()}{dice.digits(3)}"
    return body + resident_check(body)


def wrong_card(dice: Dice) -> str:
    body = dice.pick((*DEBIT, *CREDIT)) + dice.digits(dice.pick((9, 12)))
    return body + _other(dice, luhn_check(body), "0123456789")


def wrong_uscc(dice: Dice) -> str:
    number = uscc(dice)
    return number[:17] + _other(dice, carbon_check(number[:17]), CARBON)


def wrong_hkid(dice: Dice) -> str:
    letter, body = dice.pick("ABCDEFGHJKMNPRSVYZ"), dice.digits(6)
    return f"{letter}{body}({_other(dice, hkid_check(letter, body), '0123456789A')})"


def wrong_organisation(dice: Dice) -> str:
    body = dice.digits(8)
    return f"{body}-{_other(dice, organisation_check(body), '0123456789X')}"


def random_digits(dice: Dice) -> str:
    return dice.digits(1, "123456789") + dice.digits(dice.number(10, 18))


def inside_longer(dice: Dice) -> str:
    """A mobile number's eleven digits in the middle of a longer run, or glued to letters."""
    run = f"1{dice.pick('3578')}{dice.digits(9)}"
    return dice.pick(
        (f"99{run}", f"{run}{dice.digits(3)}", f"7{run}{dice.digits(2)}", f"SN{run}Q", f"R{run}_{dice.digits(2)}")
    )


def order(dice: Dice) -> str:
    day = dice.date(2019, 2026)
    return dice.pick(
        (f"{day}{dice.digits(10)}", f"{day}{dice.digits(12)}", f"HT{day}{dice.digits(6)}", f"ZY-{day}-{dice.digits(4)}")
    )


def epoch(digits: int) -> Callable[[Dice], str]:
    """Seconds since 1970 between 2021 and 2027, with so many digits in all."""
    return lambda dice: f"{dice.number(1_610_000_000, 1_790_000_000)}{dice.digits(digits - 10)}"


def groups(*sizes: int) -> Callable[[Dice], str]:
    return lambda dice: "-".join(dice.digits(size, "0123456789abcdef") for size in sizes)


def encoded(dice: Dice) -> str:
    return base64.b64encode(dice.data(dice.number(18, 60))).decode()


def isbn13(dice: Dice) -> str:
    return _ean(dice.pick(("9787", "9780")) + dice.digits(8))


def ean13(dice: Dice) -> str:
    return _ean(dice.pick(("690", "693", "697", "489", "471")) + dice.digits(9))


def _ean(body: str) -> str:
    return body + str(-sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(body)) % 10)


def orcid(dice: Dice) -> str:
    """Sixteen digits in fours, as a bank card; ISO 7064 MOD 11-2."""
    body, total = "0000000" + dice.digits(8), 0
    for digit in body:
        total = (total + int(digit)) * 2
    check = (12 - total % 11) % 11
    whole = body + ("X" if check == 10 else str(check))
    return "-".join(whole[start : start + 4] for start in range(0, 16, 4))


def icd(dice: Dice) -> str:
    return f"{dice.pick('ABCDEGIJKMNRSZ')}{dice.digits(2)}.{dice.pick(('0', '9', dice.digits(3), 'x00', dice.digits(2) + '0'))}"


def barcode(dice: Dice) -> str:
    """Sample tubes: a letter and eight digits have the shape of a passport, without its word."""
    return dice.pick(
        (
            f"{dice.pick('BCEGHKMSTW')}{dice.digits(8)}",
            f"BC{dice.digits(10)}",
            f"S{dice.digits(3)}-{dice.digits(4)}",
            dice.digits(8),
        )
    )


def float_text(dice: Dice) -> str:
    return dice.pick(
        (
            f"0.{dice.digits(15)}",
            f"1{dice.pick('3578')}{dice.digits(9)}.{dice.digits(2)}",
            f"-{dice.digits(2)}.{dice.digits(11)}",
        )
    )


def constant(dice: Dice) -> str:
    return dice.pick(
        (
            f"0x{dice.digits(16, '0123456789ABCDEF')}",
            f"1{dice.pick('358')}{dice.digits(9)}ULL",
            f"{dice.digits(3)}_{dice.digits(3)}_{dice.digits(3)}",
        )
    )


def version(dice: Dice) -> str:
    numbers = [str(dice.number(0, 99)) for _ in range(3)]
    return ".".join(numbers) + dice.pick(("", f".{dice.digits(5)}", f"-rc.{dice.number(1, 9)}", f"+{dice.digits(8)}"))


def network(dice: Dice) -> str:
    parts = [str(dice.number(1, 254)) for _ in range(4)]
    mac = ":".join(dice.digits(2, "0123456789abcdef") for _ in range(6))
    return dice.pick(
        (
            ".".join(parts),
            ".".join(parts) + f":{dice.number(1024, 65535)}",
            mac,
            f"2001:db8::{dice.digits(4, '0123456789abcdef')}",
        )
    )


def address_like(dice: Dice) -> str:
    """An at sign that is no mailbox: images for dense screens, packages, decorators, SSH remotes' local part alone."""
    return dice.pick(
        (
            f"logo-{dice.number(1, 99)}@2x.png",
            f"@types/node-{dice.number(10, 22)}",
            f"sample{dice.number(1, 99)}@host{dice.number(1, 9)}",
            f"zlib@{dice.number(1, 9)}.{dice.number(0, 20)}.{dice.number(0, 9)}",
            f"image@sha256:{hashlib.sha256(dice.data(8)).hexdigest()[:20]}",
        )
    )


def registry(dice: Dice) -> str:
    """Numbers of genes, variants, trials, grants and images."""
    return dice.pick(
        (
            f"ENSG{dice.digits(11)}",
            f"rs1{dice.pick('3578')}{dice.digits(7)}",
            f"NCT0{dice.digits(7)}",
            f"ChiCTR2{dice.digits(9)}",
            f"8{dice.digits(7)}",
            f"1.2.840.113619.2.{dice.digits(3)}.{dice.digits(10)}.{dice.digits(4)}",
            f"10.{dice.digits(4)}/s{dice.digits(5)}-0{dice.digits(2)}-{dice.digits(5)}-1",
        )
    )


def stamp(dice: Dice) -> str:
    clock = f"{dice.number(0, 23):02d}{dice.number(0, 59):02d}{dice.number(0, 59):02d}"
    return dice.date(2019, 2026) + clock + dice.pick(("", dice.digits(3)))


def _negative(name: str, make: Callable[[Dice], str], hans: str, hant: str, en: str) -> Negative:
    return Negative(name, make, {"hans": hans, "hant": hant, "en": en}, en)


NEGATIVES = (
    _negative("resident ID, wrong check digit", wrong_resident, "流水号", "流水號", "serial"),
    _negative("resident ID, no such day", resident_of_no_day, "流水号", "流水號", "serial"),
    _negative("resident ID, no such area", resident_of_nowhere, "流水号", "流水號", "serial"),
    _negative("bank card, wrong Luhn digit", wrong_card, "批次号", "批次編號", "batch"),
    _negative("USCC, wrong check", wrong_uscc, "批次号", "批次編號", "batch"),
    _negative("HKID, wrong check", wrong_hkid, "参考号", "參考編號", "reference"),
    _negative("organisation code, wrong check", wrong_organisation, "参考号", "參考編號", "reference"),
    _negative("random 11 to 19 digits", random_digits, "序列号", "序列編號", "sequence"),
    _negative("mobile inside a longer run", inside_longer, "设备序列号", "設備序號", "device_serial"),
    _negative("order number with a date", order, "订单号", "訂單編號", "order_no"),
    _negative("epoch, s", epoch(10), "时间戳", "時間戳記", "ts"),
    _negative("epoch, ms", epoch(13), "时间戳", "時間戳記", "ts_ms"),
    _negative("epoch, us", epoch(16), "时间戳", "時間戳記", "ts_us"),
    _negative("epoch, ns", epoch(19), "时间戳", "時間戳記", "ts_ns"),
    _negative("compact date and time", stamp, "上传时间", "上載時間", "created"),
    _negative("UUID", groups(8, 4, 4, 4, 12), "追踪号", "追蹤編號", "trace_id"),
    _negative("MD5", groups(32), "校验值", "校驗值", "md5"),
    _negative("git hash", groups(40), "提交", "提交", "commit"),
    _negative("SHA-256", groups(64), "摘要", "摘要", "sha256"),
    _negative("base64", encoded, "载荷", "載荷", "payload"),
    _negative("DNA", lambda dice: dice.digits(dice.number(30, 120), "ACGT"), "序列", "序列", "sequence"),
    _negative("ISBN", isbn13, "书号", "書號", "isbn"),
    _negative("EAN", ean13, "商品条码", "商品條碼", "ean"),
    _negative("ORCID iD", orcid, "学者编号", "學者編號", "orcid"),
    _negative("ICD code", icd, "疾病编码", "疾病編碼", "icd10"),
    _negative("sample barcode", barcode, "样本条码", "樣本條碼", "sample_barcode"),
    _negative("number with a fraction", float_text, "测量值", "測量值", "value"),
    _negative("constant in code", constant, "掩码", "掩碼", "mask"),
    _negative("version", version, "版本", "版本", "version"),
    _negative("IP or MAC address", network, "地址", "位址", "host"),
    _negative("at sign, no mailbox", address_like, "资源", "資源", "asset"),
    _negative("registry number", registry, "登记号", "登記編號", "accession"),
)

# What a file of a kind holds beside it, in one of three files: its nearest look-alikes.
BESIDE = {
    "cn_resident_id": (0, 1, 2, 9),
    "cn_residence_permit": (0, 9, 12),
    "hkid": (5, 25, 24),
    "cn_uscc": (4, 15, 7),
    "cn_org_code": (6, 25),
    "bank_card": (3, 12, 13, 23),
    "cn_mobile": (8, 10, 26),
    "hk_mobile": (25, 31),
    "mo_mobile": (25, 31),
    "landline": (9, 14),
    "email": (30, 19),
    "cn_passport": (25, 24),
    "hk_passport": (25, 24),
    "mo_bir": (25, 6),
    "exit_permit": (25, 24),
    "home_return_permit": (25, 9),
    "taiwan_permit": (25, 31),
    "vehicle_plate": (24, 28),
    "imei": (7, 11),
}
