"""Write the reference pages that are made from the code: kring.toml, errors, ports, commands.

python scripts/reference.py           writes them into docs/
python scripts/reference.py --check   says which of them are not what the code says
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from kring import errors
from kring.cli.app import app
from kring.errors import KringError
from kring.frame.reference import reference

ROOT = Path(__file__).parents[1]
PORTS = ROOT / "src" / "kring" / "ports"
MADE = "This page is made from the code by `make docs`."


def error_classes(parent: type[KringError] = KringError) -> Iterator[type[KringError]]:
    yield parent
    for child in parent.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from error_classes(child)


def errors_page() -> str:
    tree = inspect.getdoc(errors) or ""
    rows = [
        f"| `{found.__name__}` | `{found.code}` | {found.exit_code} | {'yes' if found.retryable else 'no'} |"
        for found in error_classes()
    ]
    exits = {
        errors.EXIT_DONE: "done",
        errors.EXIT_NO: "the answer is no: a broken contract, a gate that did not pass",
        errors.EXIT_USE: "wrong use or wrong input",
        errors.EXIT_COULD_NOT: "could not: disk, lock, damaged bytes, a newer ledger",
        errors.EXIT_INTERRUPTED: "interrupted",
    }
    return f"""# Errors

{MADE}

Every error says what was got, what was allowed and what to do next. With `--json` a command that fails prints one
object: `{{"error": {{"code", "message", "got", "allowed", "next", "where": {{"file", "line", "key"}}}}}}`.

```text
{tree}
```

| class | code | exit code | trying again may help |
|---|---|---|---|
{chr(10).join(rows)}

## Exit codes

| code | meaning |
|---|---|
{chr(10).join(f"| {code} | {meaning} |" for code, meaning in exits.items())}
"""


def ports_page() -> str:
    parts = [
        f"""# Ports

{MADE}

What the stages need from the world. An adapter is any class with these methods: it inherits nothing, and it passes
the conformance suite of its port in `kring.testing`. Times are microseconds since 1970, UTC.
"""
    ]
    for file in sorted(PORTS.glob("*.py")):
        module = ast.parse(file.read_text(encoding="utf-8"))
        parts += [
            port_section(found, module=f"kring.ports.{file.stem}", about=ast.get_docstring(module))
            for found in module.body
            if isinstance(found, ast.ClassDef) and any(ast.unparse(base) == "Protocol" for base in found.bases)
        ]
    return "\n".join(parts)


def port_section(port: ast.ClassDef, *, module: str, about: str | None) -> str:
    lines = [f"## {port.name}", "", f"`{module}.{port.name}`. {ast.get_docstring(port) or about or ''}", ""]
    for method in port.body:
        if isinstance(method, ast.FunctionDef):
            arguments = ast.unparse(method.args).removeprefix("self").removeprefix(", ")
            gives = f" -> {ast.unparse(method.returns)}" if method.returns else ""
            meaning = " ".join((ast.get_docstring(method) or "").split())
            lines.append(f"- `{method.name}({arguments}){gives}`  \n  {meaning}")
    return "\n".join([*lines, ""])


def commands_page() -> str:
    parts = [f"# Commands\n\n{MADE}\n"]
    root = click.Context(app, info_name="kring", max_content_width=90, terminal_width=90)
    parts.append(f"```text\n{app.get_help(root)}\n```\n")
    for name in app.list_commands(root):
        command = app.get_command(root, name)
        if command is not None:
            parts.append(command_section(command, root, name))
    return "\n".join(parts)


def command_section(command: click.Command, parent: click.Context, name: str) -> str:
    context = click.Context(command, parent=parent, info_name=name, max_content_width=90, terminal_width=90)
    text = f"## {context.command_path}\n\n```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            child = command.get_command(context, inner)
            if child is not None:
                text += "\n" + command_section(child, context, inner).replace("## ", "### ", 1)
    return text


PAGES = {"kring-toml.md": reference, "errors.md": errors_page, "ports.md": ports_page, "commands.md": commands_page}


def main() -> int:
    stale = []
    for name, page in PAGES.items():
        file = ROOT / "docs" / name
        text = page()
        if "--check" not in sys.argv:
            file.write_text(text, encoding="utf-8")
        elif not file.exists() or file.read_text(encoding="utf-8") != text:
            stale.append(name)
    if stale:
        print(f"not what the code says: {', '.join(stale)}; run make docs")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
