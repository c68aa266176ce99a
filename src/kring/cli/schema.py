"""`kring schema`: what an editor needs to complete and check `kring.toml` while one types."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from kring.cli.output import Output, answers, encode
from kring.frame.schema import schema
from kring.host.files import LocalFiles


@click.command(short_help="Print the JSON Schema of kring.toml for editors.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write it to this file.")
@answers
def command(output: Output, out: Path | None) -> None:
    """Print the JSON Schema (2020-12) of kring.toml.

    Most editors read it when the first line of kring.toml is: #:schema kring.schema.json
    """
    made = schema()
    text = msgspec.json.format(encode(made), indent=2) + b"\n"
    if out is None:
        output.raw(text)
        output.result(made)
        return
    LocalFiles().write(out, text)
    output.say(f"wrote {out}; put this line at the top of kring.toml: #:schema {out.name}")
    output.result({"file": out})
