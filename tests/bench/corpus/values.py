"""True identifiers: how each kind is made, and the spellings in which it is met.

A form is `evident` when nothing but itself is needed to know it; the others stand beside a word or under a header that
says what they are, because without it nobody could tell. README.md beside this file lists them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from faker.providers.ssn.zh_CN import Provider as Areas

from tests.bench.corpus.checks import (
    CARBON,
    carbon_check,
    hkid_check,
    luhn_check,
    organisation_check,
    resident_check,
    resident_is_valid,
)
from tests.bench.corpus.dice import Dice
from tests.bench.corpus.shown import Shown

WIDE_DIGITS = str.maketrans("0123456789", "０１２３４５６７８９")
WIDE = str.maketrans("0123456789()X", "０１２３４５６７８９（）Ｘ")
NO_IO = "ABCDEFGHJKLMNPQRSTUVWXYZ"
MOBILE_PREFIXES = (
    *("130", "131", "132", "133", "134", "135", "136", "137", "138", "139", "147", "150", "151", "152", "153", "155"),
    *("156", "157", "158", "159", "166", "171", "173", "175", "176", "177", "178", "180", "181", "182", "183", "185"),
    *("186", "187", "188", "189", "191", "193", "195", "198", "199"),
)
DEBIT = ("621700", "622202", "622848", "621661", "622588", "621483", "623052")
CREDIT = ("625955", "622575", "628288", "625965")
LANDLINES = ("010", "020", "021", "0755", "0756", "0769", "0571", "028")
PERMITS = ("81", "82", "83")
PLATES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
HOSTS = (
    "qq.com",
    "163.com",
    "126.com",
    "outlook.com",
    "hku.hk",
    "connect.hku.hk",
    "szu.edu.cn",
    "mail.sysu.edu.cn",
    "gmail.com",
)


@dataclass(frozen=True)
class Form:
    """One spelling of one kind."""

    kind: str
    name: str
    make: Callable[[Dice], str]
    dress: Callable[[str], str]
    evident: bool

    def draw(self, dice: Dice) -> Shown:
        value = self.make(dice)
        return Shown(self.kind, self.name, value, self.dress(value))


# ---- spellings ----------------------------------------------------------------------------------------------------------


def plain(value: str) -> str:
    return value


def wide(value: str) -> str:
    """Digits and brackets of twice the width, as Chinese input methods write them."""
    return value.translate(WIDE)


def parted(*sizes: int, by: str = " ") -> Callable[[str], str]:
    """Groups of these sizes; what is left is the last group."""

    def dress(value: str) -> str:
        groups, rest = [], value
        for size in sizes:
            groups.append(rest[:size])
            rest = rest[size:]
        return by.join(part for part in (*groups, rest) if part)

    return dress


def before(prefix: str, then: Callable[[str], str] = plain) -> Callable[[str], str]:
    return lambda value: prefix + then(value)


def bracketed(opening: str = "(", closing: str = ")") -> Callable[[str], str]:
    return lambda value: f"{value[:-1]}{opening}{value[-1]}{closing}"


# ---- numbers ------------------------------------------------------------------------------------------------------------


def resident(dice: Dice, first: int = 1940) -> str:
    """Drawn again until python-stdnum agrees that the area existed in the year of birth; 81 to 83 are residence permits."""
    while True:
        body = f"{dice.pick(Areas.area_codes)}{dice.date(first)}{dice.digits(3)}"
        if not body.startswith(PERMITS) and resident_is_valid(body + resident_check(body)):
            return body + resident_check(body)


def resident_x(dice: Dice) -> str:
    while not (number := resident(dice)).endswith("X"):
        pass
    return number


def resident_old(dice: Dice) -> str:
    """Fifteen digits, issued until 1999: no century, no check digit."""
    while not (number := resident(dice))[6:].startswith("19"):
        pass
    return number[:6] + number[8:17]


def permit(dice: Dice) -> str:
    """Residence permits since 2018 have areas of their own, and the check digit of the resident ID."""
    body = f"{dice.pick(('810000', '820000', '830000'))}{dice.date(1950)}{dice.digits(3)}"
    return body + resident_check(body)


def hkid(dice: Dice) -> str:
    letters, body = dice.pick("ABCDEFGHJKMNPRSVYZ"), dice.digits(6)
    return letters + body + hkid_check(letters, body)


def hkid_double(dice: Dice) -> str:
    letters, body = dice.pick(("XA", "XB", "XE", "XG", "EC", "WX")), dice.digits(6)
    return letters + body + hkid_check(letters, body)


def uscc(dice: Dice) -> str:
    middle = dice.digits(8) if dice.often(60) else "MA" + dice.digits(6, CARBON)
    body = (
        f"{dice.pick(('91', '92', '12', '52', '51'))}{dice.pick(Areas.area_codes)}{middle}{organisation_check(middle)}"
    )
    return body + carbon_check(body)


def organisation(dice: Dice) -> str:
    middle = dice.digits(8)
    return middle + organisation_check(middle)


def card(prefixes: tuple[str, ...], length: int) -> Callable[[Dice], str]:
    def make(dice: Dice) -> str:
        prefix = dice.pick(prefixes)
        body = prefix + dice.digits(length - 1 - len(prefix))
        return body + luhn_check(body)

    return make


def imei(dice: Dice) -> str:
    body = f"{dice.pick(('35', '86', '01'))}{dice.digits(12)}"
    return body + luhn_check(body)


def mobile(dice: Dice) -> str:
    return dice.pick(MOBILE_PREFIXES) + dice.digits(8)


def starting(first: str, count: int) -> Callable[[Dice], str]:
    """One of the characters `first`, then so many digits."""
    return lambda dice: dice.pick(first) + dice.digits(count)


def lettered(heads: tuple[str, ...], count: int) -> Callable[[Dice], str]:
    return lambda dice: dice.pick(heads) + dice.digits(count)


def landline(dice: Dice) -> str:
    area = dice.pick(LANDLINES)
    return area + dice.pick("2368") + dice.digits(7)


def split_area(value: str) -> tuple[str, str]:
    size = 3 if value.startswith(("010", "02")) else 4
    return value[:size], value[size:]


def landline_as(pattern: str) -> Callable[[str], str]:
    def dress(value: str) -> str:
        area, rest = split_area(value)
        return pattern.format(area=area, short=area[1:], rest=rest, first=rest[:4], last=rest[4:])

    return dress


def plate(serial: int) -> Callable[[Dice], str]:
    """Five characters, or for new energy D or F, a letter or a digit, and four digits (GA 36-2018); without I and O."""

    def make(dice: Dice) -> str:
        if serial == 6:
            body = dice.pick("DF") + (dice.digits(1) if dice.often(50) else dice.pick(NO_IO)) + dice.digits(4)
        else:
            body = dice.digits(5) if dice.often(50) else dice.digits(1) + dice.pick(NO_IO) + dice.digits(3)
        return f"{dice.pick(PLATES)}{dice.pick('ABCDEFGHJK')}{body}"

    return make


def plate_border(dice: Dice) -> str:
    return f"粤Z{dice.pick(NO_IO)}{dice.digits(3)}{dice.pick('港澳')}"


def address(dice: Dice) -> str:
    name = re.sub(r"[^a-z0-9]", "", dice.faker("en").user_name()) or "li"
    return f"{name}{dice.number(1, 999)}@{dice.pick(HOSTS)}"


def address_dotted(dice: Dice) -> str:
    faker = dice.faker("en")
    return f"{faker.first_name()}.{faker.last_name()}+{dice.pick(('study', 'lab', '2026'))}@{dice.pick(HOSTS)}"


# ---- the table ----------------------------------------------------------------------------------------------------------


def _forms() -> tuple[Form, ...]:
    e, c = True, False  # evident by itself; known by context only
    return (
        Form("cn_resident_id", "18 plain", resident, plain, e),
        Form("cn_resident_id", "18 lower x", resident_x, str.lower, e),
        Form("cn_resident_id", "18 in 6-8-4, spaces", resident, parted(6, 8), e),
        Form("cn_resident_id", "18 full-width", resident, wide, e),
        Form("cn_resident_id", "15 old", resident_old, plain, c),
        Form("cn_residence_permit", "18 plain", permit, plain, e),
        Form("cn_residence_permit", "18 in 6-8-4, spaces", permit, parted(6, 8), e),
        Form("cn_residence_permit", "18 full-width", permit, wide, e),
        Form("hkid", "A123456(3)", hkid, bracketed(), e),
        Form("hkid", "AB123456(3)", hkid_double, bracketed(), e),
        Form("hkid", "A123456（3）", hkid, bracketed("（", "）"), e),
        Form("hkid", "A 123456 (3)", hkid, lambda v: f"{v[0]} {v[1:7]} ({v[7]})", e),
        Form("hkid", "A1234563", hkid, plain, c),
        Form("hkid", "a123456(3)", hkid, lambda v: f"{v[:-1].lower()}({v[-1]})", c),
        Form("cn_uscc", "18 plain", uscc, plain, e),
        Form(
            "cn_uscc",
            "18 full-width digits",
            uscc,
            lambda v: v.translate(WIDE_DIGITS),
            e,
        ),
        Form("cn_org_code", "8-1", organisation, lambda v: f"{v[:8]}-{v[8]}", c),
        Form("cn_org_code", "9 joined", organisation, plain, c),
        Form("bank_card", "UnionPay 19", card(DEBIT, 19), plain, e),
        Form("bank_card", "UnionPay 16", card(CREDIT, 16), plain, e),
        Form("bank_card", "UnionPay 19 in fours, spaces", card(DEBIT, 19), parted(4, 4, 4, 4), e),
        Form("bank_card", "UnionPay 19 full-width", card(DEBIT, 19), wide, e),
        Form("bank_card", "Visa, Mastercard 16", card(("4", "51", "52", "53", "54", "55"), 16), plain, e),
        Form(
            "bank_card", "Visa, Mastercard in fours, hyphens", card(("4", "51", "55"), 16), parted(4, 4, 4, by="-"), e
        ),
        Form("bank_card", "Amex 15", card(("34", "37"), 15), plain, c),
        Form("cn_mobile", "11 plain", mobile, plain, e),
        Form("cn_mobile", "+86 11", mobile, before("+86 "), e),
        Form("cn_mobile", "+8611", mobile, before("+86"), e),
        Form("cn_mobile", "86-11", mobile, before("86-"), e),
        Form("cn_mobile", "0086 joined", mobile, before("0086"), e),
        Form("cn_mobile", "3-4-4 spaces", mobile, parted(3, 4), e),
        Form("cn_mobile", "3-4-4 hyphens", mobile, parted(3, 4, by="-"), e),
        Form("cn_mobile", "+86 3-4-4 spaces", mobile, before("+86 ", parted(3, 4)), e),
        Form("cn_mobile", "11 full-width", mobile, wide, e),
        Form("hk_mobile", "+852 4-4", starting("569", 7), before("+852 ", parted(4)), e),
        Form("hk_mobile", "+8528", starting("569", 7), before("+852"), e),
        Form("hk_mobile", "(852) 4-4", starting("569", 7), before("(852) ", parted(4)), e),
        Form("hk_mobile", "852-8", starting("569", 7), before("852-"), e),
        Form("hk_mobile", "8 plain", starting("569", 7), plain, c),
        Form("hk_mobile", "4-4 space", starting("569", 7), parted(4), c),
        Form("hk_mobile", "4-4 hyphen", starting("569", 7), parted(4, by="-"), c),
        Form("mo_mobile", "+853 4-4", starting("6", 7), before("+853 ", parted(4)), e),
        Form("mo_mobile", "+8538", starting("6", 7), before("+853"), e),
        Form("mo_mobile", "8 plain", starting("6", 7), plain, c),
        Form("landline", "0755-8", landline, landline_as("{area}-{rest}"), c),
        Form("landline", "(0755)8", landline, landline_as("({area}){rest}"), c),
        Form("landline", "0755 4 4", landline, landline_as("{area} {first} {last}"), c),
        Form("landline", "+86 755 4 4", landline, landline_as("+86 {short} {first} {last}"), c),
        Form("landline", "0755-8转", landline, landline_as("{area}-{rest}转801"), c),
        Form("landline", "HK +852 4-4", starting("23", 7), before("+852 ", parted(4)), e),
        Form("landline", "HK 4-4", starting("23", 7), parted(4), c),
        Form("email", "plain", address, plain, e),
        Form("email", "dots and sub-address", address_dotted, plain, e),
        Form("email", "upper case", address, str.upper, e),
        Form("cn_passport", "E+8", starting("E", 8), plain, c),
        Form("cn_passport", "E, letter+7", lambda d: f"E{d.pick('ABCDEFGHJKLMN')}{d.digits(7)}", plain, c),
        Form("cn_passport", "G+8", starting("G", 8), plain, c),
        Form("cn_passport", "PE, SE, DE+7", lettered(("PE", "SE", "DE"), 7), plain, c),
        Form("hk_passport", "K+8", starting("K", 8), plain, c),
        Form("hk_passport", "KJ, HA, HB, HJ+8/7", lettered(("KJ", "HA", "HB", "HJ"), 7), plain, c),
        Form("mo_bir", "7(1)", starting("1578", 7), bracketed(), c),
        Form("mo_bir", "1/6/1", starting("1578", 7), lambda v: f"{v[0]}/{v[1:7]}/{v[7]}", c),
        Form("mo_bir", "8 plain", starting("1578", 7), plain, c),
        Form("exit_permit", "C+8", starting("C", 8), plain, c),
        Form("exit_permit", "C, letter+7", lambda d: f"C{d.pick('ABCDEFGHJK')}{d.digits(7)}", plain, c),
        Form("exit_permit", "W+8", starting("W", 8), plain, c),
        Form("home_return_permit", "H, M+8", starting("HM", 8), plain, c),
        Form("home_return_permit", "H, M+10", starting("HM", 10), plain, c),
        Form("taiwan_permit", "8", lambda d: d.pick("0123") + d.digits(7), plain, c),
        Form("vehicle_plate", "5", plate(5), plain, e),
        Form("vehicle_plate", "5 with dot", plate(5), parted(2, by="·"), e),
        Form("vehicle_plate", "5 with space", plate(5), parted(2), e),
        Form("vehicle_plate", "6, new energy", plate(6), plain, e),
        Form("vehicle_plate", "粤Z border", plate_border, plain, e),
        Form("imei", "15 plain", imei, plain, c),
        Form("imei", "2-6-6-1", imei, parted(2, 6, 6, by="-"), c),
    )


FORMS = _forms()
KINDS = tuple(dict.fromkeys(form.kind for form in FORMS))
