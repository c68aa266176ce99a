"""A candidate's code → a link, with all that it needs, as it will lie in the version."""

from __future__ import annotations

from typing import Final

from kring.errors import CandidateError, NotFound, Refused
from kring.flow.project import Project
from kring.flow.training.keep import sha256
from kring.record.system import Candidate
from kring.record.version import CODE_FOLDER, Code, Link
from kring.release.contents import check_contents

MOST_BYTES: Final = 256 << 20


def code_link(project: Project, candidate: Candidate, inputs: tuple[str, ...]) -> tuple[Link, dict[str, bytes]]:
    """The link and its files by their paths in the version. `CandidateError` for a file that is gone, too large, or
    no file that a version may hold: a pickle under any name, for one."""
    file, _, function = candidate.code.rpartition(":")
    files: dict[str, bytes] = {}
    for name in (file, *candidate.files):
        key = f"candidate.{candidate.name}.{'code' if name == file else 'files'}"
        files[CODE_FOLDER + name] = _read(project, name, left=MOST_BYTES - sum(map(len, files.values())), key=key)
    digests = {name: sha256(data) for name, data in files.items()}
    main = CODE_FOLDER + file
    code = Code(
        function=function,
        files={name: digest for name, digest in digests.items() if name != main},
        memory_mb=candidate.memory_mb,
        timeout_us=candidate.timeout_us,
    )
    return Link(kind="code", file=main, digest=digests[main], inputs=inputs, code=code), files


def _read(project: Project, name: str, *, left: int, key: str) -> bytes:
    path = project.folder / name
    try:
        if path.stat().st_size > left:
            raise CandidateError(
                f"{name} is too large for a version's code",
                got=f"{path.stat().st_size:,} bytes",
                allowed=f"{MOST_BYTES >> 20} MiB in all",
                next="fit the model and export it to ONNX, or keep less in the table",
                key=key,
            )
        data = project.files.read(path)
        check_contents(CODE_FOLDER + name, data)
    except (NotFound, OSError) as error:
        raise CandidateError(f"there is no file {name}", got=str(error), next="write the file", key=key) from error
    except Refused as error:
        raise CandidateError(error.message, got=error.got, allowed=error.allowed, next=error.next, key=key) from error
    return data
