"""In which encoding a text without a byte order mark was written, judged by what it would say.

UTF-8 proves itself. GB18030, Big5 with the characters of Hong Kong (HKSCS) and UTF-16 accept much that was never written in
them, so each reading is weighed by how many of its wide characters are among those that Chinese text is full of: four in
ten of ordinary text, one in a hundred of a wrong reading.

A change must keep: a doubt is no encoding at all, and the file is held; the answer is a function of the bytes alone.
"""

from __future__ import annotations

import codecs
import re

from gateway.core.signatures import BINARY

# The most frequent characters of modern Chinese, those of the headers and labels of records, of number plates and of wards,
# simplified and traditional.
_SIMPLIFIED = frozenset(
    "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产种面而方后多定行学法所民得经"
    "十三之进着等部度家电力里如水化高自二理起小物现实加量都两体制机当使点从业本去把性好应开它合还因由其些然前外天政四日那社义事平形相"
    "全表间样与关各重新线内数正心反你明看原又么利比或但质气第向道命此变条只没结解问意建月公无系军很情者最立代想已通并提直题党程展五果料象"
    "姓名别号码身份证手机话址出生期诊断患病院住门疗医备注编男女血压糖尿肺炎查检岁龄邮箱籍贯族职单位联系护照卡银张王李刘陈杨赵黄周吴深圳市南山区"
    "据省县街路室广东北京海香港州城镇村科技园福田罗湖宝安龙岗先女士员未知常入治药果值测记录信息类型状态结束始完"
    "津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼学警澳转急儿妇产眼耳鼻喉皮肤神经肿瘤骨呼吸泌消肾脏肝胆胸"
)
_TRADITIONAL = frozenset(
    "的一是在不了有和人這中大為上個國我以要他時來用們生到作地於出就分對成會可主發年動同工也能下過子說產種面而方後多定行學法所民得經"
    "十三之進著等部度家電力裡裏如水化高自二理起小物現實加量都兩體制機當使點從業本去把性好應開它合還因由其些然前外天政四日那社義事平形相"
    "全表間樣與關各重新線內數正心反你明看原又麼利比或但質氣第向道命此變條只沒結解問意建月公無系軍很情者最立代想已通並提直題黨程展五果料象"
    "姓名別號碼身份證手機話址出生期診斷患病院住門療醫備註編男女血壓糖尿肺炎查檢歲齡郵箱籍貫族職單位聯繫絡護照卡銀張王李劉陳楊趙黃周吳深圳市南山區"
    "據省縣街路室廣東北京海香港州城鎮村科技園九龍新界島灣仔葉馮梁鄭謝先女士員未知常入治藥果值測記錄信息類型狀態結束始完咗嘅喺唔係冇啲佢"
    "粵澳轉急兒婦產眼耳鼻喉皮膚神經腫瘤骨呼吸泌消腎臟肝膽胸"
)
_SHARE = 0.12  # of the wide characters that must be frequent ones
_SOME = 0.09  # where something else speaks for an encoding too; Korean read as GB18030 has 0.07
_FAR, _APART = 3.0, 0.25  # times the share of the other reading, or so much more
_NEARLY_ALL, _MOST, _ENOUGH = 0.9, 0.75, 12  # of the first level of a character set, and wide characters that tell so
_PUNCTUATION = frozenset(
    "\u3001\u3002\uff0c\uff1a\uff1b\uff1f\uff01\uff08\uff09\u300a\u300b\u3010\u3011\u201c\u201d\u2018\u2019\u00b7\u2026\u2014\u300c\u300d\u3000"
)
_WIDE = re.compile("[^\\x00-\\x7f]+")
_SYMBOLS = frozenset({0xA1, 0xA2, 0xA3, 0xA6})
_LOOKED = 65_536  # characters
_LEAST = 8  # units of UTF-16 that tell an order
_ORDERS = ("utf-16-le", "utf-16-be")


def encoding_of(head: bytes) -> str:
    """`utf-8`, `gb18030`, `big5hkscs`, `utf-16-le` or `utf-16-be` where the bytes are plausible text in it, else empty."""
    if is_binary(head):
        return _sixteen(head)
    if head.isascii() or _decoded(head, "utf-8") is not None:
        return "utf-8"
    return _eight(head) or _sixteen(head)


def is_binary(text: bytes) -> bool:
    """Whether any byte is a control that no text holds; a tenth of what an expression takes."""
    return len(text.translate(None, BINARY)) < len(text)


def _decoded(head: bytes, encoding: str) -> str | None:
    try:
        return codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError:
        return None


def _eight(head: bytes) -> str:
    """GB18030 or Big5, by what either would say."""
    simplified, traditional = _decoded(head, "gb18030"), _decoded(head, "big5hkscs")
    if traditional is not None and _is_full_width(traditional):
        return "big5hkscs"
    if simplified is not None and _is_symbols(simplified):
        return "gb18030"
    gb = 0.0 if simplified is None else _frequent(simplified)
    if traditional is None:
        return "gb18030" if simplified is not None and gb >= _SOME and _is_common_gb(simplified) else ""
    big = _frequent(traditional)
    if simplified is None:
        return "big5hkscs" if big >= _SHARE else ""
    if max(gb, big) >= _SHARE:
        if _is_far(gb, big) and _is_common_gb(simplified):
            return "gb18030"
        if _is_far(big, gb):
            return "big5hkscs"
    return _by_rows(simplified, traditional) if max(gb, big) >= _SOME else ""


def _by_rows(simplified: str, traditional: str) -> str:
    """Names of people are few and rare characters: GB18030 or Big5, by whose first level nearly all of them are of.

    GB 2312 has its first level in rows B0 to D7, of which Big5 reads the later half as rare characters; that of Big5 (A4 to C6)
    reads as kana, Cyrillic and extensions in GB18030. What is of neither, or of both, has no encoding.
    """
    gb = _first_level(simplified, "gb18030", 0xB0, 0xD7, 0xA1)
    big = _first_level(traditional, "big5hkscs", 0xA4, 0xC6, 0x40)
    if gb >= _NEARLY_ALL and big <= _MOST:
        return "gb18030"
    return "big5hkscs" if big >= _NEARLY_ALL and gb <= _MOST else ""


def _first_level(text: str, encoding: str, first: int, last: int, second: int) -> float:
    """Share of the wide characters of those rows and second bytes, punctuation left out; half where they are too few."""
    wide = [c.encode(encoding) for c in "".join(_WIDE.findall(text))[:_LOOKED] if _is_word(c)]
    known = sum(1 for c in wide if len(c) == 2 and first <= c[0] <= last and c[1] >= second)
    return known / len(wide) if len(wide) >= _ENOUGH else 0.5


def _is_word(character: str) -> bool:
    return character not in _PUNCTUATION and not "\uff01" <= character <= "\uff5e"


def _is_far(share: float, other: float) -> bool:
    return share >= _FAR * other or share - other >= _APART


def _frequent(text: str) -> float:
    """Share of the wide characters, punctuation and ASCII of twice the width left out, that are frequent in either script."""
    wide = [c for c in "".join(_WIDE.findall(text))[:_LOOKED] if _is_word(c)]
    if not wide:
        return 0.0
    return max(sum(c in known for c in wide) for known in (_SIMPLIFIED, _TRADITIONAL)) / len(wide)


def _is_full_width(text: str) -> bool:
    """Whether nothing is wide but digits, letters and punctuation of twice the width: an export of numbers in Big5."""
    wide = "".join(_WIDE.findall(text))
    digits = sum("\uff10" <= character <= "\uff19" for character in wide)
    return 2 * digits > len(wide) and all("\uff01" <= c <= "\uff5e" or c in _PUNCTUATION for c in wide)


def _is_symbols(text: str) -> bool:
    """Whether nothing is wide but punctuation, units and Greek (rows 1-3 and 6 of GB 2312): no word in any reading."""
    wide = "".join(_WIDE.findall(text)).encode("gb18030")
    leads = set(wide[::2])
    return leads <= _SYMBOLS and all(byte >= 0xA1 for byte in wide[1::2])


def _is_common_gb(text: str) -> bool:
    """Whether at least half of the two-byte characters are punctuation or common ones of GB 2312 (rows 1-3 and 16-55)."""
    wide = [character.encode("gb18030") for character in text if character > "\x7f"]
    common = sum(1 for c in wide if len(c) == 2 and (0xB0 <= c[0] <= 0xD7 or 0xA1 <= c[0] <= 0xA3) and c[1] >= 0xA1)
    return common * 2 >= len(wide)


def _sixteen(head: bytes) -> str:
    """UTF-16 without a byte order mark, where one order reads as text and the other does not."""
    if len(head) < 2 * _LEAST:
        return ""
    plausible = [encoding for encoding in _ORDERS if _is_text(_decoded(head, encoding))]
    return plausible[0] if len(plausible) == 1 else ""


def _is_text(text: str | None) -> bool:
    """No control, and all but a few characters ASCII, frequent Chinese, or beside such the rest of Chinese."""
    text = text[:_LOOKED] if text else ""
    if not text or is_binary(text.encode("utf-8", "surrogatepass")):
        return False
    narrow = sum(character <= "\x7f" for character in text)
    chinese = sum("\u4e00" <= c <= "\u9fff" or "\u3000" <= c <= "\u303f" or "\uff00" <= c <= "\uffef" for c in text)
    if (narrow + chinese) < 0.95 * len(text):
        return False
    return narrow >= 0.5 * len(text) or _frequent(text) >= _SHARE
