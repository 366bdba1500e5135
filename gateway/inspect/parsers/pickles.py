"""Pickles are programs: read opcode by opcode (pickletools), and never run.

PyTorch's `.pt` archives hold one that builds tensors, and their storages beside it; where it calls nothing but what tensors
need, the archive is read. Any other pickle is a finding, and unreadable: what it makes is known only by running it.

A change must keep: nothing here imports pickle or torch; a global that cannot be told counts as one outside the list.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from gateway.inspect.forward import plain_text
from gateway.inspect.limits import Unreadable
from gateway.inspect.parsers.weights import told
from gateway.inspect.parsers.zip import Archive
from gateway.inspect.report import Report
from gateway.inspect.source import Source, Stream

# What PyTorch itself admits (torch.load, weights_only): tensors, their types, ordered dictionaries. Nothing of them runs code.
_TYPES: Final = {
    "DoubleStorage": 8, "FloatStorage": 4, "HalfStorage": 2, "BFloat16Storage": 2, "LongStorage": 8, "IntStorage": 4,
    "ShortStorage": 2, "CharStorage": 1, "ByteStorage": 1, "BoolStorage": 1, "ComplexFloatStorage": 8, "ComplexDoubleStorage": 16,
    "UntypedStorage": 1,
}  # fmt: skip
_ALLOWED: Final = frozenset({
    "collections OrderedDict", "torch._utils _rebuild_tensor", "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter", "torch._utils _rebuild_parameter_with_state", "torch._utils _rebuild_qtensor",
    "torch._tensor _rebuild_from_type_v2", "torch.nn.parameter Parameter", "torch Size", "torch device", "torch Tensor",
    "torch._utils _rebuild_sparse_tensor", "torch.storage UntypedStorage", "torch.serialization _get_layout",
    *(f"torch {name}" for name in _TYPES),
    *(f"torch {name}" for name in ("float16", "float32", "float64", "bfloat16", "int8", "int16", "int32", "int64", "uint8",
                                   "bool", "complex64", "complex128", "per_tensor_affine", "per_channel_affine", "strided")),
})  # fmt: skip
_KEEP: Final = {"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE", "PROTO", "FRAME", "STOP"}
_GET: Final = {"GET", "BINGET", "LONG_BINGET"}
_EXTENSIONS: Final = {"EXT1", "EXT2", "EXT4"}
_OPCODES: Final = 20_000_000
_RECENT: Final = 8


@dataclass(frozen=True)
class Global:
    """A name that a pickle looks up."""

    name: str


@dataclass
class Program:
    """What a pickle was seen to do.

    Attributes:
        outside: Globals that are not on the list.
        storages: Bytes of each storage that it asks for, by key.
        end: Bytes of it.
        strange: Some of its bytes are neither text nor numbers.
    """

    outside: int = 0
    storages: dict[str, int] = field(default_factory=dict)
    end: int = 0
    strange: bool = False


def inspect(source: Source | Stream, report: Report) -> None:
    """A bare pickle: what it holds is told, and that it is not readable."""
    budget = report.context.budget
    content = source.read(budget.limits.held + 1)
    budget.room(len(content))
    report.found("executable_content", "pickle")
    program = walk(io.BytesIO(content), report)
    if program.outside:
        report.found("executable_content", "pickle: calls outside of the list for tensors", count=program.outside)
    report.unreadable("pickle: a program; only running it would show what it holds")


def walk(stream: BinaryIO, report: Report) -> Program:
    """Opcode by opcode to the end of the program; texts go to the classifier.

    Raises:
        Unreadable: It is no pickle.
    """
    program, sink = Program(), report.text("pickle")
    memo: dict[object, object] = {}
    recent: list[object] = []
    for name, argument in _opcodes(stream):
        if isinstance(argument, str) and name not in {"GLOBAL", "INST", "PERSID"}:
            sink.line(argument)
        elif isinstance(argument, bytes | bytearray):
            text = plain_text(bytes(argument))
            sink.line(text or "")
            program.strange = program.strange or text is None
        if name in _KEEP:
            if name.endswith("PUT") or name == "MEMOIZE":
                memo[len(memo) if argument is None else argument] = recent[-1] if recent else None
            continue
        value = _pushed(name, argument, recent, memo)
        if name == "STACK_GLOBAL":
            del recent[-2:]
        recent.append(value)
        program.outside += name in _EXTENSIONS or name == "INST" or _is_outside(recent[-1])
        if name in {"BINPERSID", "PERSID"}:
            _asked(recent, program)
        del recent[:-_RECENT]
    program.end = stream.tell()
    return program


def _opcodes(stream: BinaryIO) -> Iterator[tuple[str, object]]:
    count = 0
    try:
        for opcode, argument, _ in pickletools.genops(stream):
            count += 1
            if count > _OPCODES:
                raise Unreadable(f"pickle: more than {_OPCODES} steps", kind="archive_limit")
            yield opcode.name, argument
    except (ValueError, IndexError) as wrong:
        raise Unreadable("pickle: damaged") from wrong


def _pushed(name: str, argument: object, recent: list[object], memo: dict[object, object]) -> object:
    """What stands on the stack after an opcode, as far as it is followed; None where it is not."""
    if name == "GLOBAL":
        return Global(str(argument))
    if name == "STACK_GLOBAL":
        module, attribute = recent[-2:] if len(recent) > 1 else (None, None)
        known = isinstance(module, str) and isinstance(attribute, str)
        return Global(f"{module} {attribute}" if known else "?")
    if name in _GET:
        return memo.get(argument)
    return argument


def _is_outside(value: object) -> bool:
    return isinstance(value, Global) and value.name not in _ALLOWED


def _asked(recent: list[object], program: Program) -> None:
    """('storage', type, key, place, elements) before a persistent id (torch/serialization.py)."""
    parts = recent[:-1]
    if parts and parts[-1] is None:  # the tuple itself
        parts = parts[:-1]
    if len(parts) < 5 or parts[-5] != "storage":
        raise Unreadable("torch: a storage that is not understood")
    kind, key, _, elements = parts[-4:]
    size = _TYPES.get(kind.name.rpartition(" ")[2]) if isinstance(kind, Global) else None
    if size is None or not isinstance(key, str) or not isinstance(elements, int) or elements < 0:
        raise Unreadable("torch: a storage that is not understood")
    program.storages[key] = max(program.storages.get(key, 0), size * elements)


# --- PyTorch --------------------------------------------------------------------------------------------------------------


def inspect_torch(source: Source, report: Report) -> None:
    """An archive of a pickle and storages (torch/csrc/inline_container: version, byteorder, data.pkl, data/N)."""
    archive = Archive(source, report)
    told(report, "storages")
    root = archive.entries[0].name.partition("/")[0]
    programs: list[Program] = []
    for entry in archive.entries:
        if entry.name == f"{root}/data.pkl":
            archive.read(entry, lambda _, stream: _program(stream, report, programs))
    storages = programs[0].storages if programs else {}
    for entry in archive.entries:
        name = entry.name.removeprefix(f"{root}/")
        if name == "data.pkl":
            continue
        if name.startswith("data/") and storages.get(name.removeprefix("data/")) == entry.size:
            archive.read(entry, _passed)
        elif name in {"version", "byteorder", ".format_version", ".storage_alignment", ".data/serialization_id"}:
            archive.read(entry)
        else:
            if name.startswith("code/"):
                report.found("executable_content", "TorchScript")
            archive.read(entry)


def _program(stream: BinaryIO, report: Report, programs: list[Program]) -> bool:
    budget = report.context.budget
    content = stream.read(-1)
    budget.room(len(content))
    program = walk(io.BytesIO(content), report)
    programs.append(program)
    if program.outside:
        report.found("executable_content", "pickle: calls outside of the list for tensors", count=program.outside)
    return not program.outside and not program.strange and program.end == len(content)


def _passed(_name: str, stream: BinaryIO) -> bool:
    while stream.read(1 << 20):
        pass
    return True
