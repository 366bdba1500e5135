"""Records: strict types, words and check digits, every complaint at once."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import MISSING, fields, replace
from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum.cn import uscc as oracle

from gateway.core.derive import NINE_CITIES
from gateway.core.errors import Unusable
from gateway.core.identity import SENDER_SCOPES
from gateway.core.records import (
    GBA_CITIES,
    KINDS,
    MAX_TEXT,
    MECHANISMS,
    ROLES,
    STATES,
    ActiveRulebook,
    AppPassword,
    Client,
    Delegation,
    Endpoint,
    EvidenceDocument,
    FiledMechanism,
    Institution,
    Person,
    Project,
    Record,
    RestrictedRecipient,
    SshKey,
    Webhook,
    WhitelistEntry,
    direction_of,
    parse_record,
    password_digest,
    record_table,
    split_url,
    uscc_is_valid,
)
from gateway.core.transfer import State
from gateway.wire import canonical
from tests.core.examples import CHANNEL, CLIENT, ENDPOINT, FILING, INSTITUTION, OFFICERS, PERSONS, PROJECT, USCC
from tests.policies.packed import pack

EXAMPLES: dict[str, Record] = {
    "institution": INSTITUTION,
    "person": PERSONS[1],
    "client": CLIENT,
    "endpoint": ENDPOINT,
    "project": PROJECT,
    "filing": FILING,
    "officer": OFFICERS[0],
    "rulebook": ActiveRulebook("pack-1", "0" * 64, date(2026, 1, 1)),
    "password": AppPassword(
        "lin-dav", "sz-lab", "lin", "0" * 64, date(2026, 11, 1), date(2026, 12, 1), ("transfers:read",)
    ),
    "webhook": Webhook(
        "erp", "sz-lab", "https://erp.sz-lab.example/hook?x=1", ("10.1.0.0/16",), ("held",), date(2027, 1, 1)
    ),
    "delegation": Delegation(
        "leave", "officer-li", "he", OFFICERS[0].key, date(2026, 11, 20), date(2026, 12, 1), "annual leave"
    ),
    "channel": CHANNEL,
    "whitelist": WhitelistEntry(
        "w-lab", "institution", "sz-lab", "Hetao 2026/1", "0" * 64, date(2026, 1, 1), date(2027, 1, 1), "filed"
    ),
    "restricted": RestrictedRecipient(
        "r-1", "CAC 2026/9", "0" * 64, date(2026, 1, 1), date(2027, 1, 1), ("Acme",), ("HK-1",), ("hku-genomics",)
    ),
    "sshkey": SshKey("lin-laptop", "sz-lab", "lin", OFFICERS[0].key, SENDER_SCOPES, date(2027, 1, 1)),
}

# The fields of every kind. Signed changes of years ago must still be read: fields are added with defaults, never taken away.
PERMANENT: dict[str, tuple[str, ...]] = {
    "institution": (
        "id", "name_zh", "name_en", "uscc", "filing_number", "filed_from", "filed_to", "ciio", "overseas_controlled",
        "gba_city", "health_org", "government_funded", "in_ftz", "place",
    ),
    "person": ("id", "name", "institution", "real_name_verified", "supervisor", "valid_to"),
    "client": ("id", "institution", "person", "jwk", "scopes", "valid_to", "jwks", "certificate", "bound_tokens"),
    "endpoint": (
        "id", "name", "place", "connector", "recipient_key", "settings", "ranges", "mainland_controlled",
        "listed_pipl42", "in_hetao_hk_park", "onward", "malware_scan", "institution", "registration", "also_named",
    ),
    "project": ("id", "institution", "endpoints", "purpose", "declaration", "quiet_minutes", "family"),
    "filing": (
        "id", "institution", "kind", "recipients", "purpose", "data_types", "effective", "filed", "valid_to", "extended",
        "persons_cap", "evidence_sha256", "number", "authority", "evidence",
    ),
    "officer": ("id", "person", "role", "key", "valid_to"),
    "rulebook": ("id", "digest", "active_from"),
    "webhook": ("id", "institution", "url", "ranges", "events", "valid_to"),
    "sshkey": ("id", "institution", "person", "key", "scopes", "valid_to"),
    "delegation": ("id", "officer", "person", "key", "valid_from", "valid_to", "reason"),
    "channel": (
        "id", "institution", "project", "endpoint", "rules", "columns", "formats", "files", "bytes", "persons",
        "total_files", "total_bytes", "total_persons", "valid_from", "valid_to", "sample_percent", "reason", "classes",
        "kinds", "tolerance", "filings",
    ),
    "whitelist": ("id", "kind", "subject", "source", "basis_sha256", "listed_from", "listed_to", "counts_as"),
    "restricted": (
        "id", "source", "basis_sha256", "listed_from", "listed_to", "names", "registrations", "endpoints",
    ),
    "password": ("id", "institution", "person", "digest", "valid_from", "valid_to", "scopes"),
}  # fmt: skip


def test_every_kind_has_an_example_and_a_permanent_list() -> None:
    assert set(KINDS) == set(EXAMPLES) == set(PERMANENT)
    for kind, record_type in KINDS.items():
        names = [field.name for field in fields(record_type)]
        assert set(PERMANENT[kind]) <= set(names)
        new = [field for field in fields(record_type) if field.name not in PERMANENT[kind]]
        assert all(field.default is not MISSING or field.default_factory is not MISSING for field in new)


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_is_its_table(kind: str) -> None:
    record = EXAMPLES[kind]
    table = record_table(record)
    assert parse_record(kind, table) == record
    read_back = canonical.decode(canonical.encode(table))
    assert isinstance(read_back, dict)
    assert parse_record(kind, read_back) == record


@pytest.mark.parametrize("kind", KINDS)
def test_only_what_has_a_default_may_be_left_out(kind: str) -> None:
    table = record_table(EXAMPLES[kind])
    if kind == "client":  # either of the two will do, and one there must be: tested below
        table["certificate"] = "urn:hetao:client:sz-lab-cli"
    for field in fields(KINDS[kind]):
        rest = {key: value for key, value in table.items() if key != field.name}
        if field.default is MISSING and field.default_factory is MISSING:
            with pytest.raises(Unusable, match=f"{field.name} is missing"):
                parse_record(kind, rest)
        else:
            parse_record(kind, rest)


WRONG = [None, 1.5, b"x", object(), {1: 2}, [1], datetime(2026, 1, 1)]  # noqa: DTZ001 - a naive datetime is the point


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: type(wrong).__name__)
def test_no_field_takes_a_wrong_type(wrong: object) -> None:
    for kind in KINDS:
        for field in fields(KINDS[kind]):
            with pytest.raises(Unusable, match=field.name):
                parse_record(kind, {**record_table(EXAMPLES[kind]), field.name: wrong})


def test_toml_has_dates_of_its_own() -> None:
    found = parse_record("rulebook", {"id": "x", "digest": "0" * 64, "active_from": date(2026, 1, 1)})
    assert found == ActiveRulebook("x", "0" * 64, date(2026, 1, 1))


PAPER = {"name": "decision.pdf", "sha256": "0" * 64, "what": "decision"}
WRONG: list[tuple[str, Mapping[str, Any], str]] = [
    ("institution", {"uscc": USCC[:-1] + "0"}, "check character"),
    ("institution", {"uscc": USCC.lower()}, "check character"),
    ("institution", {"gba_city": "Peking"}, "gba_city must be"),
    ("institution", {"id": "Sz Lab"}, "id must be"),
    ("institution", {"id": ""}, "id must be"),
    ("institution", {"ciio": 1}, "ciio must be true or false"),
    ("institution", {"filed_from": "20260101"}, "filed_from must be a date"),
    ("institution", {"filed_from": "2026-W01-1"}, "filed_from must be a date"),
    ("institution", {"filed_from": "2026-02-30"}, "filed_from"),
    ("institution", {"name_zh": "长" * (MAX_TEXT + 1)}, "name_zh must be a string of at most"),
    ("institution", {"name_zh": "\ud800"}, "name_zh must be a string"),
    ("institution", {"nickname": "x"}, "unknown key 'nickname'"),
    ("person", {"real_name_verified": "yes"}, "real_name_verified must be true or false"),
    ("client", {"jwk": {"kty": 1}}, "jwk must be a table of strings"),
    ("client", {"jwk": {"kty": "OKP", "d": "secret"}}, "private half"),
    ("client", {"scopes": ["transfers:all"]}, "scopes transfers:all are not among"),
    ("client", {"scopes": "transfers:open"}, "scopes must be a list"),
    ("endpoint", {"place": ""}, "place must be"),
    ("endpoint", {"place": "Hong Kong"}, "place must be"),
    ("endpoint", {"place": "hk"}, "place must be"),
    ("endpoint", {"place": "HK-"}, "place must be"),
    ("endpoint", {"institution": "sz-lab"}, "institution is for endpoints in the mainland"),
    ("institution", {"place": "Hong Kong"}, "place must be"),
    ("institution", {"place": "HK", "uscc": ""}, "gba_city is for institutions in the mainland"),
    ("institution", {"uscc": ""}, "check character"),
    ("institution", {"place": "CN-SZ", "uscc": ""}, "check character"),
    ("institution", {"place": "HK", "gba_city": "", "uscc": USCC[:-1] + "0"}, "check character"),
    ("project", {"family": "The Cohort"}, "family must be"),
    ("endpoint", {"recipient_key": ""}, "recipient_key must be"),
    ("endpoint", {"recipient_key": base64.b64encode(bytes(31)).decode()}, "recipient_key must be"),
    ("endpoint", {"recipient_key": base64.b64encode(bytes(32)).decode().rstrip("=")}, "recipient_key must be"),
    ("endpoint", {"recipient_key": "A" * 42 + "B="}, "recipient_key must be"),  # a second spelling of 32 zero bytes
    ("endpoint", {"recipient_key": "é" * 44}, "recipient_key must be"),
    ("endpoint", {"ranges": ["203.0.113.1/24"]}, "ranges: 203.0.113.1/24 has host bits set"),
    ("endpoint", {"ranges": ["everywhere"]}, "ranges: 'everywhere'"),
    ("endpoint", {"onward": [" "]}, "onward must be a list of strings, none of them blank"),
    ("project", {"quiet_minutes": 1441}, "quiet_minutes must be 0 (off) or 1 to 1440"),
    ("project", {"quiet_minutes": -1}, "quiet_minutes must be a whole number"),
    ("project", {"quiet_minutes": 30, "declaration": {}}, "quiet_minutes needs a standing declaration"),
    ("filing", {"kind": "NDA"}, "kind must be one of"),
    ("filing", {"persons_cap": -1}, "persons_cap must be a whole number"),
    ("filing", {"persons_cap": True}, "persons_cap must be a whole number"),
    ("filing", {"persons_cap": 1 << 53}, "persons_cap must be a whole number"),
    ("filing", {"evidence_sha256": "abc"}, "evidence_sha256 must be 64 hex digits"),
    ("filing", {"evidence": [PAPER, {**PAPER, "name": "other"}]}, "two documents of one sha256"),
    ("filing", {"evidence": [PAPER, {**PAPER, "sha256": "1" * 64}]}, "two documents of one name"),
    ("filing", {"evidence": [{**PAPER, "sha256": "ABC"}]}, "sha256 is 64 hex digits"),
    ("filing", {"evidence": [{**PAPER, "what": "memo"}]}, "must have documents that are one of"),
    ("filing", {"evidence": [{**PAPER, "size": "1"}]}, "name, sha256 and what"),
    ("filing", {"evidence": [{"name": "x"}]}, "name, sha256 and what"),
    ("filing", {"evidence": [{**PAPER, "name": " "}]}, "a name of at most 200"),
    ("filing", {"evidence": [{**PAPER, "name": "a\nb"}]}, "a name of at most 200"),
    ("filing", {"evidence": [PAPER] * 51}, "at most 50 documents"),
    ("whitelist", {"kind": "team"}, "kind must be one of institution, person, industry"),
    ("whitelist", {"counts_as": "real_name"}, "counts_as of a institution must be '' or 'filed'"),
    ("whitelist", {"kind": "industry"}, "counts_as of a industry must be ''"),
    ("whitelist", {"basis_sha256": ""}, "basis_sha256 must be 64 hex digits"),
    ("whitelist", {"source": " "}, "source is empty"),
    ("whitelist", {"subject": ""}, "subject is empty"),
    ("whitelist", {"listed_to": "2025-12-31"}, "listed_to must not be before"),
    ("restricted", {"names": [], "registrations": [], "endpoints": []}, "must say who is listed"),
    ("restricted", {"names": ["--"]}, "need letters or digits"),
    ("restricted", {"listed_to": "2025-12-31"}, "listed_to must not be before"),
    ("officer", {"role": "boss"}, "role must be one of"),
    ("officer", {"key": "ssh-rsa AAAA"}, "key is not an OpenSSH public key"),
    ("officer", {"key": ""}, "key is not an OpenSSH public key"),
    ("webhook", {"url": "http://erp.example/"}, "url must be https://"),
    ("webhook", {"url": "https://user@erp.example/"}, "url must be https://"),
    ("webhook", {"url": "https://erp.example/#x"}, "url must be https://"),
    ("webhook", {"url": "https://erp.example"}, "url must be https://"),
    ("webhook", {"url": "https://ERP.example/"}, "url must be https://"),
    ("webhook", {"url": "https://erp.example:0/"}, "url must be https://"),
    ("webhook", {"url": "https://erp.example:65536/"}, "url must be https://"),
    ("webhook", {"url": "https://erp.example/\r\nX: y"}, "url must be https://"),
    ("webhook", {"url": "https://[::1]/"}, "url must be https://"),
    ("webhook", {"ranges": []}, "ranges must name the address blocks"),
    ("webhook", {"ranges": ["everywhere"]}, "ranges: 'everywhere'"),
    ("webhook", {"events": ["done"]}, "events done are not among"),
    ("rulebook", {"digest": "latest"}, "digest must be 64 hex digits"),
    ("rulebook", {"digest": "A" * 64}, "digest must be 64 hex digits"),
]


@pytest.mark.parametrize(("kind", "change", "says"), WRONG)
def test_what_is_refused(kind: str, change: Mapping[str, Any], says: str) -> None:
    with pytest.raises(Unusable, match=re.escape(says)):
        parse_record(kind, {**record_table(EXAMPLES[kind]), **change})


def test_every_complaint_comes_at_once() -> None:
    with pytest.raises(Unusable) as told:
        parse_record("institution", {"id": "sz", "ciio": 1, "colour": "red", "filed_to": "soon"})
    for name in ("'colour'", "name_zh is missing", "uscc is missing", "ciio must", "filed_to must", "'sz'"):
        assert name in told.value.message
    well_typed = {**record_table(ENDPOINT), "id": "A", "place": "", "recipient_key": "", "ranges": ["x"]}
    with pytest.raises(Unusable) as told:
        parse_record("endpoint", well_typed)
    assert told.value.message.count(";") == 3


@pytest.mark.parametrize("kind", ["", "Institution", None, [], 5])
def test_unknown_kinds(kind: Any) -> None:
    with pytest.raises(Unusable, match="there is no kind"):
        parse_record(kind, {})


@pytest.mark.parametrize("table", [None, [], "x", 5])
def test_a_record_is_a_table(table: Any) -> None:
    with pytest.raises(Unusable, match="is a table"):
        parse_record("person", table)


# --- the words are the vocabulary's ----------------------------------------------------------------------------------------


def test_events_are_states() -> None:
    assert set(STATES) == {state.value for state in State}


def test_a_url_is_split_as_the_standard_library_does() -> None:
    assert split_url("https://erp.example:8443/a?b=1") == ("erp.example", 8443, "/a?b=1")
    assert split_url("https://127.0.0.1/") == ("127.0.0.1", 443, "/")


def test_the_words_are_the_vocabularys() -> None:
    vocabulary = pack().vocabulary
    assert set(GBA_CITIES) == NINE_CITIES == set(vocabulary.facts["sender.gba_city"].words) - {""}
    assert vocabulary.filings["kind"].words == MECHANISMS
    assert vocabulary.facts["purpose.stated"].refuse("x" * MAX_TEXT) == ""
    assert vocabulary.facts["purpose.stated"].refuse("x" * (MAX_TEXT + 1))


@pytest.mark.parametrize(
    ("kind", "key", "words"),
    [("institution", "gba_city", GBA_CITIES), ("filing", "kind", MECHANISMS), ("officer", "role", ROLES)],
)
def test_every_word_is_taken(kind: str, key: str, words: tuple[str, ...]) -> None:
    for word in words:
        found = parse_record(kind, {**record_table(EXAMPLES[kind]), key: word})
        assert getattr(found, key) == word


def test_every_scope() -> None:
    found = parse_record("client", {**record_table(CLIENT), "scopes": list(SENDER_SCOPES)})
    assert isinstance(found, Client)
    assert found.scopes == SENDER_SCOPES


# --- unified social credit codes, against python-stdnum ----------------------------------------------------------------------

ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"


def test_a_code_has_exactly_one_check_character() -> None:
    assert [last for last in ALPHABET if uscc_is_valid(USCC[:-1] + last)] == [USCC[-1]]


@given(st.text(ALPHABET, min_size=8, max_size=8), st.sampled_from(["91440300", "12440300", "52810000"]))
def test_the_check_character_is_stdnums(middle: str, start: str) -> None:
    body = start + middle + "5"
    last = oracle.calc_check_digit(body)
    assert uscc_is_valid(body + last)
    assert oracle.is_valid(body + last)
    other = ALPHABET[(ALPHABET.index(last) + 1) % len(ALPHABET)]
    assert not uscc_is_valid(body + other)


@given(st.integers(0, 16), st.sampled_from(ALPHABET))
def test_one_wrong_character_is_found(place: int, character: str) -> None:
    changed = USCC[:place] + character + USCC[place + 1 :]
    assert uscc_is_valid(changed) is (changed == USCC)


@pytest.mark.parametrize(
    "code", ["", USCC[:-1], USCC + "0", USCC.replace("M", "O"), "９" + USCC[1:], " " + USCC[1:], USCC.lower()]
)
def test_other_forms(code: str) -> None:
    assert not uscc_is_valid(code)


@given(st.text(max_size=20))
def test_no_text_breaks_it(code: str) -> None:
    assert not uscc_is_valid(code) or oracle.is_valid(code)


# --- what clients and people sign in with ----------------------------------------------------------------------------------

PIN = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    "certificate", [PIN, "urn:hetao:client:sz-lab-cli", "https://pki.example/clients/7", "spiffe://lab.example/sender"]
)
def test_what_a_clients_certificate_may_be(certificate: str) -> None:
    found = parse_record(
        "client", {**record_table(CLIENT), "certificate": certificate, "bound_tokens": True, "jwk": {}}
    )
    assert isinstance(found, Client)
    assert (found.certificate, found.public_keys()) == (certificate, ())


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"jwk": {}}, "jwk or certificate is missing"),
        ({"certificate": "urn:hetao:client:other"}, "another client's name"),
        ({"certificate": "urn:hetao:client:"}, "another client's name"),
        ({"certificate": "sha256:" + "AB" * 32}, "certificate must be"),
        ({"certificate": "sha256:ab"}, "certificate must be"),
        ({"certificate": "CN=sz-lab"}, "certificate must be"),
        ({"certificate": "urn:with space"}, "certificate must be"),
        ({"certificate": "urn:" + "x" * 201}, "certificate must be"),
        ({"bound_tokens": True}, "bound_tokens needs a certificate"),
        ({"jwks": [{"kty": "EC"}] * 4}, "at most 3 keys"),
        ({"jwks": [{}]}, "at most 3 keys"),
        ({"jwks": [{"kty": "OKP", "d": "x"}]}, "private half"),
    ],
)
def test_what_a_client_may_not_be(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(Unusable, match=says):
        parse_record("client", {**record_table(CLIENT), **changes})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"digest": "hap_secret"}, "digest must be"),
        ({"valid_to": "2026-10-31"}, "valid_to must be"),
        ({"valid_to": "2027-01-31"}, "at most 90"),
        ({"scopes": ["review:vote"]}, "scopes"),
    ],
)
def test_what_a_password_may_not_be(changes: dict[str, Any], says: str) -> None:
    table = record_table(EXAMPLES["password"])
    parse_record("password", {**table, "valid_to": "2027-01-30"})  # the ninetieth day after
    with pytest.raises(Unusable, match=says):
        parse_record("password", {**table, **changes})


def test_a_password_is_proved_by_itself_under_its_own_name_alone() -> None:
    secret = "hap_" + "a" * 32
    found = AppPassword("lin-dav", "sz-lab", "lin", password_digest("lin-dav", secret), date.min, date.max)
    assert found.is_proved_by(secret)
    assert not found.is_proved_by(secret + "a")
    assert not found.is_proved_by(found.digest)
    assert not replace(found, id="other").is_proved_by(secret)


# --- days and fingerprints -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "start", "end", "day", "holds"),
    [
        ("HT-1", date(2026, 1, 1), date(2026, 12, 31), date(2026, 1, 1), True),
        ("HT-1", date(2026, 1, 1), date(2026, 12, 31), date(2026, 12, 31), True),
        ("HT-1", date(2026, 1, 1), date(2026, 12, 31), date(2027, 1, 1), False),
        ("HT-1", date(2026, 1, 1), date(2026, 12, 31), date(2025, 12, 31), False),
        ("HT-1", date(2026, 1, 1), None, date(2099, 1, 1), True),
        ("HT-1", None, date(2026, 12, 31), date(2026, 6, 1), False),
        ("", date(2026, 1, 1), None, date(2026, 6, 1), False),
    ],
)
def test_a_filing_holds_on_its_days(number: str, start: date | None, end: date | None, day: date, holds: bool) -> None:  # noqa: FBT001 - a row of the table
    institution = Institution("x", "x", "x", USCC, filing_number=number, filed_from=start, filed_to=end)
    assert institution.filed_on(day) is holds


def test_the_fingerprint_names_the_key() -> None:
    other = Endpoint("x", "x", "HK", "directory", base64.b64encode(bytes(32)).decode())
    assert re.fullmatch(r"SHA256:[0-9a-f]{64}", ENDPOINT.key_fingerprint())
    assert other.key_fingerprint() != ENDPOINT.key_fingerprint()


def test_defaults_claim_nothing() -> None:
    institution = Institution("x", "x", "x", USCC)
    assert not institution.filed_on(date(2026, 11, 20))
    assert not Person("x", "x").real_name_verified
    assert Client("x", "x", "x", {}).scopes == ()
    assert FiledMechanism("x", "x", "SCC", ()).effective is None
    assert Project("x", "x", (), "p").declaration == {}


OUTSIDE = {"place": "HK", "uscc": "", "gba_city": ""}
INSIDE = {"place": "CN-SZ", "institution": "sz-lab"}


@pytest.mark.parametrize(
    ("institution", "endpoint", "direction"),
    [
        ({}, {}, "outbound"),
        (OUTSIDE, INSIDE, "inbound"),
        (OUTSIDE, {"place": "CN"}, "inbound"),
        ({**OUTSIDE, "place": "MO"}, INSIDE, "inbound"),
        (OUTSIDE, {}, "outbound"),  # between two places outside: the stricter rules
        ({}, INSIDE, "outbound"),  # between two places inside: the same
        ({"place": "CN-SZ"}, {}, "outbound"),
        ({}, {"place": "TW"}, "outbound"),
    ],
)
def test_the_registry_says_which_way_it_goes(
    institution: Mapping[str, Any], endpoint: Mapping[str, Any], direction: str
) -> None:
    sends = parse_record("institution", {**record_table(EXAMPLES["institution"]), **institution})
    receives = parse_record("endpoint", {**record_table(EXAMPLES["endpoint"]), **endpoint})
    assert isinstance(sends, Institution)
    assert isinstance(receives, Endpoint)
    assert direction_of(sends, receives) == direction
    assert direction_of(None, receives) == direction_of(sends, None) == "outbound"


@pytest.mark.parametrize(
    ("kind", "change", "says"),
    [
        ("delegation", {"valid_to": "2026-11-19"}, "at most 92 later"),
        ("delegation", {"valid_to": "2027-02-21"}, "at most 92 later"),
        ("delegation", {"reason": " "}, "reason is missing"),
        ("delegation", {"key": "ssh-rsa AAAA"}, "not an OpenSSH public key"),
        ("channel", {"valid_to": "2027-11-03"}, "at most 366 later"),
        ("channel", {"valid_to": "2026-10-31"}, "at most 366 later"),
        ("channel", {"reason": ""}, "reason is missing"),
        ("channel", {"rules": []}, "must be named"),
        ("channel", {"formats": []}, "must be named"),
        ("channel", {"sample_percent": 0}, "1 to 100"),
        ("channel", {"sample_percent": 101}, "1 to 100"),
        ("channel", {"tolerance": 51}, "0 to 50"),
        ("channel", {"files": 0}, "at least 1"),
        ("channel", {"bytes": 0}, "at least 1"),
        ("channel", {"persons": 1_001}, "total_persons is less"),
        ("channel", {"total_files": 9}, "total_files is less"),
        ("channel", {"columns": {"a": "geo_precise"}}, "a list of kinds"),
        ("channel", {"columns": {"a": [""]}}, "a list of kinds"),
        ("person", {"qualified": ["security", "chief"]}, "qualified must be roles"),
        ("project", {"escalate_days": 16}, "escalate_days must be 0"),
    ],
)
def test_standing_powers_are_bounded(kind: str, change: dict[str, Any], says: str) -> None:
    with pytest.raises(Unusable, match=says):
        parse_record(kind, record_table(EXAMPLES[kind]) | change)


def test_the_last_day_of_a_standing_power_is_inside() -> None:
    table = record_table(EXAMPLES["delegation"]) | {"valid_to": "2027-02-20"}
    leave = parse_record("delegation", table)
    assert isinstance(leave, Delegation)
    assert [leave.holds_on(date(2026, 11, day)) for day in (19, 20)] == [False, True]
    assert [leave.holds_on(date(2027, 2, day)) for day in (20, 21)] == [True, False]


def test_a_webhook_may_ask_for_escalations_only() -> None:
    table = record_table(EXAMPLES["webhook"]) | {"events": ["escalated"]}
    assert parse_record("webhook", table) == replace(EXAMPLES["webhook"], events=("escalated",))


def test_documents_of_a_filing_are_read_back_and_named_by_digest_once() -> None:
    table = {
        **record_table(FILING),
        "evidence_sha256": "0" * 64,
        "evidence": [PAPER, {"name": "x", "sha256": "1" * 64}],
    }
    record = parse_record("filing", table)
    assert isinstance(record, FiledMechanism)
    assert record.evidence == (EvidenceDocument("decision.pdf", "0" * 64, "decision"), EvidenceDocument("x", "1" * 64))
    assert record.digests() == ("0" * 64, "1" * 64)
    assert parse_record("filing", record_table(record)) == record
    assert canonical.decode(canonical.encode(record_table(record)))["evidence"][0] == PAPER
