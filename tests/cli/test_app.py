from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

import kring
from kring.cli.app import COMMANDS

HERE = Path(__file__).parent
PROBE = [sys.executable, str(HERE / "probe_command.py")]
KRING = [sys.executable, "-m", "kring"]
SAMPLES = HERE.parent / "frame" / "samples"
HEAVY = ("polars", "numpy", "sklearn", "onnxruntime", "deltalake", "tree_sitter", "yaml", "scipy", "kring.flow")


def call(*command: str, env: dict[str, str] | None = None, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, env={**os.environ, **(env or {})}, cwd=cwd, check=False
    )


def answer(done: subprocess.CompletedProcess[str]) -> dict:
    assert done.stdout.count("\n") == 1, done.stdout
    return json.loads(done.stdout)


def test_help_names_every_command_that_is_there():
    done = call(*KRING, "--help")
    assert done.returncode == 0
    assert done.stderr == ""
    listed = re.findall(r"^  (\w+)  ", done.stdout.partition("Commands:")[2], flags=re.MULTILINE)
    source = HERE.parents[1] / "src"
    there = [name for name, entry in COMMANDS.items() if (source / f"{entry.module.replace('.', '/')}.py").exists()]
    assert listed == there
    assert "schema" in there


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_import_nothing_heavy_and_are_quick(option):
    code = (
        "import sys; from kring.cli.app import run; code = run(sys.argv[1:]);"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr); sys.exit(code)"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = call(sys.executable, "-c", code, option)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0
    assert done.stderr.strip() == "[]"
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime <= 0.5  # the benchmark says 0.25


def test_version():
    assert call(*KRING, "--version").stdout == f"kring {kring.__version__}\n"
    assert answer(call(*KRING, "--version", "--json")) == {"version": kring.__version__}


def test_text_for_people():
    done = call(*PROBE, "probe")
    assert done.returncode == 0
    assert done.stderr == "· probing\n"
    assert "all [bold]is[/bold] well �[31m:smile:" in done.stdout
    assert "12,345" in done.stdout
    assert "0.1235" in done.stdout
    assert "\x1b" not in done.stdout
    assert "c" * 150 in done.stdout


def test_one_object_for_programs():
    done = call(*PROBE, "probe", "--json", "some/where")
    assert done.returncode == 0
    assert answer(done) == {"line": {"metric": "m", "op": ">", "limit": 1.0}, "folder": "some/where", "odd": None}
    assert "probing" in done.stderr
    assert "a stray print" in done.stderr
    assert "all [bold]is[/bold] well" in done.stderr


@pytest.mark.parametrize("where", [["--json", "probe"], ["probe", "--json"], ["probe", ".", "--json"]])
def test_json_may_stand_anywhere(where):
    assert answer(call(*PROBE, *where))["folder"] == "."


@pytest.mark.parametrize(
    ("end", "code", "told"),
    [
        ("refused", 1, {"code": "refused", "message": "the gate says no", "got": "0.51", "next": "train again"}),
        ("missing", 2, {"code": "not_found", "where": {"file": "", "line": 0, "key": "id"}}),
        ("storage", 3, {"code": "storage", "where": {"file": "/x", "line": 3, "key": ""}}),
        ("faults", 2, {"code": "config", "message": "2 faults"}),
        ("bug", 3, {"code": "bug", "message": "a fault of Kring's own: ZeroDivisionError: division by zero"}),
        ("os", 3, {"code": "unavailable", "message": "the machine said no: permission denied"}),
        ("memory", 3, {"code": "unavailable"}),
        ("interrupt", 130, {"code": "interrupted"}),
    ],
)
def test_errors_and_their_exit_codes(end, code, told):
    for_programs = call(*PROBE, "probe", "--json", "--end", end)
    assert for_programs.returncode == code
    error = answer(for_programs)["error"]
    assert told.items() <= error.items()
    assert set(error) - {"faults"} == {"code", "message", "got", "allowed", "next", "where"}
    assert "Traceback" not in for_programs.stderr
    for_people = call(*PROBE, "probe", "--end", end)
    assert for_people.returncode == code
    assert error["message"] in for_people.stderr
    assert error["message"] not in for_people.stdout
    assert "Traceback" not in for_people.stderr


def test_faults_are_told_one_by_one():
    faults = answer(call(*PROBE, "probe", "--json", "--end", "faults"))["error"]["faults"]
    assert [(fault["message"], fault["where"]["line"]) for fault in faults] == [("one", 1), ("two", 2)]


def test_a_bad_file_is_told_with_its_lines(tmp_path):
    text = (SAMPLES / "small.toml").read_text()
    (tmp_path / "kring.toml").write_text(text.replace("owner", "ownr").replace('"prior"', '"pryor"'))
    done = call(*PROBE, "probe", "--end", "system", cwd=tmp_path)
    assert done.returncode == 2
    assert "✗ 3 faults in kring.toml" in done.stderr
    assert "  kring.toml:5 system.ownr\n    there is no key of this name\n" in done.stderr
    assert "    next     did you mean `owner`?\n" in done.stderr
    error = answer(call(*PROBE, "probe", "--json", "--end", "system", str(tmp_path)))["error"]
    assert [(fault["where"]["line"], fault["where"]["key"]) for fault in error["faults"]] == [
        (1, "system.owner"),
        (5, "system.ownr"),
        (19, "candidate[0].builtin"),
    ]


@pytest.mark.parametrize("end", ["no", "exit"])
def test_the_answer_is_no(end):
    assert call(*PROBE, "probe", "--end", end).returncode == 1
    done = call(*PROBE, "probe", "--end", end, "--json")
    assert done.returncode == 1
    assert "error" not in answer(done)


def test_a_traceback_only_for_those_who_ask():
    done = call(*PROBE, "probe", "--end", "bug", env={"KRING_DEBUG": "1"})
    assert done.returncode == 3
    assert "Traceback" in done.stderr
    assert "ZeroDivisionError" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message", "next"),
    [
        (["scema"], "there is no command of this name", "did you mean `schema`?"),
        (["xyzzy"], "there is no command of this name", "kring --help says what each of them does"),
        (["probe", "--nope"], "no such option '--nope'", "kring probe --help"),
        (["probe", "a", "b"], "got unexpected extra argument (b)", "kring probe --help"),
        (["probe", "--end"], "option '--end' requires an argument", None),
        ([], "no command was given", "kring --help says what each of them does"),
    ],
)
def test_wrong_use(arguments, message, next):
    done = call(*PROBE, *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert message in done.stderr
    done = call(*PROBE, "--json", *arguments)
    assert done.returncode == 2
    error = answer(done)["error"]
    assert error["code"] == "use"
    assert error["message"] == message
    assert next is None or error["next"] == next


def test_ctrl_c():
    done = call(*PROBE, "probe", "--end", "ctrl_c", "--json")
    assert done.returncode == 130
    assert answer(done)["error"]["code"] == "interrupted"


def test_a_reader_that_goes_away_does_not_stop_the_work():
    with subprocess.Popen(
        [*PROBE, "probe", "--end", "much"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        told = process.stderr.read().decode()
        assert process.wait(timeout=60) == 1
    assert "the work went on" in told
    assert "Exception" not in told
    assert "Broken" not in told


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("mode", [[], ["--json"]])
def test_a_full_disk_behind_stdout(mode):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*KRING, "schema", *mode], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    assert done.returncode == 3
    assert "no space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_odd_streams():
    assert call(*PROBE, "probe", "--end", "refused", env={"PYTHONIOENCODING": "ascii"}).returncode == 1
    closed = call("sh", "-c", f"{' '.join(PROBE)} probe --json >&- 2>&-")
    assert closed.returncode == 0


def test_colours_only_for_a_terminal_that_wants_them():
    for env, colours in (({"TERM": "xterm-256color"}, True), ({"TERM": "xterm-256color", "NO_COLOR": "1"}, False)):
        assert ("\x1b[36m" in in_terminal([*PROBE, "probe", "--end", "missing"], env)) == colours


def in_terminal(command: list[str], env: dict[str, str]) -> str:
    ours, theirs = os.openpty()
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env={**os.environ, **env}) as process:
        os.close(theirs)
        told = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:
                break
            if not part:
                break
            told += part
    os.close(ours)
    assert process.returncode == 2
    return told.decode()


def test_schema(tmp_path):
    printed = call(*KRING, "schema")
    assert printed.returncode == 0
    made = json.loads(printed.stdout)
    assert made["title"] == "kring.toml"
    assert answer(call(*KRING, "schema", "--json")) == made
    file = tmp_path / "new" / "kring.schema.json"
    done = call(*KRING, "schema", "--out", str(file))
    assert done.returncode == 0
    assert "#:schema kring.schema.json" in done.stdout
    assert json.loads(file.read_text()) == made
    assert answer(call(*KRING, "schema", "--json", "--out", str(file))) == {"file": str(file)}
    assert call(*KRING, "schema", "--out", str(tmp_path)).returncode == 2
