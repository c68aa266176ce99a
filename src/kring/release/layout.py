"""Where everything lies in a version folder. Manifest and layout leave no room for another file.

manifest.json            what is pinned: links, thresholds, policy, digests
contract.odcs.yaml       what the data promised
clean.toml               how its feed is repaired, where somebody accepted repairs
prepare.json             columns and lookup tables of the chain
links/*.onnx             its fitted estimators
links/*.sqlite           what its answers are looked up in
links/*.json             answers written by hand
links/code/**            Python that answers, and what it needs
background.json          rows that its answers are explained against
outliers.json            what is usual among the rows that it learned from
drift.json               how its inputs and outputs were spread
baseline/                the same for the baseline
lineage.json             where it came from
environment.json         what it was made with
model.sig                the signature over all of them
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from kring.errors import Refused
from kring.record.background import Background
from kring.record.drift import References
from kring.record.outliers import Usual
from kring.record.prepare import Prepared
from kring.record.version import CODE_FOLDER, Code, Link, Manifest
from kring.release.contents import check_contents
from kring.release.folder import shown
from kring.release.signed import MANIFEST

CONTRACT: Final = "contract.odcs.yaml"
RECIPE: Final = "clean.toml"
ALWAYS: Final = (MANIFEST, CONTRACT, "lineage.json", "environment.json")
BASELINE: Final = "baseline/"
RECORDS: Final[dict[str, type[msgspec.Struct]]] = {
    "prepare.json": Prepared,
    "background.json": Background,
    "outliers.json": Usual,
    "drift.json": References,
}
"""What the JSON files of a chain must hold."""

COMPANIONS: Final = ("background.json", "outliers.json", "drift.json", "baseline/background.json")
LINK_FILES: Final = {
    "prepare": re.compile(r"prepare\.json"),
    "onnx": re.compile(r"links/[A-Za-z0-9_-]+\.onnx"),
    "retrieval": re.compile(r"links/[A-Za-z0-9_-]+\.sqlite"),
    "canned": re.compile(r"links/[A-Za-z0-9_-]+\.json"),
    "code": re.compile(rf"{CODE_FOLDER}(?:[A-Za-z0-9_][A-Za-z0-9_.-]*/){{0,4}}[A-Za-z0-9_][A-Za-z0-9_.-]*\.py"),
}
BESIDE_CODE: Final = re.compile(rf"{CODE_FOLDER}(?:[A-Za-z0-9_][A-Za-z0-9_.-]*/){{0,4}}[A-Za-z0-9_][A-Za-z0-9_.-]*")
ENDINGS: Final = {
    "prepare": "prepare.json",
    "onnx": "links/<name>.onnx",
    "retrieval": "links/<name>.sqlite",
    "canned": "links/<name>.json",
    "code": f"{CODE_FOLDER}<name>.py",
}


def manifest_bytes(manifest: Manifest) -> bytes:
    """The canonical JSON of `manifest`. `Refused` when it would not be read back as it was, which
    happens to a threshold or cost that is not a finite number."""
    data = msgspec.json.encode(manifest, order="sorted")
    try:
        same = msgspec.json.decode(data, type=Manifest) == manifest
    except msgspec.ValidationError:
        same = False
    if not same:
        raise Refused(
            "the manifest can't be written down",
            got="a value that JSON does not hold, such as NaN",
            allowed="finite thresholds and costs",
            file=MANIFEST,
        )
    return data


def check_layout(manifest: Manifest, files: Mapping[str, bytes]) -> None:
    """`Refused` unless `files` (the signature apart) are exactly what `manifest` pins, each of a kind
    a version may hold and with the digest its link names."""
    wanted = _pinned(manifest)
    for name in sorted(wanted.keys() - files.keys()):
        raise refused(name, got="no such file", allowed=f"{name}, which the manifest pins")
    for name in sorted(files.keys() - wanted.keys()):
        check_contents(name, files[name])
        raise refused(name, got="a file that nothing pins", allowed=", ".join(sorted(wanted)))
    for name, digest in wanted.items():
        check_contents(name, files[name])
        found = hashlib.sha256(files[name]).hexdigest()
        if digest and found != digest:
            raise refused(name, got=f"SHA-256 {found}", allowed=f"SHA-256 {digest}, as the manifest says")
        _check_record(name, files[name])


def _pinned(manifest: Manifest) -> dict[str, str]:
    """Every file that belongs to the version by name, with its digest, empty for those that have none."""
    wanted = dict.fromkeys(ALWAYS, "")
    if manifest.recipe_digest:
        wanted[RECIPE] = manifest.recipe_digest
    for name, digest in manifest.companions.items():
        if name not in COMPANIONS or not digest:
            raise refused(name, got="a companion", allowed=f"{', '.join(COMPANIONS)}, each with its SHA-256")
        wanted[name] = digest
    for link in _links(manifest):
        for name, digest in link.files.items():
            if wanted.setdefault(name, digest) != digest:
                raise refused(name, got="two links with different digests", allowed="one file for one link")
    return wanted


def _links(manifest: Manifest) -> Iterator[Link]:
    """Every link that lies in a file; `Refused` for a link of another form."""
    for chain, folder in ((manifest.chain, ""), (manifest.baseline, BASELINE)):
        for link in chain.links:
            if link.kind == "rule":
                if link.file or not link.expression:
                    raise refused(
                        link.file or MANIFEST, got="a rule without expression", allowed="an expression, no file"
                    )
                continue
            name = link.file.removeprefix(folder)
            if not link.file.startswith(folder) or not LINK_FILES[link.kind].fullmatch(name):
                allowed = f"{folder}{ENDINGS[link.kind]}"
                raise refused(link.file or MANIFEST, got=f"{link.kind} link {link.file!r}", allowed=allowed)
            if not all(link.files.values()):
                raise refused(link.file, got="a link without digest", allowed="the SHA-256 of its file")
            _check_code(link, folder)
            yield link


def _check_code(link: Link, folder: str) -> None:
    """A code link, and no other, says how it is run, and what lies beside it lies where its code does."""
    if (link.kind == "code") != (link.code is not None):
        raise refused(link.file, got=f"a {link.kind} link", allowed="how code is run, for a code link and no other")
    code = link.code or Code(function="none")
    if not (code.function.isidentifier() and code.memory_mb > 0 and code.timeout_us > 0):
        raise refused(link.file, got=str(code), allowed="the name of a function, memory and time above 0")
    for name in code.files:
        if not name.startswith(folder) or not BESIDE_CODE.fullmatch(name.removeprefix(folder)):
            raise refused(name, got=f"a file of {link.file}", allowed=f"{folder}{CODE_FOLDER}<name>")


def _check_record(name: str, data: bytes) -> None:
    kind = RECORDS.get(name.removeprefix(BASELINE))
    if kind is None:
        return
    try:
        msgspec.json.decode(data, type=kind)
    except msgspec.MsgspecError as error:
        raise refused(name, got=str(error), allowed=f"the record {kind.__name__}") from error


def refused(name: str, *, got: str, allowed: str) -> Refused:
    return Refused(
        f"{shown(name)} does not fit the version's manifest",
        got=got[:300],
        allowed=allowed,
        next="build the version again from its run",
        file=shown(name),
    )
