"""`kring serve`: answer requests of programs, in the protocols they speak."""

from __future__ import annotations

import os
from pathlib import Path

import click

from kring.cli.output import Output, answers
from kring.flow.keys import NewKey
from kring.flow.project import open_project
from kring.flow.serving.starting import only_server, prepare, run
from kring.record.serving import Plan


@click.command(short_help="Answer requests of programs, in the protocols they speak.")
@click.argument("folders", metavar="[DIR]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    default=8000,
    show_default=True,
    envvar="AIP_HTTP_PORT",
    type=click.IntRange(1, 65535),
    help="The port of everything; where Vertex AI sets AIP_HTTP_PORT, that one.",
)
@click.option("--grpc-port", default=0, type=click.IntRange(0, 65535), help="A second port, for gRPC; none when 0.")
@click.option("--workers", default=0, type=click.IntRange(0, 256), help="Data workers; one for each core when 0.")
@click.option("--tls-cert", default="", metavar="FILE", help="A certificate (PEM), for https.")
@click.option("--tls-key", default="", metavar="FILE", help="The certificate's key (PEM).")
@click.option("--behind-proxy", is_flag=True, help="A proxy in front sees to TLS; believe what it says of the caller.")
@click.option("--name", "names", multiple=True, metavar="HOST", help="Another name of this server (repeat it).")
@click.option("--origin", "origins", multiple=True, metavar="URL", help="A page elsewhere that may ask (repeat it).")
@click.option(
    "--gather",
    default=3.0,
    show_default=True,
    metavar="MS",
    type=click.FloatRange(0, 100),
    help="Milliseconds that a request may wait for others, where others come together with it.",
)
@click.option("--provider", default="auto", metavar="NAME", help="What computes models: auto measures; cpu, cuda, …")
@click.option("--otel", default="", metavar="URL", help="An OpenTelemetry collector (OTLP over HTTP) to tell spans.")
@answers
def command(
    output: Output,
    folders: tuple[Path, ...],
    *,
    host: str,
    port: int,
    grpc_port: int,
    workers: int,
    tls_cert: str,
    tls_key: str,
    behind_proxy: bool,
    names: tuple[str, ...],
    origins: tuple[str, ...],
    gather: float,
    provider: str,
    otel: str,
) -> None:
    """Serve the live versions of the systems in the folders DIR (the current one without any) on one port, until
    Ctrl-C or SIGTERM. Every answer is durable before it is given. At the first start on this machine alone, a key is
    made and shown once."""
    projects = [open_project(folder, say=output.progress) for folder in folders or (Path(),)]
    plan = Plan(
        state="",
        folders=(),
        host=host,
        port=port,
        grpc_port=grpc_port,
        workers=workers or cores(),
        certificate=tls_cert,
        certificate_key=tls_key,
        behind_proxy=behind_proxy,
        hosts=names,
        origins=origins,
        gather_s=gather / 1000,
        otel=otel,
        provider=provider,
    )
    with only_server(projects, say=output.progress):
        started = prepare(projects, plan, say=output.progress)
        scheme = "https" if tls_cert else "http"
        for project in projects:
            output.progress(f"{project.system.name} on {scheme}://{host}:{port}/")
        if grpc_port:
            output.progress(f"gRPC on {host}:{grpc_port}")
        if started.key is not None:
            show_key(output, started.key)
        else:
            named = " ".join(str(folder) for folder in folders)
            output.progress(f"who asks shows a key: kring key create --role caller --name NAME {named}".rstrip())
        output.result({"address": f"{scheme}://{host}:{port}", "ended": True}, code=run(started, say=output.progress))


def show_key(output: Output, made: NewKey) -> None:
    """The development key, once."""
    output.say("this machine's first key, shown once; it may do everything, and only from this machine:", style="bold")
    output.raw(f"{made.secret}\n".encode())
    if output.json:
        output.progress(made.secret)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
