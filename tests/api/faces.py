"""The protocols that read a body: where each is asked, a request in order, and how it says what is wrong.

A protocol is one row. `wrong` holds bodies of its own making, each with a word that its answer must hold.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from served import Reply

LOAN: Final[dict[str, Any]] = {"email": "ada@example.org", "region": "north", "amount": 120.0, "income": 61.5}


@dataclass(frozen=True)
class Face:
    """`path` may hold `{model}` and `{version}`; a protocol without the one has no unknown model, or version.
    `amount` is the good request with another amount, `rows` the good request with so many rows."""

    path: str
    good: Any
    said: Callable[[Reply], str]
    amount: Callable[[Any], Any]
    rows: Callable[[int], Any]
    wrong: dict[str, tuple[Any, str]]
    refused: int = 422

    def at(self, model: str = "loans") -> str:
        return self.path.format(model=model)


def tensors(row: dict[str, Any], rows: int = 1) -> dict[str, Any]:
    return {
        "inputs": [
            {
                "name": name,
                "shape": [rows],
                "datatype": "BYTES" if isinstance(one, str) else "FP64",
                "data": [one] * rows,
            }
            for name, one in row.items()
        ]
    }


def with_tensor(**changes: Any) -> dict[str, Any]:
    """A request whose third tensor, `amount`, is another one."""
    body = copy.deepcopy(tensors(LOAN))
    body["inputs"][2] |= changes
    return {**body, "inputs": [{k: v for k, v in one.items() if v is not ...} for one in body["inputs"]]}


def table(**changes: Any) -> dict[str, Any]:
    return {"dataframe_split": {"columns": list(LOAN), "data": [list(LOAN.values())]} | changes}


def row(**changes: Any) -> dict[str, Any]:
    return {**LOAN, **changes}


ROWS_OF_OTHERS: Final[list[tuple[str, Any, str]]] = [
    ("a row that is a number", [5], "4 values"),
    ("a row too short", [[1, 2]], "4 values"),
    ("a row too long", [[1, 2, 3, 4, 5]], "4 values"),
    ("rows of two kinds", [LOAN, [1, 2, 3, 4]], "mixed"),
    ("an unknown field", [row(amuont=3)], "did you mean 'amount'"),
]
INSTANCES: Final = {name: ({"instances": rows}, word) for name, rows, word in ROWS_OF_OTHERS}

FACES: Final[dict[str, Face]] = {
    "open inference": Face(
        path="/v2/models/{model}/infer",
        good=tensors(LOAN),
        said=lambda reply: reply.json["error"],
        amount=lambda value: with_tensor(data=[value]),
        rows=lambda n: tensors(LOAN, n),
        wrong={
            "no inputs": ({}, "inputs"),
            "empty inputs": ({"inputs": []}, "no rows"),
            "inputs that are no list": ({"inputs": {}}, "Expected `array`"),
            "a tensor without a name": (with_tensor(name=...), "name"),
            "a tensor without data": (with_tensor(data=...), "a list of elements"),
            "a shape of texts": (with_tensor(shape=["1"]), "shape"),
            "no shape": (with_tensor(shape=[]), "sizes of at least 1"),
            "no rows in a shape": (with_tensor(shape=[0], data=[]), "sizes of at least 1"),
            "a negative shape": (with_tensor(shape=[-1]), "sizes of at least 1"),
            "a shape that does not fit": (with_tensor(shape=[3]), "3 for shape [3]"),
            "a shape beyond all memory": (with_tensor(shape=[1 << 62, 1 << 62]), "does not fit"),
            "a shape of floats": (with_tensor(shape=[1.5]), "shape"),
            "two columns in one field": (with_tensor(shape=[1, 2], data=[1, 2]), "[n] or [n, 1]"),
            "rugged data": (with_tensor(shape=[2, 1], data=[[1], [1, 2]]), "nested"),
            "an unknown datatype": (with_tensor(datatype="DECIMAL"), "BOOL"),
            "a text among numbers": (with_tensor(data=["much"]), "FP64"),
            "an integer out of range": (with_tensor(datatype="INT8", data=[400]), "INT8"),
            "an object among numbers": (with_tensor(data=[{}]), "FP64"),
            "an unknown field": (with_tensor(name="amuont"), "did you mean 'amount'"),
            "the same field twice": (with_tensor(name="income"), "same name"),
            "columns of two lengths": (with_tensor(shape=[2], data=[1, 2]), "equally long"),
            "an unknown output": ({**tensors(LOAN), "outputs": [{"name": "score"}]}, "decision, probability"),
            "raw data that is not there": (with_tensor(data=..., parameters={"binary_data_size": 8}), "raw data"),
            "a negative size": (with_tensor(data=..., parameters={"binary_data_size": -8}), "raw data"),
            "another content type": (with_tensor(parameters={"content_type": "base64"}), "pd, np, str"),
            "an id that is no text": ({**tensors(LOAN), "id": 5}, "id"),
        },
    ),
    "mlflow": Face(
        path="/systems/{model}/invocations",
        good=table(),
        said=lambda reply: reply.json["message"],
        amount=lambda value: {"dataframe_records": [row(amount=value)]},
        rows=lambda n: {"dataframe_records": [LOAN] * n},
        wrong={
            **INSTANCES,
            "no form": ({}, "dataframe_split or dataframe_records"),
            "two forms": ({**table(), "instances": [LOAN]}, "dataframe_split and instances"),
            "a form that there is not": ({"dataframe": []}, "dataframe"),
            "columns twice": (table(columns=["amount"] * 4), "each name once"),
            "columns that are no names": (table(columns=[1, 2, 3, 4]), "each name once"),
            "a row too short in a table": (table(data=[[1]]), "4 values"),
            "a table without data": ({"dataframe_split": {"columns": []}}, "data"),
            "a record that is no object": ({"dataframe_records": [5]}, "object"),
            "no records": ({"dataframe_records": []}, "no rows"),
            "columns of two lengths": ({"inputs": {"amount": [1], "income": [1, 2]}}, "equally long"),
            "columns and values": ({"inputs": {"amount": [1], "income": 2}}, "lists of one value"),
            "inputs that are nothing": ({"inputs": None}, "4 values"),
            "params that are no object": ({**table(), "params": 5}, "params"),
        },
    ),
    "tensorflow": Face(
        path="/v1/models/{model}:predict",
        good={"instances": [LOAN]},
        said=lambda reply: reply.json["error"],
        amount=lambda value: {"instances": [row(amount=value)]},
        rows=lambda n: {"instances": [LOAN] * n},
        wrong={
            **INSTANCES,
            "neither rows nor columns": ({}, "neither instances nor inputs"),
            "rows and columns": ({"instances": [LOAN], "inputs": LOAN}, "both instances and inputs"),
            "no rows": ({"instances": []}, "no rows"),
            "instances that are no list": ({"instances": LOAN}, "Expected `array`"),
            "an unknown signature": ({"instances": [LOAN], "signature_name": "other"}, "serving_default"),
            "base64 that is none": ({"instances": [row(region={"b64": "?"})]}, "base64"),
            "columns of two lengths": ({"inputs": {"amount": [1], "income": [1, 2]}}, "equally long"),
        },
    ),
    "tensorflow classify": Face(
        path="/v1/models/{model}:classify",
        good={"examples": [LOAN]},
        said=lambda reply: reply.json["error"],
        amount=lambda value: {"examples": [row(amount=value)]},
        rows=lambda n: {"examples": [LOAN] * n},
        wrong={
            "no examples": ({}, "examples"),
            "empty examples": ({"examples": []}, "no rows"),
            "an example that is a list": ({"examples": [[1]]}, "object"),
            "an unknown feature": ({"examples": [row(amuont=1)]}, "did you mean 'amount'"),
            "a context that is no object": ({"examples": [LOAN], "context": []}, "context"),
        },
    ),
    "vertex": Face(
        path="/systems/{model}/vertex/predict",
        good={"instances": [LOAN]},
        said=lambda reply: reply.json["error"]["message"],
        amount=lambda value: {"instances": [row(amount=value)]},
        rows=lambda n: {"instances": [LOAN] * n},
        wrong={
            **INSTANCES,
            "no instances": ({}, "instances"),
            "no rows": ({"instances": []}, "no rows"),
            "parameters that are no object": ({"instances": [LOAN], "parameters": 5}, "parameters"),
            "a system that is no name": ({"instances": [LOAN], "parameters": {"system": 5}}, "a text"),
        },
    ),
    "native": Face(
        path="/systems/{model}/api/decisions",
        good={"inputs": LOAN},
        said=lambda reply: " ".join(f"{name}: {text}" for name, text in reply.json["error"].items()),
        amount=lambda value: {"inputs": row(amount=value)},
        rows=lambda n: {"inputs": [LOAN] * n},
        wrong={
            "no inputs": ({}, "inputs"),
            "another key": ({"inputs": LOAN, "input": LOAN}, "inputs"),
            "no rows": ({"inputs": []}, "no rows"),
            "a row that is a number": ({"inputs": 5}, "no rows"),
            "an unknown field": ({"inputs": row(amuont=3)}, "did you mean 'amount'"),
        },
    ),
}
