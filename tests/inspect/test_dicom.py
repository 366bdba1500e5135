"""DICOM: what identifies is found where pydicom finds it; what no element refers to is a gap."""

from __future__ import annotations

import gzip
import io
import warnings
import zipfile
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.fileset import FileSet
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    RLELossless,
    generate_uid,
)

from gateway.inspect.limits import Limits
from gateway.inspect.objects import inspect_file
from gateway.inspect.source import MemoryStore
from gateway.stores.detectors import load_detector_tables

TABLES = load_detector_tables()
FILES = Path(pydicom.__file__).parent / "data" / "test_files"
ID_NUMBER = "11010519491231002X"
JPEG = b"\xff\xd8\xff\xdb\x00\x04ab\xff\xc0\x00\x04ab\xff\xda\x00\x04ab\x01\xff\x00\x02\xff\xd9"


def inspected(content: bytes, path: str = "a.dcm", limits: Limits | None = None):
    return inspect_file(MemoryStore(content), path, TABLES, limits or Limits())


def image(**changed) -> Dataset:
    """An MR slice of a knee, its identity in the usual places."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    ds.SOPInstanceUID = ds.StudyInstanceUID = "1.2.3.4"
    ds.StudyDate, ds.Modality, ds.BodyPartExamined = "20250301", "MR", "KNEE"
    ds.PatientName, ds.PatientID, ds.PatientBirthDate = "Zhang^San=张^三", "P-0001", "19700101"
    ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.BitsAllocated = 4, 6, 1, 16
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.PixelData = bytes(48)
    for key, value in changed.items():
        setattr(ds, key, value)
    return ds


def written(ds: Dataset, syntax=ExplicitVRLittleEndian, preamble: bytes = bytes(128)) -> bytes:
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.preamble = preamble
    target = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds.save_as(target, enforce_file_format=True)
    return target.getvalue()


def said(found, kind: str, confidence: str = "strong") -> list[str]:
    return [f.where for f in found.findings if f.kind == kind and f.confidence == confidence]


def gaps(found) -> list[str]:
    return [f.where for f in found.findings if f.kind == "gap"]


# --- against pydicom ------------------------------------------------------------------------------------------------------

READABLE = sorted(
    path.name for path in FILES.glob("*.dcm")
    if not path.name.startswith(("no_meta.dcm", "badVR", "rtplan_trunc", "MR_trunc", "SC_rgb_jpeg.dcm", "ExplVR_BigEndNoMeta"))
)  # fmt: skip


@pytest.mark.parametrize("name", READABLE)
def test_tags_are_found_as_often_as_pydicom_finds_them(name):
    content = (FILES / name).read_bytes()
    found = inspected(content, name)
    assert found.format == "dicom"
    wanted: dict[str, int] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds = pydicom.dcmread(io.BytesIO(content), force=True)
        for element in ds.iterall():
            rule = TABLES.dicom.tags.get(int(element.tag))
            held = [item for item in element.value if len(item)] if element.VR == "SQ" else element.value
            if rule is not None and held:
                wanted[rule.place] = wanted.get(rule.place, 0) + 1
    told = {f.where: f.count for f in found.findings if f.kind == "dicom_identity" and f.where in
            {rule.place for rule in TABLES.dicom.tags.values()}}  # fmt: skip
    assert told == wanted
    assert found.persons.sensitive == 1


@pytest.mark.parametrize("name", ["DICOMDIR", "DICOMDIR-bigEnd", "DICOMDIR-implicit", "DICOMDIR-reordered"])
def test_a_directory_counts_its_patients(name):
    content = (FILES / "dicomdirtests" / name).read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        records = pydicom.dcmread(io.BytesIO(content)).DirectoryRecordSequence
    patients = {str(r.PatientID) for r in records if r.DirectoryRecordType == "PATIENT"}
    found = inspected(content, name)
    assert found.inspectable
    assert found.persons.sensitive == len(patients) == 2


def test_an_empty_directory_counts_nobody():
    assert inspected((FILES / "dicomdirtests" / "DICOMDIR-empty.dcm").read_bytes()).persons.sensitive == 0


def test_a_directory_that_pydicom_writes(tmp_path):
    files = FileSet()
    for number in range(3):
        files.add(
            pydicom.dcmread(
                io.BytesIO(
                    written(
                        image(
                            PatientID=f"P{number}",
                            SOPInstanceUID=generate_uid(),
                            StudyInstanceUID=generate_uid(),
                            SeriesInstanceUID=generate_uid(),
                            StudyTime="101010",
                            StudyID="1",
                            AccessionNumber="",
                            SeriesNumber=1,
                            InstanceNumber=1,
                        )
                    )
                )
            )
        )
    files.write(tmp_path)
    files._stage["t"].cleanup()  # pydicom leaves it to the garbage collector
    found = inspected((tmp_path / "DICOMDIR").read_bytes(), "DICOMDIR")
    assert found.inspectable
    assert found.persons.sensitive == 3


def test_the_table_names_tags_as_the_standard_does():
    for tag, rule in TABLES.dicom.tags.items():
        assert rule.place.partition(" ")[2] == pydicom.datadict.dictionary_keyword(tag)


# --- who ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_every_syntax_is_read_alike(syntax):
    found = inspected(written(image(PatientID=ID_NUMBER), syntax))
    assert found.inspectable
    assert found.coverage == ((0, found.size),)
    assert found.personal
    assert found.sensitive
    assert "(0010,0010) PatientName" in said(found, "dicom_identity")
    assert said(found, "cn_resident_id") or said(found, "cn_resident_id", "weak")


def test_the_same_identifier_of_two_issuers_is_two_patients():
    one, other = (inspected(written(image(IssuerOfPatientID=issuer))) for issuer in ("A", "B"))
    assert {*one.identifiers.values["genomic_sample"].tolist()}.isdisjoint(
        other.identifiers.values["genomic_sample"].tolist()
    )
    same = inspected(written(image(IssuerOfPatientID="A", SOPInstanceUID="1.2.3.5")))
    assert same.identifiers.values["genomic_sample"].tolist() == one.identifiers.values["genomic_sample"].tolist()


@pytest.mark.parametrize("charset", ["GB18030", "ISO_IR 192", "ISO 2022 IR 58"])
def test_chinese_texts_are_read_in_their_character_set(charset):
    ds = image(SpecificCharacterSet=["", charset] if "2022" in charset else charset, PatientComments="密级 机密★10年")
    found = inspected(written(ds))
    assert found.secrecy_mark == ("2022" not in charset) or found.secrecy_mark  # GB 2312 has the star as well


@pytest.mark.parametrize("encoding", ["gb18030", "utf-8"])
def test_a_wrong_character_set_hides_nothing(encoding):
    ds = image(
        SpecificCharacterSet="ISO_IR 100",
        PatientComments="密级 机密★10年".encode(encoding).decode("latin-1"),
        PatientName="",
    )
    assert inspected(written(ds)).secrecy_mark


def test_objects_in_archives_are_read_as_they_come():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(3):
            archive.writestr(f"scan/{number}.dcm", written(image(PatientID=f"P{number % 2}")))
    found = inspected(packed.getvalue(), "study.zip")
    assert found.inspectable
    assert found.persons.sensitive == 2
    assert inspected(gzip.compress(written(image())), "a.dcm.gz").persons.sensitive == 1


def test_texts_in_sequences_are_classified():
    inner = Dataset()
    inner.PatientID, inner.RequestedProcedureDescription = "X", f"身份证号 {ID_NUMBER}"
    outer = Dataset()
    outer.ReferencedStudySequence = Sequence([inner])
    found = inspected(written(image(RequestAttributesSequence=Sequence([outer]))))
    assert found.inspectable
    assert said(found, "cn_resident_id")
    assert "(0040,0275) RequestAttributesSequence" in said(found, "dicom_identity")
    assert found.persons.sensitive + found.persons.nonsensitive >= 1


def test_private_text_is_classified_and_private_bytes_are_a_gap():
    ds = image()
    block = ds.private_block(0x0099, "SOMEBODY", create=True)
    block.add_new(1, "LO", f"身份证号 {ID_NUMBER}")
    found = inspected(written(ds))
    assert found.inspectable
    assert said(found, "cn_resident_id")
    block.add_new(2, "OB", b"\x00\x01\x02\x03")
    found = inspected(written(ds))
    assert not found.inspectable
    assert len(gaps(found)) == 1


def deidentified(**changed) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "113100", "DCM", "Basic Profile"
    return image(PatientIdentityRemoved="YES", DeidentificationMethodCodeSequence=Sequence([code]), **changed)


def test_a_dummy_is_no_name_where_deidentification_is_stated():
    found = inspected(written(deidentified(PatientName="ANON", PatientID="S01", PatientBirthDate="")))
    assert found.inspectable
    assert not said(found, "dicom_identity")
    assert "(0010,0010) PatientName" in said(found, "dicom_identity", "weak")
    assert found.persons.sensitive == 1  # a pseudonym is a person


def test_stated_deidentification_does_not_excuse_what_must_be_removed():
    found = inspected(written(deidentified(PatientAddress="somewhere")))
    assert said(found, "dicom_identity") == ["(0010,1040) PatientAddress"]


@pytest.mark.parametrize(
    "change", [{"PatientIdentityRemoved": "NO"}, {"DeidentificationMethodCodeSequence": Sequence()}]
)
def test_deidentification_is_a_yes_with_a_method(change):
    ds = deidentified()
    for key, value in change.items():
        setattr(ds, key, value)
    assert "(0010,0010) PatientName" in said(inspected(written(ds)), "dicom_identity")


@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        ({"PatientBirthDate": "20120302"}, "minor"),
        ({"PatientBirthDate": "", "PatientAge": "011M"}, "minor"),
        ({"PatientAge": "013Y"}, "minor"),
        ({"PatientBirthDate": "20110301"}, ""),
        ({"PatientAge": "014Y"}, ""),
    ],
)
def test_children_are_noticed(changed, kind):
    assert said(inspected(written(image(**changed))), "minor") == (["(0010,1010) PatientAge"] if kind else [])


@pytest.mark.parametrize(
    ("changed", "old"),
    [({"PatientAge": "090Y"}, True), ({"PatientBirthDate": "19300101"}, True), ({"PatientAge": "089Y"}, False)],
)
def test_the_very_old_are_identified_by_their_age(changed, old):
    assert ("(0010,1010) PatientAge over 89" in said(inspected(written(image(**changed))), "dicom_identity")) == old


# --- pixels that show -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "face"),
    [
        ({"BodyPartExamined": "HEAD"}, True),
        ({"BodyPartExamined": "", "StudyDescription": "T1 Brain w/o contrast"}, True),
        ({"BodyPartExamined": "", "StudyDescription": "头颅平扫"}, True),
        ({"BodyPartExamined": "HEAD", "RecognizableVisualFeatures": "NO"}, False),
        ({"RecognizableVisualFeatures": "YES"}, True),
        ({}, False),
        ({"BodyPartExamined": "HEAD", "Modality": "NM"}, False),
    ],
)
def test_a_head_is_a_face_unless_defaced(changed, face):
    found = inspected(written(image(**changed)))
    assert bool(said(found, "face_image")) == face
    assert ("biometric" in found.classes) == face


@pytest.mark.parametrize(
    ("changed", "readable"),
    [
        ({"Modality": "US"}, False),
        ({"Modality": "US", "BurnedInAnnotation": "NO"}, True),
        ({"BurnedInAnnotation": "YES"}, False),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, False),
        ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, False),
        ({}, True),
    ],
)
def test_text_may_be_burned_into_pixels(changed, readable):
    found = inspected(written(image(**changed)))
    assert found.inspectable == readable
    assert found.level == ("general" if readable else "unknown")


# --- every byte -----------------------------------------------------------------------------------------------------------


def test_a_program_in_the_preamble_is_a_gap():
    found = inspected(written(image(), preamble=b"MZ\x90\x00" + bytes(56) + b"\x80\0\0\0" + bytes(64)))
    assert found.format == "dicom"
    assert gaps(found) == ["bytes 0-128"]
    assert said(found, "media_mismatch")


def test_the_header_of_a_tiff_is_allowed_and_nothing_with_it():
    assert inspected(written(image(), preamble=b"II*\0" + b"\x10\0\0\0" + bytes(120))).inspectable
    assert gaps(inspected(written(image(), preamble=b"II*\0" + b"\x10\0\0\0" + b"hidden" + bytes(114)))) == [
        "bytes 8-128"
    ]


@pytest.mark.parametrize("more", [b"x", b"hidden words", bytes(32), b"PK\x03\x04", b"\xe0\x7f\x10\x00OW\0\0"])
def test_what_follows_the_last_element_is_a_gap(more):
    whole = written(image())
    assert gaps(inspected(whole + more)) == [f"bytes {len(whole)}-{len(whole) + len(more)}"]


def test_a_second_object_behind_the_first_is_a_gap():
    whole = written(image())
    assert gaps(inspected(whole + written(image(PatientID="other")))) != []


def test_pixels_beyond_the_dimensions_are_a_gap():
    clean, hidden = written(image()), written(image(PixelData=bytes(48) + b"hidden.."))
    assert inspected(clean).inspectable
    assert gaps(inspected(hidden)) == [f"bytes {len(hidden) - 8}-{len(hidden)}"]
    assert not inspected(written(image(PixelData=bytes(40)))).inspectable


def test_padding_is_zeros_or_a_gap():
    ds = image()
    ds.add_new(0xFFFCFFFC, "OB", bytes(64))
    assert inspected(written(ds)).inspectable
    ds[0xFFFCFFFC].value = b"not zeros"
    assert len(gaps(inspected(written(ds)))) == 1


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_a_truncated_object_is_never_inspectable(syntax):
    inner = Dataset()
    inner.CodeMeaning = "knee"
    whole = written(image(AnatomicRegionSequence=Sequence([inner])), syntax)
    even = int(
        syntax == DeflatedExplicitVRLittleEndian and whole.endswith(b"\0")
    )  # the byte that makes the length even
    for cut in [*range(1 + even, 70), *range(70, len(whole) - 140, 7)]:
        found = inspected(whole[: len(whole) - cut])
        assert not found.inspectable or _ends_between_elements(whole, cut), cut


def _ends_between_elements(whole: bytes, cut: int) -> bool:
    """The standard has no count of elements: an object cut between two of them is an object, only without its pixels."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds = pydicom.dcmread(io.BytesIO(whole[: len(whole) - cut]), force=True)
        return written_size(ds) == len(whole) - cut


def written_size(ds: Dataset) -> int:
    if "SOPClassUID" not in ds or "SOPInstanceUID" not in ds:
        return len(raw(ds))
    return len(written(ds, ds.file_meta.TransferSyntaxUID))


def raw(ds: Dataset) -> bytes:
    target = io.BytesIO()
    ds.save_as(target)
    return target.getvalue()


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damage_ends_as_a_finding(data):
    syntax = data.draw(
        st.sampled_from([ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
    )
    inner = Dataset()
    inner.PatientID = "x"
    content = bytearray(written(image(OtherPatientIDsSequence=Sequence([inner])), syntax))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    found = inspected(bytes(content))
    assert found.size == len(content)
    assert found.inspectable <= (found.coverage == ((0, len(content)),))


def test_a_deflated_bomb_ends_as_a_finding():
    ds = image(TextValue="0" * (4 << 20))
    found = inspected(written(ds, DeflatedExplicitVRLittleEndian), limits=Limits(spared=1 << 20, ratio=2))
    assert not found.inspectable
    assert "archive_limit" in {f.kind for f in found.findings}


def test_bytes_behind_a_deflated_object_are_a_gap():
    whole = written(image(), DeflatedExplicitVRLittleEndian)
    assert gaps(inspected(whole + b"hidden..")) != []


def compressed(frames: list[bytes], syntax=JPEGBaseline8Bit, **changed) -> bytes:
    ds = image(BitsAllocated=8, NumberOfFrames=len(frames), **changed)
    ds.PixelData = encapsulate(frames, has_bot=True)
    ds["PixelData"].is_undefined_length = True
    return written(ds, syntax)


def test_compressed_frames_are_walked():
    assert inspected(compressed([JPEG, JPEG])).inspectable
    assert len(gaps(inspected(compressed([JPEG + b"hidden", JPEG])))) == 1
    noted = JPEG[:2] + b"\xff\xfe\x00\x24" + f"身份证号 {ID_NUMBER}".encode().ljust(34) + JPEG[2:]
    assert said(inspected(compressed([noted])), "cn_resident_id")
    exif = JPEG[:2] + b"\xff\xe1\x00\x10Exif\0\0abcdefgh" + JPEG[2:]
    assert len(gaps(inspected(compressed([exif])))) == 1
    assert not inspected(compressed([b"no image at all."])).inspectable
    assert not inspected(compressed([JPEG[:-2] + b"\x01\x02"])).inspectable


def test_an_offset_table_points_to_fragments():
    whole = compressed([JPEG, JPEG])
    at = whole.index(b"\xfe\xff\x00\xe0\x08\x00\x00\x00") + 12
    assert not inspected(whole[:at] + b"\x07\0\0\0" + whole[at + 4 :]).inspectable


def test_run_lengths_have_a_header():
    frame = (1).to_bytes(4, "little") + (64).to_bytes(4, "little") + bytes(56) + b"\xe9\x00\xe9\x00"
    assert inspected(compressed([frame], RLELossless)).inspectable
    assert not inspected(compressed([bytes(80)], RLELossless)).inspectable


def test_an_encapsulated_document_is_a_member():
    ds = image(SOPClassUID="1.2.840.10008.5.1.4.1.1.104.2", Modality="DOC")
    del ds.PixelData, ds.Rows
    ds.EncapsulatedDocument = (
        f"<ClinicalDocument><id>{ID_NUMBER}</id><id>440300199001011238</id></ClinicalDocument>".encode()
    )
    ds.MIMETypeOfEncapsulatedDocument = "text/XML"
    found = inspected(written(ds))
    assert found.inspectable
    assert any(where.startswith("!/EncapsulatedDocument") for where in said(found, "cn_resident_id"))
    ds.EncapsulatedDocument = b"\x01\x02\x03\x04 no document"
    assert not inspected(written(ds)).inspectable


def test_encrypted_attributes_are_told_as_such():
    sealed = Dataset()
    sealed.EncryptedContentTransferSyntaxUID, sealed.EncryptedContent = ExplicitVRLittleEndian, b"\x30\x82\x01\x02"
    found = inspected(written(image(EncryptedAttributesSequence=Sequence([sealed]))))
    assert not found.inspectable
    assert "encrypted_content" in {f.kind for f in found.findings}


def test_sequences_may_not_be_nested_without_end():
    ds = Dataset()
    for _ in range(100):
        outer = Dataset()
        outer.ReferencedStudySequence = Sequence([ds])
        ds = outer
    found = inspected(written(image(RequestAttributesSequence=Sequence([ds]))))
    assert "archive_limit" in {f.kind for f in found.findings}
