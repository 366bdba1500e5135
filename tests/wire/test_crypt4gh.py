"""Crypt4GH against the stock `crypt4gh` package, both ways, and against damage."""

from __future__ import annotations

import io
from hashlib import sha256

import pytest
from crypt4gh import header as stock_header
from crypt4gh import lib as stock
from crypt4gh.keys import c4gh as stock_keys
from crypt4gh.keys import get_private_key, get_public_key
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.wire import Malformed, Unopenable, crypt4gh
from tests.wire.damage import damaged, parsed_or_none

READER = sha256(b"reader").digest()
READER_PUBLIC = crypt4gh.public_key(READER)
OTHER = sha256(b"other").digest()
WRITER = sha256(b"writer").digest()
KEYS = [sha256(b"session %d" % number).digest() for number in range(3)]
SIZES = [0, 1, 65_535, 65_536, 65_537, 200_000]


def nonces(count: int) -> bytes:
    return b"".join(sha256(b"nonce %d" % number).digest()[:12] for number in range(count))


def noncelist(count: int) -> list[bytes]:
    return [sha256(b"header nonce %d" % number).digest()[:12] for number in range(count)]


def payload(size: int) -> bytes:
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def segments_of(size: int) -> int:
    return -(-size // crypt4gh.SEGMENT)


def sealed(plain: bytes, key: bytes = KEYS[0]) -> bytes:
    out = bytearray(crypt4gh.cipher_size(len(plain)))
    assert crypt4gh.SegmentSealer(key).seal_into(plain, nonces(segments_of(len(plain))), out) == len(out)
    return bytes(out)


def header_for(keys: list[bytes], reader_public: bytes = READER_PUBLIC) -> bytes:
    return crypt4gh.seal_header(keys, reader_public, WRITER, noncelist(len(keys)))


def packets(*plain: bytes, reader_public: bytes = READER_PUBLIC) -> bytes:
    """A header with packets of any content, made by the stranger."""
    keys = [(0, WRITER, reader_public)]
    return stock_header.serialize([one for body in plain for one in stock_header.encrypt(body, keys)])


def stock_decrypt(data: bytes, private: bytes = READER) -> bytes:
    out = io.BytesIO()
    stock.decrypt([(0, private, None)], io.BytesIO(data), out)
    return out.getvalue()


# --- strangers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_the_stock_tool_opens_what_we_seal(size):
    plain = payload(size)
    assert stock_decrypt(header_for(KEYS[:1]) + sealed(plain)) == plain


@pytest.mark.parametrize("size", SIZES)
def test_we_open_what_the_stock_tool_seals(size):
    plain = payload(size)
    out = io.BytesIO()
    stock.encrypt([(0, WRITER, READER_PUBLIC)], io.BytesIO(plain), out)
    data = out.getvalue()
    length = crypt4gh.header_length(data)
    opened = crypt4gh.open_header(data[:length], READER)
    assert opened.writers == (crypt4gh.public_key(WRITER),)
    assert crypt4gh.plain_size(len(data) - length) == size
    assert crypt4gh.SegmentOpener(opened.session_keys).open(data[length:]) == plain


def test_a_header_made_afterwards_for_two_session_keys_opens_the_whole_file():
    first, second = payload(65_536), payload(70_000)
    header = header_for(KEYS[:2])
    body = sealed(first, KEYS[0]) + sealed(second, KEYS[1])
    assert stock_decrypt(header + body) == first + second
    assert crypt4gh.SegmentOpener(crypt4gh.open_header(header, READER).session_keys).open(body) == first + second


def test_key_files_of_both_sides_are_read_by_the_other(tmp_path):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.write_bytes(crypt4gh.format_public_key(READER_PUBLIC))
    assert get_public_key(ours) == READER_PUBLIC
    ours.write_bytes(crypt4gh.format_private_key(READER, comment=b"reader"))
    assert get_private_key(ours, None) == READER
    locked = crypt4gh.format_private_key(READER, passphrase=b"secret", salt=b"s" * 16, nonce=b"n" * 12)
    ours.write_bytes(locked)
    assert get_private_key(ours, lambda: "secret") == READER

    for passphrase in (None, b"secret"):
        stock_keys.generate(theirs, tmp_path / "theirs.pub", passphrase, b"a comment")
        private = crypt4gh.parse_private_key(theirs.read_bytes(), passphrase=passphrase)
        public = crypt4gh.parse_public_key((tmp_path / "theirs.pub").read_bytes())
        assert crypt4gh.public_key(private) == public
        theirs.unlink()


# --- sizes -----------------------------------------------------------------------------------------------------------


@given(st.integers(0, 2**50))
def test_sizes_are_inverse(size):
    assert crypt4gh.plain_size(crypt4gh.cipher_size(size)) == size


@pytest.mark.parametrize(("plain", "cipher"), [(0, 0), (1, 29), (65_536, 65_564), (65_537, 65_593)])
def test_sizes_of_bodies(plain, cipher):
    assert crypt4gh.cipher_size(plain) == cipher
    assert crypt4gh.plain_size(cipher) == plain


@pytest.mark.parametrize("cipher", [1, 28, 65_565, 65_592])
def test_a_body_that_ends_inside_a_segment_has_no_plain_size(cipher):
    with pytest.raises(Malformed, match="inside a segment"):
        crypt4gh.plain_size(cipher)


def test_negative_sizes_are_our_own_mistake():
    for size_of in (crypt4gh.plain_size, crypt4gh.cipher_size):
        with pytest.raises(ValueError, match="negative"):
            size_of(-1)


# --- header ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "size"), [(1, 124), (2, 232), (3, 340)])
def test_headers_have_their_known_sizes_and_keep_the_order_of_keys(count, size):
    header = header_for(KEYS[:count])
    assert len(header) == size == crypt4gh.header_length(header)
    opened = crypt4gh.open_header(header, READER)
    assert opened.session_keys == tuple(KEYS[:count])
    assert opened.passed_over == 0
    assert KEYS[0].hex() not in repr(opened)
    assert repr(KEYS[0]) not in repr(opened)


def test_header_length_asks_for_more_until_it_can_tell():
    data = header_for(KEYS[:2]) + b"body"
    answers = [crypt4gh.header_length(data[:size]) for size in range(len(data) + 1)]
    # The last packet's length field ends at 16 + 108 + 4.
    assert answers == [None] * 128 + [232] * (len(data) - 127)


@pytest.mark.parametrize(
    "prefix",
    [
        b"crypt4gx",
        b"PK",
        b"crypt4gh\x02\0\0\0\x01\0\0\0",
        b"crypt4gh\x01\0\0\0\0\0\0\0",
        b"crypt4gh\x01\0\0\0\xff\xff\xff\xff",
        b"crypt4gh\x01\0\0\0\x01\0\0\0\x03\0\0\0",
        b"crypt4gh\x01\0\0\0\x01\0\0\0\xff\xff\xff\xff",
    ],
)
def test_prefixes_that_no_header_has(prefix):
    with pytest.raises(Malformed):
        crypt4gh.header_length(prefix)


def test_packets_for_other_readers_are_passed_over():
    body = stock_header.make_packet_data_enc(0, KEYS[0])
    keys = [(0, WRITER, crypt4gh.public_key(OTHER)), (0, WRITER, READER_PUBLIC)]
    ours = list(stock_header.encrypt(body, keys))
    unknown_method = b"\x07" + ours[1][1:]
    low_order_writer = ours[1][:4] + bytes(32) + ours[1][36:]
    opened = crypt4gh.open_header(stock_header.serialize([*ours, unknown_method, low_order_writer]), READER)
    assert opened.session_keys == (KEYS[0],)
    assert opened.passed_over == 3


def test_a_header_for_others_only_is_unopenable():
    with pytest.raises(Unopenable):
        crypt4gh.open_header(header_for(KEYS[:1]), OTHER)


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        (stock_header.make_packet_data_edit_list([0, 10]), "edit list"),
        (b"\x01\0\0\0", "edit list"),
        (b"\x02\0\0\0" + bytes(36), "type 2"),
        (b"\0\0\0\0\x01\0\0\0" + bytes(32), "method 1"),
        (b"\0\0\0\0\0\0\0\0" + bytes(31), "not a set"),
        (b"", "not a set"),
    ],
)
def test_packets_that_open_must_be_understood(extra, reason):
    with pytest.raises(Malformed, match=reason):
        crypt4gh.open_header(packets(stock_header.make_packet_data_enc(0, KEYS[0]), extra), READER)


@pytest.mark.parametrize("change", [b"x", None])
def test_a_header_must_be_exactly_one(change):
    header = header_for(KEYS[:1])
    with pytest.raises(Malformed, match="exactly one"):
        crypt4gh.open_header(header + change if change else header[:-1], READER)


def test_too_many_packets_or_bytes_are_refused():
    count = crypt4gh.MAX_PACKETS
    header = header_for([KEYS[0]] * count)
    assert len(header) <= crypt4gh.MAX_HEADER
    assert crypt4gh.header_length(header) == len(header)
    with pytest.raises(ValueError, match="1 to"):
        header_for([KEYS[0]] * (count + 1))
    with pytest.raises(ValueError, match="1 to"):
        header_for([])
    with pytest.raises(Malformed, match="is not possible or passes"):
        crypt4gh.header_length(packets(bytes(crypt4gh.MAX_HEADER)))


@given(damaged(header_for(KEYS[:2])))
@settings(deadline=None, max_examples=60)
def test_headers_open_or_are_malformed(data):
    parsed_or_none(crypt4gh.header_length, data)
    opened = parsed_or_none(lambda header: crypt4gh.open_header(header, READER), data)
    assert opened is None or set(opened.session_keys) <= set(KEYS)


@pytest.mark.parametrize(
    "arguments",
    [
        ([b"short"], READER_PUBLIC, WRITER, noncelist(1)),
        (KEYS[:1], READER_PUBLIC[:-1], WRITER, noncelist(1)),
        (KEYS[:1], READER_PUBLIC, WRITER[:-1], noncelist(1)),
        (KEYS[:1], READER_PUBLIC, WRITER, [b"short"]),
        (KEYS[:2], READER_PUBLIC, WRITER, noncelist(1)),
    ],
)
def test_wrong_arguments_are_value_errors_but_not_malformed(arguments):
    with pytest.raises(ValueError, match=r"bytes|nonce") as caught:
        crypt4gh.seal_header(*arguments)
    assert not isinstance(caught.value, Malformed)


def test_a_recipient_key_of_low_order_is_refused():
    with pytest.raises(Malformed, match="low order"):
        crypt4gh.seal_header(KEYS[:1], bytes(32), WRITER, noncelist(1))


# --- segments --------------------------------------------------------------------------------------------------------


def test_a_run_of_a_mebibyte_is_sealed_into_a_reused_buffer():
    sealer, opener = crypt4gh.SegmentSealer(KEYS[0]), crypt4gh.SegmentOpener(KEYS[0])
    room = bytearray(crypt4gh.cipher_size(1 << 20) + 5)
    for fill in (b"a", b"b"):
        plain = fill * (1 << 20)
        written = sealer.seal_into(memoryview(plain), nonces(16), memoryview(room))
        assert written == 16 * crypt4gh.CIPHER_SEGMENT
        assert opener.open(memoryview(room)[:written]) == plain
        assert room[:12] == nonces(1)
    assert room[-5:] == bytes(5)


@given(st.binary(max_size=300), st.sampled_from([0, 65_536]))
@settings(deadline=None, max_examples=20)
def test_any_content_comes_back(tail, lead):
    plain = payload(lead) + tail
    assert crypt4gh.SegmentOpener(KEYS).open(sealed(plain, KEYS[2])) == plain


@pytest.mark.parametrize(("count", "room"), [(1, 65_593), (3, 65_593), (2, 65_592)])
def test_nonces_and_room_must_fit(count, room):
    with pytest.raises(ValueError, match="take 2 nonces"):
        crypt4gh.SegmentSealer(KEYS[0]).seal_into(bytes(65_537), nonces(count), bytearray(room))


@pytest.mark.parametrize("make", [crypt4gh.SegmentSealer, crypt4gh.SegmentOpener])
def test_session_keys_have_32_bytes(make):
    with pytest.raises(ValueError, match="32 bytes"):
        make(b"short")


@pytest.mark.parametrize("at", [0, 11, 12, 70, 65_563, 65_564, -1])
def test_a_changed_byte_anywhere_is_noticed(at):
    body = bytearray(sealed(payload(65_600)))
    body[at] ^= 1
    with pytest.raises(Unopenable):
        crypt4gh.SegmentOpener(KEYS[0]).open(body)


def test_a_run_under_an_unknown_key_gives_nothing():
    with pytest.raises(Unopenable):
        crypt4gh.SegmentOpener(KEYS[:2]).open(sealed(payload(65_536)) + sealed(b"x", KEYS[2]))


@given(damaged(sealed(b"payload of one short segment")))
@settings(deadline=None)
def test_segments_open_or_are_malformed(data):
    plain = parsed_or_none(crypt4gh.SegmentOpener(KEYS[0]).open, data)
    assert plain in {None, b"", b"payload of one short segment"}


# --- key files -------------------------------------------------------------------------------------------------------


@given(damaged(crypt4gh.format_public_key(READER_PUBLIC)))
def test_public_key_files_parse_or_are_malformed(data):
    key = parsed_or_none(crypt4gh.parse_public_key, data)
    assert key is None or len(key) == 32


@given(damaged(crypt4gh.format_private_key(READER, comment=b"c")))
def test_private_key_files_parse_or_are_malformed(data):
    key = parsed_or_none(crypt4gh.parse_private_key, data)
    assert key is None or len(key) == 32


def key_file(*strings: bytes, magic: bytes = b"c4gh-v1") -> bytes:
    from gateway.wire.armor import armored

    body = b"".join(len(one).to_bytes(2, "big") + one for one in strings)
    return armored(b"CRYPT4GH PRIVATE KEY", magic + body, width=64)


@pytest.mark.parametrize(
    "data",
    [
        key_file(b"none", b"none", READER, magic=b"c4gh-v2"),
        key_file(b"none", b"none", READER[:-1]),
        key_file(b"none", b"none"),
        key_file(b"none", b"chacha20_poly1305", READER),
        key_file(b"none", b"none", READER, b"comment", b"more"),
        key_file(b"bcrypt", b"\0\0\0\x64" + bytes(16), b"chacha20_poly1305", bytes(60)),
        key_file(b"scrypt", b"\0\0\0\0" + bytes(15), b"chacha20_poly1305", bytes(60)),
        key_file(b"scrypt", b"\0\0\0\0" + bytes(16), b"chacha20_poly1305", bytes(28)),
        key_file(b"scrypt", b"\0\0\0\0" + bytes(16), b"aes", bytes(60)),
        key_file(),
    ],
)
def test_private_key_files_that_are_refused(data):
    with pytest.raises(Malformed) as caught:
        crypt4gh.parse_private_key(data, passphrase=b"secret")
    assert not isinstance(caught.value, Unopenable)


@pytest.mark.parametrize("passphrase", [None, b"", b"wrong"])
def test_a_locked_key_opens_with_its_passphrase_only(passphrase):
    locked = crypt4gh.format_private_key(READER, passphrase=b"secret", salt=bytes(16), nonce=bytes(12))
    with pytest.raises(Unopenable, match="passphrase"):
        crypt4gh.parse_private_key(locked, passphrase=passphrase)


def test_a_public_key_file_of_another_size_is_refused():
    from gateway.wire.armor import armored

    with pytest.raises(Malformed, match="32 bytes"):
        crypt4gh.parse_public_key(armored(b"CRYPT4GH PUBLIC KEY", bytes(33), width=64))


@pytest.mark.parametrize(
    "options",
    [
        {"passphrase": b"secret"},
        {"salt": bytes(16), "nonce": bytes(12)},
        {"passphrase": b"", "salt": bytes(16), "nonce": bytes(12)},
        {"passphrase": b"secret", "salt": bytes(15), "nonce": bytes(12)},
        {"passphrase": b"secret", "salt": bytes(16), "nonce": bytes(11)},
    ],
)
def test_half_a_protection_is_none(options):
    with pytest.raises(ValueError, match=r"passphrase|salt|nonce"):
        crypt4gh.format_private_key(READER, **options)
