"""What a process gives up before it runs code of a version: it can only give up more later.

On Linux: the network, other programs and processes, writing to any file, and reading outside of Python's own folders.
A kernel or a container that refuses a measure leaves it out, and what is denied is told, never assumed.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import struct
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from kring.runtimes.syscalls import ASKED, DENIED

MACHINES: Final = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""Column of the tables, and what the kernel calls the machine."""

PR_SET_DUMPABLE: Final = 4
PR_SET_NO_NEW_PRIVS: Final = 38
SET_MODE_FILTER, ALL_THREADS = 1, 1
CLONE_NEWUSER: Final = 0x10000000
CLONE_THREAD: Final = 0x00010000
OTHER_ABI: Final = 0x40000000

LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER, MACHINE, ARGUMENTS = 0, 4, 16
"""Instructions of the filter, and where the kernel puts what it looks at."""

ALLOW: Final = 0x7FFF0000
KILL: Final = 0x80000000
DENY: Final = 0x00050000 | errno.EPERM
ABSENT: Final = 0x00050000 | errno.ENOSYS
WRITES: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

READ_FILE, READ_DIR = 1 << 2, 1 << 3
HANDLED: Final = (1 << 13) - 1
"""Every right over files that the first form of Landlock knows."""

SYSTEM_FOLDERS: Final = ("/usr", "/lib", "/lib64", "/sys/devices/system/cpu", "/sys/fs/cgroup", "/proc/self")
SYSTEM_FILES: Final = (
    *("/dev/null", "/dev/urandom", "/etc/ld.so.cache", "/etc/localtime", "/etc/mime.types", "/etc/nsswitch.conf"),
    *("/etc/os-release", "/etc/passwd", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat"),
)

Instruction = tuple[int, int, int, int]


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def confine(*, memory_mb: int, readable: Iterable[Path]) -> tuple[str, ...]:
    """Bound this process and take away what it must not do; what was taken, in words.

    At most `memory_mb` MiB of private memory, no core dump, no file of more than 0 bytes written. Files are read
    below `readable` and Python's and the system's own folders only. Call it while there is one thread.
    """
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_DATA, memory_mb << 20)
    if sys.platform != "linux" or platform.machine() not in MACHINES:
        return ()
    column, machine = MACHINES[platform.machine()]
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.unshare(CLONE_NEWUSER)
    told = ["reading outside of Python's folders"] if _only_reads(libc, column, readable) else []
    return (*DENIED, *told) if _filtered(libc, column, _filter(column, machine)) else tuple(told)


def _limit(kind: int, value: int) -> None:
    """Lower a limit; one that is lower already stays."""
    _, hard = resource.getrlimit(kind)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))


def _filtered(libc: ctypes.CDLL, column: int, program: list[Instruction]) -> bool:
    """Hand the filter to the kernel, for all threads."""
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
    made = _Program(len(program), code)
    done: int = libc.syscall(ASKED["seccomp"][column], SET_MODE_FILTER, ALL_THREADS, ctypes.byref(made))
    return done == 0


def _filter(column: int, machine: int) -> list[Instruction]:
    """Calls of another machine's form end the process; those denied fail; all others pass."""
    program = [(LOAD, 0, 0, MACHINE), (EQUAL, 1, 0, machine), (RETURN, 0, 0, KILL), (LOAD, 0, 0, NUMBER)]
    if not column:
        program += [(AT_LEAST, 0, 1, OTHER_ABI), (RETURN, 0, 0, DENY)]
    for numbers in (number for group in DENIED.values() for number in group.values()):
        if numbers[column] >= 0:
            program += [(EQUAL, 0, 1, numbers[column]), (RETURN, 0, 0, DENY)]
    for name, block in _asked():
        number = ASKED[name][column]
        if number >= 0:
            program += [(EQUAL, 0, len(block), number), *block]
    return [*program, (RETURN, 0, 0, ALLOW)]


def _asked() -> Iterator[tuple[str, list[Instruction]]]:
    """What is done about calls that are denied by what is asked of them."""
    deny, allow = (RETURN, 0, 0, DENY), (RETURN, 0, 0, ALLOW)
    for name, place in (("open", 1), ("openat", 2)):
        yield name, [_argument(place), (ANY_BIT, 0, 1, WRITES), deny, allow]
    yield "clone", [_argument(0), (ANY_BIT, 1, 0, CLONE_THREAD), deny, allow]
    for name in ("kill", "tgkill"):
        yield name, [_argument(0), (EQUAL, 1, 0, os.getpid()), deny, allow]
    high = (LOAD, 0, 0, ARGUMENTS + 8 * 2 + 4)
    yield "prlimit64", [_argument(2), (EQUAL, 0, 2, 0), high, (EQUAL, 1, 0, 0), deny, allow]
    for name in ("clone3", "openat2"):  # what they are asked lies where a filter can't look; callers have another way
        yield name, [(RETURN, 0, 0, ABSENT)]


def _argument(place: int) -> Instruction:
    """Load the lower half of one argument."""
    return (LOAD, 0, 0, ARGUMENTS + 8 * place)


def _only_reads(libc: ctypes.CDLL, column: int, readable: Iterable[Path]) -> bool:
    """Let this thread, and those it starts, read below `readable`, Python's folders and the system's; nothing else."""
    create, add, restrict = (
        ASKED[f"landlock_{name}"][column] for name in ("create_ruleset", "add_rule", "restrict_self")
    )
    handled = ctypes.create_string_buffer(struct.pack("=Q", HANDLED), 8)
    rules: int = libc.syscall(create, handled, ctypes.c_size_t(8), 0)
    if rules < 0:
        return False
    own = {Path(sys.prefix), Path(sys.base_prefix), *map(Path, sys.path), *readable, *map(Path, SYSTEM_FOLDERS)}
    try:
        for path in (*own, *map(Path, SYSTEM_FILES)):
            _allow(libc, add, rules, path)
        done: int = libc.syscall(restrict, rules, 0)
    finally:
        os.close(rules)
    return done == 0


def _allow(libc: ctypes.CDLL, add: int, rules: int, path: Path) -> None:
    """Reading at or below `path`, if it is there."""
    try:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    rights = READ_FILE | READ_DIR if path.is_dir() else READ_FILE
    libc.syscall(add, rules, 1, ctypes.create_string_buffer(struct.pack("=Qi", rights, opened), 12), 0)
    os.close(opened)
