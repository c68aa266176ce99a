"""Bytes that run code when they are loaded, or hide what they hold, known by their content.

A pickle is a program; loading one runs it. So pickles are refused, and with them every container
that carries pickles in practice: joblib's compressed files, the zip of torch, NumPy's object
arrays, HDF5 with Keras' lambdas, tar. Nothing is opened, decompressed or run to find out, the
name of a file plays no part, and there is no list of harmless pickles.
"""

from __future__ import annotations

import pickletools
import re
from typing import Final, NamedTuple

from kring.errors import Refused
from kring.release.folder import shown

CURE: Final = "export the fitted estimator to ONNX, or declare the column in [prepare]; kring train does both"

MAGIC: Final = (
    (b"\x1f\x8b", "gzip, in which joblib keeps pickles"),
    (b"BZh", "bzip2, in which joblib keeps pickles"),
    (b"\xfd7zXZ\x00", "xz, in which joblib keeps pickles"),
    (b"\x5d\x00\x00", "lzma, in which joblib keeps pickles"),
    (b"\x04\x22\x4d\x18", "lz4, in which joblib keeps pickles"),
    (b"\x28\xb5\x2f\xfd", "zstandard, compressed and so not to be seen"),
    (b"ZF", "zlib as old joblib wrote it, with a pickle inside"),
    (b"PK\x03\x04", "a zip archive, in which torch, Keras and skops keep what they load"),
    (b"PK\x05\x06", "an empty zip archive"),
)
ZLIB: Final = re.compile(rb"[\x18\x28\x38\x48\x58\x68\x78]")
ZIP_END: Final = b"PK\x05\x06"
ZIP_END_BYTES: Final = 22
ZIP_COMMENT: Final = 65_535
NUMPY: Final = b"\x93NUMPY"
HDF5: Final = b"\x89HDF\r\n\x1a\n"
HDF5_OFFSETS: Final = (0, 512, 1024, 2048, 4096, 8192)
TAR: Final = (b"ustar", 257)

OPCODES: Final = {ord(opcode.code): opcode for opcode in pickletools.opcodes}
RUNS: Final = frozenset(
    {"GLOBAL", "STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "REDUCE", "BUILD", "EXT1", "EXT2", "EXT4"}
)
"""Opcodes that import or call something."""
REMEMBERS: Final = frozenset({"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"})
RECALLS: Final = frozenset({"GET", "BINGET", "LONG_BINGET"})
LENGTHS: Final = {
    pickletools.TAKEN_FROM_ARGUMENT1: (1, False),
    pickletools.TAKEN_FROM_ARGUMENT4: (4, True),
    pickletools.TAKEN_FROM_ARGUMENT4U: (4, False),
    pickletools.TAKEN_FROM_ARGUMENT8U: (8, False),
}
NAME: Final = re.compile(rb"[^\s:,;\"'#{}()\[\]<>]+")
"""What could name a module; prose and YAML keys can't."""
CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
MAX_OPCODES: Final = 100_000
MAX_PROTOCOL: Final = 32


class Stack(NamedTuple):
    """What an unpickler could hold: items and marks on its stack, and whether its memo has anything."""

    items: int = 0
    marks: int = 0
    memo: bool = False


def refuse_pickle(name: str, data: bytes) -> None:
    """`Refused` when `data` is a pickle, or something in which pickles travel; nothing is run."""
    what = container(data) or pickle(data)
    if what:
        raise Refused(
            f"{shown(name)} is refused: loading it could run code, or it hides what it holds",
            got=what,
            allowed="data that is only read: JSON, YAML, text, ONNX",
            next=CURE,
            file=shown(name),
        )


def container(data: bytes) -> str:
    """What kind of archive, compressed file or array file `data` is; empty when it is none."""
    if data.startswith(NUMPY):
        return "a NumPy array of objects, which are pickled" if _holds_objects(data) else "a NumPy array file"
    if any(data.startswith(HDF5, offset) for offset in HDF5_OFFSETS):
        return "HDF5, in which Keras keeps lambdas as code"
    if data.startswith(*TAR):
        return "a tar archive"
    if ZLIB.match(data) and len(data) > 1 and int.from_bytes(data[:2], "big") % 31 == 0 and not _is_text(data):
        return "zlib, in which joblib keeps pickles"
    if _ends_as_zip(data):
        return "a zip archive behind other bytes"
    return next((what for magic, what in MAGIC if data.startswith(magic) and not _is_text(data)), "")


def pickle(data: bytes) -> str:
    """What makes `data` a pickle; empty when it is none.

    Walks the opcodes as an unpickler would, without doing what they say, until the pickle ends, or
    an opcode would import or call something, or an unpickler would give up.
    """
    if len(data) > 1 and data[0] == 0x80 and data[1] <= MAX_PROTOCOL:
        return f"a pickle, protocol {data[1]}"
    at, stack = 0, Stack()
    for _ in range(MAX_OPCODES):
        opcode = OPCODES.get(data[at]) if at < len(data) else None
        if opcode is None:
            return ""
        argument, at = _argument(opcode, data, at + 1)
        if argument is None or not _possible(opcode, stack):
            return ""
        if opcode.name == "STOP":
            return "a pickle, protocol 0 or 1"
        if opcode.name in RUNS and _importable(opcode, argument):
            return f"a pickle that runs {opcode.name}"
        stack = _after(opcode, stack)
    return "a pickle of very many opcodes"


def _argument(opcode: pickletools.OpcodeInfo, data: bytes, at: int) -> tuple[bytes | None, int]:
    """The argument's bytes and where the next opcode begins; None when `data` ends before."""
    if opcode.arg is None:
        return b"", at
    if opcode.arg.n == pickletools.UP_TO_NEWLINE:
        lines = 2 if opcode.arg.name == "stringnl_noescape_pair" else 1
        end = at
        for _ in range(lines):
            end = data.find(b"\n", end) + 1 or len(data)
        return data[at:end], end
    length = opcode.arg.n
    if length < 0:
        size, signed = LENGTHS[length]
        length = int.from_bytes(data[at : at + size], "little", signed=signed)
        at += size
    if length < 0 or at + length > len(data):
        return None, at
    return b"", at + length


def _possible(opcode: pickletools.OpcodeInfo, stack: Stack) -> bool:
    """Whether stack and memo could hold what `opcode` takes. INST imports before it looks."""
    if opcode.name in RECALLS:
        return stack.memo
    if opcode.name in REMEMBERS:
        return stack.items > 0
    if opcode.name == "POP":
        return stack.items + stack.marks > 0
    if opcode.name == "INST":
        return True
    if pickletools.markobject in opcode.stack_before:
        return stack.marks > 0
    return stack.items >= len(opcode.stack_before)


def _after(opcode: pickletools.OpcodeInfo, stack: Stack) -> Stack:
    """The stack after `opcode`: as full as it can be, never less. What lies above a mark is not
    counted apart, and POP may take a mark or an item, so it takes neither."""
    if opcode.name in REMEMBERS:
        return stack._replace(memo=True)
    if opcode.name == "MARK":
        return stack._replace(marks=stack.marks + 1)
    if opcode.name == "POP":
        return stack
    takes = [item for item in opcode.stack_before if item not in (pickletools.markobject, pickletools.stackslice)]
    items = max(stack.items - len(takes), 0) + len(opcode.stack_after)
    return stack._replace(items=items, marks=max(stack.marks - (pickletools.markobject in opcode.stack_before), 0))


def _importable(opcode: pickletools.OpcodeInfo, argument: bytes) -> bool:
    """GLOBAL and INST import the module in their first line, which loses its last character when
    `data` ends in it; other opcodes need no name."""
    line, newline, _ = argument.partition(b"\n")
    return opcode.name not in ("GLOBAL", "INST") or NAME.fullmatch(line if newline else line[:-1]) is not None


def _holds_objects(data: bytes) -> bool:
    return re.search(rb"'descr':.*\|?O", data[:4096], re.DOTALL) is not None


def _ends_as_zip(data: bytes) -> bool:
    """Whether `data` ends with a zip archive's last record, whose comment reaches to the very end."""
    end = data.rfind(ZIP_END, max(0, len(data) - ZIP_COMMENT - ZIP_END_BYTES))
    if end < 0 or end + ZIP_END_BYTES > len(data):
        return False
    return int.from_bytes(data[end + 20 : end + 22], "little") == len(data) - end - ZIP_END_BYTES


def _is_text(data: bytes) -> bool:
    try:
        return CONTROL.search(data.decode()) is None
    except UnicodeDecodeError:
        return False
