"""Number plates of vehicles of the mainland.

Source: GA 36-2018: the short name of a province, a letter of the authority, five characters of A-Z without I and O and 0-9,
or six for new energy vehicles (D or F first, then a letter or a digit and four digits, or five digits and D or F); `学`, `警`,
`港`, `澳`, `挂` may take the last place.
Found from the letter behind a wide character. Canonical value: province, letter and characters in base 37.
"""

from __future__ import annotations

import numpy as np

from gateway.core.detectors.bits import earlier, packed, places
from gateway.core.detectors.candidates import Candidates, candidates, nothing
from gateway.core.detectors.lanes import Bytes, Lanes, Mask, Places, Window, is_alnum, is_digit

_PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼滬遼蘇贛陝閩貴粵寧瓊滇黔"
_LAST = "学警港澳挂領领使試试"
_CHARACTER = np.uint64(0xFF_FFFF)
_I, _O, _D, _F, _SPACE, _ASCII = (np.uint8(n) for n in (*b"IODF ", 0x80))
_TWENTY_SIX, _A = np.uint8(26), np.uint8(ord("A"))


def _lanes(characters: str) -> Lanes:
    return np.array(sorted(int.from_bytes(c.encode(), "little") for c in characters), np.uint64)


_PROVINCE, _ENDING = _lanes(_PROVINCES), _lanes(_LAST)


def find_plates(window: Window) -> Candidates:
    """粤B12345, 粤B·12345, 粤BD12345 and 粤Z1234港."""
    if not window.has_wide:
        return nothing("vehicle_plate")
    data = window.data
    letter = places(packed(_is_capital(data[4:])) & earlier(packed(data >= _ASCII), 3)) + 4
    letter = letter[letter < data.size - 40]
    province = window.lanes[letter - 3] & _CHARACTER
    letter = letter[_within(_PROVINCE, province)]
    if not letter.size:
        return nothing("vehicle_plate")
    serial = letter + 1 + (data[letter + 1] == _SPACE)
    size, shape = _serial(window, serial)
    start, end = letter - 3, serial + size
    here = np.flatnonzero(shape)
    value = _value(window, letter[here], serial[here])
    return candidates("vehicle_plate", start[here], end[here], value, np.ones(here.size, np.bool_))


def _is_capital(characters: Bytes) -> Mask:
    capital: Mask = (characters - _A) < _TWENTY_SIX
    return capital


def _within(known: Lanes, values: Lanes) -> Mask:
    rank = np.minimum(np.searchsorted(known, values), known.size - 1)
    within: Mask = known[rank] == values
    return within


def _serial(window: Window, serial: Places) -> tuple[Places, Mask]:
    """Bytes of the serial, and whether its shape is right."""
    text = window.rows(serial, 7)
    digit = is_digit(text)
    legal = digit | _is_capital(text) & (text != _I) & (text != _O)
    ended = ~is_alnum(text)
    five = legal[:, :5].all(axis=1) & (digit[:, :5].sum(axis=1) >= 3) & ended[:, 5]
    electric = (text == _D) | (text == _F)
    first = electric[:, 0] & legal[:, 1] & digit[:, 2:6].all(axis=1)
    last = electric[:, 5] & digit[:, :5].all(axis=1)
    six = (first | last) & ended[:, 6]
    special = legal[:, :4].all(axis=1) & (digit[:, :4].sum(axis=1) >= 2)
    special &= _within(_ENDING, window.lanes[serial + 4] & _CHARACTER)
    return np.where(six, 6, np.where(five, 5, 7)), five | six | special


def _value(window: Window, letter: Places, serial: Places) -> Lanes:
    """The province's place in the list, then 37 times what is before for each of up to seven characters."""
    value = np.searchsorted(_PROVINCE, window.lanes[letter - 3] & _CHARACTER).astype(np.uint64)
    value = value * np.uint64(37) + (window.data[letter] & np.uint8(31))
    alive = np.ones(letter.size, np.bool_)
    for nth in range(6):
        character = window.data[serial + nth]
        alive &= is_alnum(character)
        rank = np.where(is_digit(character), character - np.uint8(47), (character & np.uint8(31)) + np.uint8(10))
        value = value * np.uint64(37) + np.where(alive, rank, 0).astype(np.uint64)
    return value
