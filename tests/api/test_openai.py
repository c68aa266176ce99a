"""OpenAI's interface through the official client, and every wrong way to ask it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kring.api.openai_chat import Chat, Message, pieces, shortened, tokens
from kring.stores.reading import read_log
from served import Server

QUESTION = "When does the harbour open before high water?"
ANSWER = "The harbour opens two hours before high water."
CHAT = "/v1/chat/completions"


def user(text: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


@pytest.fixture
def client(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key=server.key, max_retries=0) as made:
        yield made


def log_of(server: Server):
    folder = next(one for one in server.folders if one.name == "handbook")
    return read_log(folder / ".kring" / "log", system="handbook")


def test_models_are_the_systems_that_are_asked_in_words(client: openai.OpenAI):
    assert [model.id for model in client.models.list()] == ["handbook"]
    model = client.models.retrieve("handbook")
    assert (model.id, model.object, model.owned_by) == ("handbook", "model", "Harbour office")


def test_a_chat_is_answered_on_record_with_its_pages(client: openai.OpenAI, server: Server):
    told = client.chat.completions.create(model="handbook", messages=user(QUESTION))
    choice = told.choices[0]
    assert (choice.message.role, choice.message.content, choice.finish_reason) == ("assistant", ANSWER, "stop")
    assert choice.message.annotations[0].url_citation.url == "docs/tides.md"
    assert told.usage.prompt_tokens == tokens(QUESTION) == 9
    assert told.usage.total_tokens == 9 + tokens(ANSWER)
    assert told.kring["decision"] == told.id
    assert told.kring["found"] is True
    record, row = log_of(server).find(told.id)
    assert (record.kind, record.inputs["question"][row], record.outputs["decision"][row]) == (
        "online",
        QUESTION,
        ANSWER,
    )
    assert told.system_fingerprint == record.version
    assert abs(told.created - record.at / 1e6) < 2


def test_only_the_last_question_of_the_user_is_read_and_the_rest_is_named(client: openai.OpenAI):
    messages = [{"role": "system", "content": "Answer in French"}, *user("Do dogs stay for free?")]
    messages += [{"role": "assistant", "content": "Yes."}, *user([{"type": "text", "text": QUESTION}])]
    told = client.chat.completions.create(model="handbook", messages=messages, temperature=0.3, user="u")
    assert told.choices[0].message.content == ANSWER
    assert told.kring["ignored"] == ["temperature", "user", "messages: assistant", "messages: system"]


def test_no_answer_is_said_and_cites_nothing(client: openai.OpenAI):
    told = client.chat.completions.create(model="handbook", messages=user("Which wine goes with zander?"))
    assert told.kring["found"] is False
    assert told.choices[0].message.annotations == []
    assert told.choices[0].message.content == "no answer found"


def test_a_stream_is_the_same_answer_opened_and_closed_on_record(client: openai.OpenAI, server: Server):
    stream = client.chat.completions.create(
        model="handbook", messages=user(QUESTION), stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1
    assert "".join(one.delta.content or "" for chunk in chunks for one in chunk.choices) == ANSWER
    assert [chunk.usage is None for chunk in chunks] == [True] * (len(chunks) - 1) + [False]
    assert (chunks[-1].choices, chunks[-1].usage.completion_tokens) == ([], tokens(ANSWER))
    assert chunks[-2].choices[0].finish_reason == "stop"
    record, _ = log_of(server).find(chunks[0].id)
    assert record.kind == "streamed"
    closed, row = log_of(server).closed(chunks[0].id)
    assert (closed.how[row], closed.delivered[row], closed.outputs["text"][row]) == ("stop", len(ANSWER), ANSWER)


def test_without_usage_no_chunk_speaks_of_it(server: Server):
    body = {"model": "handbook", "messages": user(QUESTION), "stream": True}
    told = server.ask("POST", CHAT, body)
    assert told.media == "text/event-stream"
    events = told.body.decode().split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    assert all("usage" not in json.loads(event[6:]) for event in events[:-2])


def test_the_asynchronous_client_streams_too(server: Server):
    async def said() -> str:
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key=server.key) as client:
            stream = await client.chat.completions.create(model="handbook", messages=user(QUESTION), stream=True)
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    assert asyncio.run(said()) == ANSWER


@pytest.mark.parametrize(
    ("more", "content", "reason"),
    [
        ({"max_tokens": 4}, "The harbour opens two", "length"),
        ({"max_completion_tokens": 1000}, ANSWER, "stop"),
        ({"stop": " two"}, "The harbour opens", "stop"),
        ({"stop": ["nothing", "opens"]}, "The harbour ", "stop"),
    ],
)
def test_what_shortens_an_answer_is_honoured(client: openai.OpenAI, more: dict[str, Any], content: str, reason: str):
    told = client.chat.completions.create(model="handbook", messages=user(QUESTION), **more)
    assert (told.choices[0].message.content, told.choices[0].finish_reason) == (content, reason)
    assert told.usage.completion_tokens == tokens(content)


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"n": 2}, "n"),
        ({"n": 0}, "n"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"logprobs": True}, "logprobs"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"function_call": {"name": "f"}}, "function_call"),
        ({"modalities": ["audio"]}, "modalities"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages"),
        ({"messages": [{"role": "king", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"content": "x"}]}, "messages[0]"),
        ({"messages": "hello"}, "messages"),
        ({"messages": user([{"type": "image_url", "image_url": {"url": "http://x"}}])}, "messages[0].content[0]"),
        ({"messages": user([{"type": "text", "text": 5}])}, "messages[0].content[0]"),
        ({"messages": user(7)}, "messages[0].content"),
        ({"messages": user([7])}, "messages[0].content[0]"),
        ({"model": 5}, "model"),
        ({"model": ""}, "model"),
        ({"model": "loans"}, "model"),
        ({"stream": "yes"}, "stream"),
        ({"stop": 5}, "stop"),
    ],
)
def test_what_can_not_be_honoured_is_refused_with_its_param(server: Server, more: dict[str, Any], param: str):
    told = server.ask("POST", CHAT, {"model": "handbook", "messages": user(QUESTION)} | more)
    error = told.json["error"]
    assert (told.status, error["type"], error["param"]) == (400, "invalid_request_error", param), error
    assert set(error) == {"message", "type", "param", "code"}
    assert len(error["message"]) > 20


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"5", b'"x"', b"[" * 100_000, b"\xff\xfe", b'{"model": "handbook"}', b"{}"]
)
def test_what_is_no_request_is_refused_in_the_form_of_the_protocol(server: Server, body: bytes):
    for path in (CHAT, "/v1/embeddings"):
        told = server.ask("POST", path, body)
        assert (told.status, told.json["error"]["type"]) == (400, "invalid_request_error")


def test_a_question_outside_the_contract_is_flagged_not_lost(client: openai.OpenAI):
    told = client.chat.completions.create(model="handbook", messages=user("Do dogs \x00 stay for free?" + " !" * 50))
    assert told.choices[0].message.content


def test_errors_are_those_that_the_client_knows(server: Server, client: openai.OpenAI):
    with pytest.raises(openai.NotFoundError) as missing:
        client.chat.completions.create(model="nobody", messages=user("x"))
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nobody")
    with pytest.raises(openai.BadRequestError, match="embedding") as none:
        client.embeddings.create(model="handbook", input="x")
    assert (none.value.code, none.value.param) == ("unsupported", "model")
    with (
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="sk-wrong", max_retries=0) as stranger,
        pytest.raises(openai.AuthenticationError) as unknown,
    ):
        stranger.models.list()
    assert unknown.value.code == "invalid_api_key"
    wrong = server.ask("POST", CHAT, b"<x/>", headers={"content-type": "text/xml"})
    assert (wrong.status, wrong.json["error"]["type"]) == (415, "invalid_request_error")


def test_two_names_for_the_system_are_refused(server: Server):
    body = {"model": "handbook", "messages": user(QUESTION)}
    told = server.ask("POST", CHAT, body, headers={"x-kring-system": "loans"})
    assert (told.status, told.json["error"]["param"]) == (400, "model")
    assert server.ask("POST", f"/systems/handbook{CHAT}", body).status == 200


@given(st.text())
def test_pieces_are_the_text_and_tokens_are_counted_once(text: str):
    assert "".join(pieces(text)) == text
    assert sum(map(tokens, pieces(text))) == tokens(text)


@given(st.text(), st.integers(1, 50), st.text(min_size=1, max_size=3))
def test_a_shortened_answer_is_its_beginning(text: str, most: int, stop: str):
    chat = Chat(model="m", messages=[Message("user", "x")], max_tokens=most, stop=stop)
    told, ends = shortened(text, chat)
    assert text.startswith(told)
    assert stop not in told
    assert tokens(told) <= most
    assert ends in ("stop", "length")
