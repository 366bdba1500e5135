"""Medical images and signals."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import nibabel as nib
import pyedflib
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from tests.inspect.test_dicom import FILES, JPEG, compressed, deidentified, image, written
from tests.inspect.test_signals import RECORDING, recording, volume

_REAL: Final = (
    "dicomdirtests/DICOMDIR-empty.dcm", "no_meta_group_length.dcm", "ExplVR_LitEndNoMeta.dcm", "ExplVR_BigEndNoMeta.dcm",
    "priv_SQ.dcm", "UN_sequence.dcm", "JPEGLSNearLossless_08.dcm", "rtplan.dcm", "reportsi.dcm", "JPEG2000.dcm",
    "SC_rgb_rle.dcm", "image_dfl.dcm",
)  # fmt: skip


def _dicom() -> Iterator[bytes]:
    inner = Dataset()
    inner.PatientID, inner.CodeMeaning = "X", "knee"
    for syntax in (
        ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian,
    ):  # fmt: skip
        yield written(image(RequestAttributesSequence=Sequence([inner])), syntax)
    yield compressed([JPEG, JPEG])
    frame = (1).to_bytes(4, "little") + (64).to_bytes(4, "little") + bytes(56) + b"\xe9\x00\xe9\x00"
    yield compressed([frame], RLELossless)
    yield written(deidentified(PatientAge="012Y"))
    private = image()
    private.private_block(0x0099, "SOMEBODY", create=True).add_new(1, "LO", "words")
    yield written(private)
    for name in _REAL:
        path = FILES / name
        if path.exists():  # which of them come with the package changes by its version
            yield path.read_bytes()


def _nifti() -> Iterator[bytes]:
    element = io.BytesIO()
    inner = Dataset()
    inner.SpecificCharacterSet, inner.PatientID = "ISO_IR 192", "P-77"
    inner.save_as(element, implicit_vr=True, little_endian=True)
    for kind in (nib.Nifti1Image, nib.Nifti2Image):
        yield volume(kind, shape=(2, 3, 4), descrip=b"words")
        yield volume(kind, shape=(2, 3), extension=("comment", b"words"))
        yield volume(kind, shape=(2, 3), extension=(2, element.getvalue()))
    yield volume(shape=(2, 3))[:344] + b"ni1\0"


def _edf() -> Iterator[bytes]:
    yield RECORDING
    with tempfile.TemporaryDirectory() as folder:
        for kind in (pyedflib.FILETYPE_EDF, pyedflib.FILETYPE_EDFPLUS, pyedflib.FILETYPE_BDFPLUS):
            notes = () if kind == pyedflib.FILETYPE_EDF else ("words",)
            yield recording(Path(folder), kind, notes=notes, patientcode="M7", birthdate="01 jan 1980")


SEEDS: Final[Mapping[str, Callable[[], Iterator[bytes]]]] = {"dicom": _dicom, "nifti": _nifti, "edf": _edf}
