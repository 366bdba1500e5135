"""NIfTI and EDF: fields, extensions and annotations are read; volumes and records are as long as their headers say."""

from __future__ import annotations

import gzip
import io
from datetime import datetime

import nibabel as nib
import numpy as np
import pyedflib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from gateway.inspect.objects import inspect_file
from gateway.inspect.source import MemoryStore
from gateway.stores.detectors import load_detector_tables

TABLES = load_detector_tables()
ID_NUMBER = "11010519491231002X"


def inspected(content: bytes, path: str):
    return inspect_file(MemoryStore(content), path, TABLES)


def kinds(found, confidence: str = "strong") -> set[str]:
    return {f.kind for f in found.findings if f.confidence == confidence}


def volume(image=nib.Nifti1Image, shape=(10, 10, 10), spacing=1.0, **fields) -> bytes:
    made = image(np.zeros(shape, np.int16), np.diag([spacing, spacing, spacing, 1]))
    extension = fields.pop("extension", None)
    if extension is not None:
        made.header.extensions.append(nib.nifti1.Nifti1Extension(*extension))
    for name, value in fields.items():
        made.header[name] = value
    return made.to_bytes()


@pytest.mark.parametrize("image", [nib.Nifti1Image, nib.Nifti2Image])
def test_texts_of_the_header_are_classified(image):
    found = inspected(volume(image, descrip="身份证号".encode() + ID_NUMBER.encode()), "ds/sub-01/anat/sub-01_T1w.nii")
    assert found.format == "nifti"
    assert found.inspectable
    assert "cn_resident_id" in kinds(found)
    assert found.persons.sensitive >= 1


@pytest.mark.parametrize("image", [nib.Nifti1Image, nib.Nifti2Image])
def test_extensions_are_classified(image):
    content = volume(image, extension=("comment", f"身份证号 {ID_NUMBER}".encode()))
    found = inspected(content, "a.nii")
    assert found.inspectable
    assert "cn_resident_id" in kinds(found)
    assert not inspected(volume(image, extension=(40, b"\x01\x02\x03\x04binary")), "a.nii").inspectable


def test_a_dicom_extension_is_a_member():
    ds, target = Dataset(), io.BytesIO()
    ds.PatientName, ds.PatientID = "Zhang^San", "P-77"
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.save_as(target, implicit_vr=True, little_endian=True)
    found = inspected(volume(extension=(2, target.getvalue())), "sub-02_T1w.nii")
    assert any(f.where.startswith("!/extension.dcm") for f in found.findings if f.kind == "dicom_identity")


def test_subjects_come_from_the_path():
    one = [inspected(volume(), f"ds/sub-{n}/anat/sub-{n}_T1w.nii") for n in ("01", "02", "01")]
    values = [set(found.identifiers.values["genomic_sample"].tolist()) for found in one]
    assert values[0] == values[2] != values[1]
    assert inspected(volume(), "t1.nii").persons.sensitive == 1


def test_a_compressed_image_is_read_within():
    found = inspected(gzip.compress(volume()), "ds/sub-01/anat/sub-01_T1w.nii.gz")
    assert found.inspectable
    assert found.persons.sensitive == 1
    assert not inspected(gzip.compress(volume() + b"hidden"), "sub-01_T1w.nii.gz").inspectable


@pytest.mark.parametrize(
    ("name", "shape", "fields", "face"),
    [
        ("sub-01_T1w.nii", (100, 100, 100), {}, True),
        ("image.nii", (100, 100, 100), {}, True),
        ("sub-01_T1w_defaced.nii", (100, 100, 100), {}, False),
        ("sub-01_desc-brain_T1w.nii", (100, 100, 100), {}, False),
        ("sub-01_T1w.nii", (30, 30, 30), {}, False),
        ("sub-01_T1w.nii", (100, 100, 100), {"intent_code": 1002}, False),
    ],
)
def test_a_head_is_a_face_unless_said_otherwise(name, shape, fields, face):
    assert ("face_image" in kinds(inspected(volume(shape=shape, **fields), name))) == face


def test_bytes_behind_the_voxels_are_a_gap():
    whole = volume()
    found = inspected(whole + b"hidden", "a.nii")
    assert [f.where for f in found.findings if f.kind == "gap"] == [f"bytes {len(whole)}-{len(whole) + 6}"]


@pytest.mark.parametrize("cut", [1, 2, 1000, 2001, 2100, 2300])
def test_a_truncated_image_is_uninspectable(cut):
    assert not inspected(volume()[:-cut], "a.nii").inspectable


def test_bytes_between_header_and_voxels_are_a_gap():
    whole = bytearray(volume())
    header = nib.Nifti1Header(bytes(whole[:348]))
    header["vox_offset"] = 368
    assert inspected(header.binaryblock + bytes(20) + whole[352:], "a.nii").inspectable
    assert not inspected(header.binaryblock + bytes(4) + b"hidden words...." + whole[352:], "a.nii").inspectable


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 351), st.integers(0, 255))
def test_damage_of_an_image_ends_as_a_finding(at, byte):
    content = bytearray(volume())
    content[at] = byte
    assert inspected(bytes(content), "a.nii").size == len(content)


# --- EDF ------------------------------------------------------------------------------------------------------------------


def recording(tmp_path, kind=pyedflib.FILETYPE_EDFPLUS, notes=(), **patient) -> bytes:
    path = tmp_path / "a.edf"
    writer = pyedflib.EdfWriter(str(path), 2, file_type=kind)
    writer.setHeader({
        "technician": "", "recording_additional": "", "patientname": "", "patient_additional": "", "patientcode": "",
        "equipment": "", "admincode": "", "sex": None, "startdate": datetime(2025, 3, 1)  # noqa: DTZ001  # the format knows no zone
       , "birthdate": "",
        "gender": None, **patient,
    })  # fmt: skip
    writer.setSignalHeaders([
        {"label": f"EEG {n}", "dimension": "uV", "sample_frequency": 50, "physical_max": 100, "physical_min": -100,
         "digital_max": 100, "digital_min": -100, "transducer": "", "prefilter": ""} for n in range(2)
    ])  # fmt: skip
    writer.writeSamples([np.zeros(150), np.zeros(150)])
    for note in notes:
        writer.writeAnnotation(1, -1, note)
    writer.close()
    return path.read_bytes()


@pytest.mark.parametrize("kind", [pyedflib.FILETYPE_EDF, pyedflib.FILETYPE_EDFPLUS, pyedflib.FILETYPE_BDFPLUS])
def test_a_recording_is_of_its_patient(tmp_path, kind):
    content = recording(tmp_path, kind, patientcode="MRN778", patientname="Zhang San", birthdate="01 jan 1980")
    found = inspected(content, "a.edf")
    assert found.format == "edf"
    assert found.inspectable
    assert found.persons.sensitive == 1
    assert "medical_record" in kinds(found)
    if kind != pyedflib.FILETYPE_EDF:
        assert {"person_name", "dob"} <= kinds(found)
        other = recording(tmp_path, kind, patientcode="MRN778", patientname="x")
        assert set(inspected(other, "b.edf").identifiers.values["genomic_sample"].tolist()) == set(
            found.identifiers.values["genomic_sample"].tolist()
        )


def test_an_anonymous_recording_is_one_person(tmp_path):
    found = inspected(recording(tmp_path), "a.edf")
    assert found.inspectable
    assert found.persons.sensitive == 1
    assert "medical_record" not in kinds(found)


def test_a_child_is_noticed(tmp_path):
    assert "minor" in kinds(inspected(recording(tmp_path, patientcode="a", birthdate="02 mar 2011"), "a.edf"))
    assert "minor" not in kinds(inspected(recording(tmp_path, patientcode="a", birthdate="01 mar 2011"), "a.edf"))


def test_annotations_are_classified(tmp_path):
    found = inspected(recording(tmp_path, notes=[f"身份证号 {ID_NUMBER}"]), "a.edf")
    assert found.inspectable
    assert "cn_resident_id" in kinds(found)


def test_what_the_records_do_not_say_is_a_gap(tmp_path):
    whole = recording(tmp_path)
    found = inspected(whole + b"hidden", "a.edf")
    assert [f.where for f in found.findings if f.kind == "gap"] == [f"bytes {len(whole)}-{len(whole) + 6}"]
    for cut in (1, 100, 500):
        assert not inspected(whole[:-cut], "a.edf").inspectable


def test_a_text_that_begins_like_a_recording_is_a_text():
    assert inspected(b"0       1       2\n3       4       5\n", "matrix.txt").format != "edf"


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1023), st.integers(0, 255))
def test_damage_of_a_recording_ends_as_a_finding(at, byte):
    content = bytearray(RECORDING)
    content[at] = byte
    assert inspected(bytes(content), "a.edf").size == len(content)


def _plain() -> bytes:
    head = b"0".ljust(8) + b"P1".ljust(80) + b"".ljust(80) + b"01.03.2508.00.00" + b"768".ljust(8) + b"".ljust(44)
    head += b"2".ljust(8) + b"1".ljust(8) + b"2".ljust(4)
    cells = (b"EEG", b"", b"uV", b"-1", b"1", b"-9", b"9", b"", b"64", b"")
    for size, cell in zip((16, 80, 8, 8, 8, 8, 8, 80, 8, 32), cells, strict=True):
        head += 2 * cell.ljust(size)
    return head + bytes(2 * 2 * 64 * 2)


RECORDING = _plain()
