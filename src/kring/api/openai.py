"""OpenAI's interface for systems that answer questions in words: models, chat completions, and why no embeddings.

The model is the system. The question is the last message of the user; the answer is made of sentences that stand in
the documents, so what sets the style of a generated text changes nothing and is named in `kring.ignored`. The id of a
completion is that of the decision on record.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final, Literal

import msgspec

from kring.api.bodies import json_of, require_media
from kring.api.exchange import Request, Response, Route, Streamed
from kring.api.openai_chat import Chat, chat_of, converted, ignored, pieces, question_of, shortened, tokens
from kring.api.openai_errors import Fault, fault
from kring.contracts.questions import texts_read
from kring.errors import KringError, NotFound, Unsupported, UserError
from kring.metrics.ids import decision_place, decision_raw
from kring.record.answer import Answer
from kring.record.decision import Closed, Value
from kring.serve.line import Line

EVENTS: Final = "text/event-stream"
DONE: Final = b"data: [DONE]\n\n"
_encode: Final = msgspec.json.Encoder().encode


class Model(msgspec.Struct):
    """One system that can be asked in words."""

    id: str
    created: int
    owned_by: str
    object: Literal["model"] = "model"


class Models(msgspec.Struct):
    data: list[Model]
    object: Literal["list"] = "list"


class Usage(msgspec.Struct):
    """Tokens of the question and of the answer; a token is a word, a number, or one other sign."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class UrlCitation(msgspec.Struct):
    start_index: int
    end_index: int
    title: str
    url: str


class Annotation(msgspec.Struct):
    """A passage that was found for the question, as a reference relative to the documents. The answer is made of
    sentences of the first of them."""

    url_citation: UrlCitation
    type: Literal["url_citation"] = "url_citation"


class Said(msgspec.Struct):
    content: str
    annotations: list[Annotation]
    refusal: None = None
    role: Literal["assistant"] = "assistant"


class Choice(msgspec.Struct):
    message: Said
    finish_reason: str
    index: int = 0
    logprobs: None = None


class Record(msgspec.Struct):
    """What only Kring tells: who answered, how well the documents support it, and what of the request was not read."""

    decision: str
    version: str
    arm: str
    answered_by: str
    found: bool
    support: float
    citations: list[str]
    ignored: list[str]
    fallback: str = ""
    guards: list[str] = []


class Completion(msgspec.Struct):
    id: str
    created: int
    model: str
    choices: list[Choice]
    usage: Usage
    system_fingerprint: str
    kring: Record
    object: Literal["chat.completion"] = "chat.completion"


class Embedded(msgspec.Struct):
    """A request for embeddings."""

    model: str
    input: Any


class Telling(msgspec.Struct, frozen=True):
    """One answer on its way to one caller: the text as far as it is told, and why it ends there."""

    answer: Answer
    model: str
    text: str
    ends: str
    usage: Usage
    record: Record

    @property
    def created(self) -> int:
        return decision_place(decision_raw(self.answer.id)).at_ms // 1000

    @property
    def annotations(self) -> list[Annotation]:
        cited = self.record.citations if self.record.found else []
        return [Annotation(UrlCitation(0, len(self.text), url, url)) for url in cited]


async def models(request: Request) -> Response:
    """The systems that can be asked here."""
    return Response(200, _encode(Models([model_of(line) for line in request.lines.all() if is_asked_in_words(line)])))


async def retrieve(request: Request) -> Response:
    """One of them; `NotFound` for systems that are not there, not the caller's to see, or not asked in words."""
    name = request.params["model"]
    found = next((line for line in request.lines.all() if line.name == name and is_asked_in_words(line)), None)
    if found is None:
        raise NotFound(
            f"the model {name[:80]!r} does not exist, or this key may not see it",
            next="GET /v1/models names those that there are",
            key="model",
        )
    return Response(200, _encode(model_of(found)))


async def complete(request: Request) -> Response | Streamed:
    """An answer to the last question of a chat, whole or in parts. It is durable before its first byte."""
    require_media(request.headers)
    raw = json_of(request.body)
    chat = chat_of(raw)
    line = line_of(request, chat.model)
    question = question_of(chat.messages)
    rows = line.reader.read([{question_field(line): question}])
    answer = (await line.ask(rows, kind="streamed" if chat.stream else "online", key=request.key(line)))[0]
    telling = telling_of(answer, chat, question=question, unread=ignored(raw, chat))
    if not chat.stream:
        return Response(200, _encode(completion(telling)))
    wants_usage = bool(chat.stream_options and chat.stream_options.include_usage)
    return Streamed(200, stream(line, telling, with_usage=wants_usage), EVENTS, (("cache-control", "no-cache"),))


async def embed(request: Request) -> Response:
    """No system holds an embedding model, and numbers that are none would be worse than an answer that says so."""
    require_media(request.headers)
    asked = converted(json_of(request.body), Embedded)
    line = line_of(request, asked.model)
    raise Unsupported(
        f"{line.name} gives no embeddings",
        got="documents that are searched by their words",
        allowed="a system whose version holds an embedding model",
        next="ask /v1/chat/completions, or embed with a model of your own",
        key="model",
    )


def line_of(request: Request, model: str) -> Line:
    """The line of the system that `model` names; a header or prefix that names another one is refused."""
    if request.system and model != request.system:
        raise UserError(
            "the request names two systems",
            got=f"{model[:80]!r} in the body, {request.system[:80]!r} in its header or path",
            next="name one",
            key="model",
        )
    if not model:
        raise UserError("no model is named", allowed="the name of a system", next="see GET /v1/models", key="model")
    return request.line(model)


def is_asked_in_words(line: Line) -> bool:
    """Whether the system answers questions out of documents."""
    return line.served.system.knowledge is not None and len(_texts(line)) == 1


def question_field(line: Line) -> str:
    """The field that holds the question; `Unsupported` for a system that is asked otherwise."""
    if is_asked_in_words(line):
        return _texts(line)[0]
    raise Unsupported(
        f"{line.name} does not answer questions in words",
        got=f"a system that decides on {len(line.reader.names)} fields",
        allowed="a system that answers from documents; GET /v1/models names them",
        next="send its fields to POST /api/decisions",
        key="model",
    )


def model_of(line: Line) -> Model:
    return Model(line.name, line.served.pointer.at // 1_000_000, line.served.system.owner)


def telling_of(answer: Answer, chat: Chat, *, question: str, unread: list[str]) -> Telling:
    """What is told of one answer."""
    whole = str(answer.decision)
    text, ends = shortened(whole, chat)
    asked, said = tokens(question), tokens(text)
    cited = str(answer.outputs.get("citations") or "").split()
    record = Record(
        decision=answer.id,
        version=answer.version,
        arm=answer.arm,
        answered_by=answer.answered_by,
        found=bool(whole) and answer.outputs.get("answer") == answer.decision,
        support=_number(answer.outputs.get("support")),
        citations=cited,
        ignored=unread,
        fallback=answer.fallback,
        guards=list(answer.guards),
    )
    return Telling(answer, chat.model, text, ends, Usage(asked, said, asked + said), record)


def completion(telling: Telling) -> Completion:
    return Completion(
        id=telling.answer.id,
        created=telling.created,
        model=telling.model,
        choices=[Choice(Said(telling.text, telling.annotations), telling.ends)],
        usage=telling.usage,
        system_fingerprint=telling.answer.version,
        kring=telling.record,
    )


async def stream(line: Line, telling: Telling, *, with_usage: bool) -> AsyncIterator[bytes]:
    """The answer in events. That it was told to its end is durable before the last of them; without that record the
    decision counts as cut."""
    yield event(telling, {"role": "assistant", "content": ""}, with_usage=with_usage)
    for piece in pieces(telling.text):
        yield event(telling, {"content": piece}, with_usage=with_usage)
    try:
        await line.note(closing(line, telling))
    except KringError as error:
        yield b"data: " + fault(error, 503).body + b"\n\n"
        return
    last = {"annotations": telling.annotations}
    yield event(telling, last, ends=telling.ends, with_usage=with_usage, record=telling.record)
    if with_usage:
        yield _event(_chunk(telling) | {"choices": [], "usage": telling.usage})
    yield DONE


def closing(line: Line, telling: Telling) -> Closed:
    """The record of an answer that was told to its end."""
    outputs: dict[str, list[Value]] = {
        "text": [telling.text],
        "prompt_tokens": [telling.usage.prompt_tokens],
        "completion_tokens": [telling.usage.completion_tokens],
    }
    return Closed(
        system=line.name,
        at=line.now(),
        ids=[decision_raw(telling.answer.id)],
        how=["stop"],
        delivered=[len(telling.text)],
        outputs=outputs,
    )


def event(
    telling: Telling, delta: dict[str, Any], *, ends: str | None = None, with_usage: bool, record: Record | None = None
) -> bytes:
    """One chunk of a streamed answer."""
    chunk = _chunk(telling) | {"choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": ends}]}
    more: dict[str, Any] = {"usage": None} if with_usage else {}
    return _event(chunk | more | ({"kring": record} if record else {}))


def _chunk(telling: Telling) -> dict[str, Any]:
    return {
        "id": telling.answer.id,
        "object": "chat.completion.chunk",
        "created": telling.created,
        "model": telling.model,
        "system_fingerprint": telling.answer.version,
    }


def _event(body: dict[str, Any]) -> bytes:
    return b"data: " + _encode(body) + b"\n\n"


def _number(value: Value) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _texts(line: Line) -> tuple[str, ...]:
    types = {field.name: field.type for field in line.reader.fields}
    return texts_read(line.served.system.prepare, types=types)


ROUTES: Final = (
    Route(
        method="GET",
        path="/v1/models",
        handler=models,
        action="observe",
        fault=fault,
        summary="The systems that can be asked in words, as OpenAI lists models",
        gives=Models,
    ),
    Route(
        method="POST",
        path="/v1/chat/completions",
        handler=complete,
        action="decide",
        fault=fault,
        summary="Answer the last question of a chat, as OpenAI does; streamed with stream = true",
        takes=Chat,
        gives=Completion,
    ),
    Route(
        method="POST",
        path="/v1/embeddings",
        handler=embed,
        action="decide",
        fault=fault,
        summary="Why no system gives embeddings yet, in OpenAI's form of an error",
        takes=Embedded,
        gives=Fault,
    ),
)
