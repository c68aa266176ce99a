"""Pickles under any name are refused, and nothing in them ever runs."""

from __future__ import annotations

import bz2
import collections
import datetime
import decimal
import fractions
import gzip
import io
import lzma
import pickle
import pickletools
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import joblib
import msgspec
import numpy as np
import onnx
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from kring.errors import Refused
from kring.release.contents import KINDS, check_contents
from kring.release.pickles import MAX_OPCODES, refuse_pickle

NAMES = ["model.onnx", "model.json", "contract.odcs.yaml", "notes.txt", "README.md", "model.pkl", "model", "a/b.bin"]
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


class Canary:
    """Says so in a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.path,)


class Plain:
    def __init__(self, value: object) -> None:
        self.value = value


simple = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 70), 1 << 70)
    | st.floats()
    | st.text(max_size=8)
    | st.binary(max_size=8)
    | st.sampled_from([print, len, collections.OrderedDict, datetime.date(2013, 1, 1), fractions.Fraction(1, 3)])
    | st.decimals()
    | st.builds(np.float64, st.floats())
)
objects = st.recursive(
    simple,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=4), inner, max_size=4)
        | st.dictionaries(st.integers(), inner, max_size=4).map(collections.OrderedDict)
        | inner.map(Plain)
        | st.lists(st.integers(), max_size=4).map(set)
        | st.lists(st.integers(), max_size=4).map(np.array)
    ),
    max_leaves=12,
)


def assert_refused(name: str, data: bytes) -> None:
    with pytest.raises(Refused) as caught:
        refuse_pickle(name, data)
    assert caught.value.got
    assert caught.value.next
    with pytest.raises(Refused):
        check_contents(name, data)


@given(objects, st.sampled_from(PROTOCOLS), st.sampled_from(NAMES), st.booleans())
@settings(max_examples=150)
def test_a_pickle_of_anything_is_refused_in_every_protocol(
    what: object, protocol: int, name: str, optimized: bool
) -> None:
    data = pickle.dumps(what, protocol)
    assert_refused(name, pickletools.optimize(data) if optimized else data)


@given(objects, st.sampled_from(PROTOCOLS), st.binary(max_size=8))
def test_bytes_behind_a_pickle_don_t_hide_it(what: object, protocol: int, behind: bytes) -> None:
    assert_refused("model.onnx", pickle.dumps(what, protocol) + behind)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_canary_never_runs(tmp_path: Path, protocol: int, name: str) -> None:
    sung = tmp_path / "sung"
    data = pickle.dumps(Canary(sung), protocol)
    for form in packed(data):
        assert_refused(name, form)
    assert not sung.exists()
    pickle.loads(data)
    assert sung.exists(), "the canary can sing"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_pickle_cut_after_it_would_have_run_is_refused(tmp_path: Path, protocol: int) -> None:
    data = pickle.dumps(Canary(tmp_path / "sung"), protocol)
    assert data[-1:] == b"."
    for end in (data[:-1], data[:-1] + b"\xff", data[:-1] + b"\n\n"):
        assert_refused("model.json", end)


def packed(data: bytes) -> list[bytes]:
    """`data` in every container that people pickle into."""
    zipped, stored, tarred = io.BytesIO(), io.BytesIO(), io.BytesIO()
    for stream, method in ((zipped, zipfile.ZIP_DEFLATED), (stored, zipfile.ZIP_STORED)):
        with zipfile.ZipFile(stream, "w", method) as archive:
            archive.writestr("archive/data.pkl", data)
            archive.comment = b"a comment"
    with tarfile.open(fileobj=tarred, mode="w") as tar:
        info = tarfile.TarInfo("data.pkl")
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    return [
        data,
        *(zlib.compress(data, level) for level in range(10)),
        gzip.compress(data),
        bz2.compress(data),
        lzma.compress(data),
        lzma.compress(data, format=lzma.FORMAT_ALONE),
        b"\x04\x22\x4d\x18" + data,
        b"\x28\xb5\x2f\xfd" + data,
        zipped.getvalue(),
        stored.getvalue(),
        b"#!/bin/sh\n" + zipped.getvalue(),
        tarred.getvalue(),
    ]


@pytest.mark.parametrize("compress", [0, 3, ("zlib", 9), ("gzip", 3), ("bz2", 3), ("xz", 3), ("lzma", 3)], ids=str)
def test_what_joblib_writes_is_refused(tmp_path: Path, compress: Any) -> None:
    fitted = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    for what in (fitted, np.arange(4.0), {"a": [1, 2]}):
        joblib.dump(what, tmp_path / "model", compress=compress)
        assert_refused("model.onnx", (tmp_path / "model").read_bytes())


def test_what_cloudpickle_writes_is_refused() -> None:
    assert_refused("model.json", cloudpickle.dumps(lambda x: x + 1))


@pytest.mark.parametrize("shape", [(), (0,), (3,)])
def test_numpy_files_are_refused_and_objects_are_named(shape: tuple[int, ...]) -> None:
    plain, objects = io.BytesIO(), io.BytesIO()
    np.save(plain, np.zeros(shape))
    np.save(objects, np.full(shape, None, dtype=object), allow_pickle=True)
    assert_refused("values.onnx", plain.getvalue())
    with pytest.raises(Refused) as caught:
        refuse_pickle("values.onnx", objects.getvalue())
    assert "pickled" in caught.value.got
    structured = io.BytesIO()
    np.save(structured, np.zeros(2, dtype=[("a", "f8"), ("b", "O")]), allow_pickle=True)
    with pytest.raises(Refused) as caught:
        refuse_pickle("values.onnx", structured.getvalue())
    assert "pickled" in caught.value.got
    archive = io.BytesIO()
    np.savez(archive, a=np.zeros(3))
    assert_refused("values.onnx", archive.getvalue())


@pytest.mark.parametrize("offset", [0, 512, 1024, 2048])
def test_hdf5_is_refused_behind_a_user_block_too(offset: int) -> None:
    assert_refused("model.txt", b" " * offset + b"\x89HDF\r\n\x1a\n" + bytes(64))


@pytest.mark.parametrize(
    "data",
    [
        b"cposix\nsystem\n(S'true'\ntR.",
        b"(S'true'\niposix\nsystem\n.",
        b"cos\nsystem",
        b"N0cos\nsystem\n",
        b"(0cos\nsystem\n(S'x'\ntR",
        b"I1\n(cos\nsystem\n",
        b"c__builtin__\neval\n(S'1'\ntR.",
        "cмодуль\nимя\n.".encode(),
        b"cfoo-bar\nrun\n",
        b"X\x02\x00\x00\x00osX\x06\x00\x00\x00system\x93.",
        b"\x80\x04",
        b"\x80\xff.",
        b"N.",
        b"N." + b" and prose",
        b"N0" * MAX_OPCODES,
        b"PX\n.",
    ],
)
def test_hand_made_pickles_are_refused(data: bytes) -> None:
    if data == b"\x80\xff.":
        with pytest.raises(Refused):
            check_contents("a.txt", data)
        return
    assert_refused("a.txt", data)


class Ran(Exception):
    """The unpickler was about to import something."""


class Watched(pickle._Unpickler):  # type: ignore[name-defined,misc]
    """Python's own unpickler, stopped before it imports."""

    def find_class(self, module: str, name: str) -> object:
        if all(part.isidentifier() for part in module.split(".")):
            raise Ran
        raise ImportError


PIECES = [
    *(opcode.code.encode("latin-1") for opcode in pickletools.opcodes if opcode.name != "BYTEARRAY8"),
    b"os\nsystem\n", b"os", b"\n", b"1\n", b"0\n", b"'x'\n", b"\x00", b"\x01", b"\x02", b"\x00\x00\x00", b"((",
    b"cos\nsystem\n", b"(0", b"]p0\n", b"g0\n", b"}q\x00", b"X\x02\x00\x00\x00os", b"N", b"0", b"(", b".",
    b"2", b"1",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=8).map(b"".join))
@settings(max_examples=300)
def test_whatever_python_would_unpickle_or_import_is_refused(data: bytes) -> None:
    try:
        Watched(io.BytesIO(data), encoding="bytes").load()
    except Ran:
        pass
    except Exception:  # noqa: BLE001 - what random bytes raise is nobody's promise
        return
    with pytest.raises(Refused):
        refuse_pickle("a.json", data)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 60), 1 << 60) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(json_values, st.booleans())
def test_no_json_is_taken_for_a_pickle(value: object, indented: bool) -> None:
    data = msgspec.json.encode(value)
    check_contents("a.json", msgspec.json.format(data) if indented else data)


@given(st.dictionaries(st.from_regex(r"[abd-z][a-zA-Z ]{0,8}", fullmatch=True), json_values, min_size=1, max_size=4))
def test_no_yaml_mapping_in_small_letters_is_taken_for_a_pickle(value: dict[str, object]) -> None:
    """A capital letter or a c can begin a pickle: `G: -1.25.` is one, and is refused, and does no harm."""
    check_contents("a.yaml", yaml.safe_dump(value, allow_unicode=True).encode())


@pytest.mark.parametrize(
    "text",
    [
        "# Notes\n\nWhat the flights promise.\n",
        "contract: flights\nkind: DataContract\n",
        "id: x\nname: y\n",
        "customProperties:\n- property: kring.target\n  value: late\n",
        "hi.",
        "girl.\n.",
        "Version 3 of the contract.\nNothing else changed.\n",
        "Hé, x^2 is no zlib.\n",
        "BZh and ZF and PK are letters.\n",
        "The model, as sold.\n.\n",
        "",
        "\n",
    ],
)
def test_prose_is_not_taken_for_a_pickle(text: str) -> None:
    check_contents("a.md", text.encode())


def test_a_model_is_not_taken_for_a_pickle(model: Callable[..., onnx.ModelProto]) -> None:
    check_contents("a.onnx", model().SerializeToString())


@given(st.binary(max_size=200))
def test_no_bytes_break_the_walk(data: bytes) -> None:
    for name in (*NAMES, *(f"a{ending}" for ending in KINDS)):
        try:
            check_contents(name, data)
        except Refused:
            continue
        if name.endswith(".onnx"):
            assert onnx.load_model_from_string(data).graph.output


def test_a_decimal_is_an_object_too() -> None:
    assert_refused("a.json", pickle.dumps(decimal.Decimal("1.5"), 0))
