"""The floor: the least that a Python server can do for one row of 30 named numbers and one model.

Granian (RSGI) hands over the body; msgspec decodes 30 named floats without ranges; numpy makes a row of float32; ONNX
Runtime answers with one thread; the answer goes out as bytes. Nothing is checked, routed, recorded or measured. Other
servers are told as multiples of this one, so this file is never edited.

    BENCHMARK_MODEL=model.onnx granian --interface rsgi --loop uvloop --workers 1 floor:app
"""

from __future__ import annotations

import os

import msgspec
import numpy as np
import onnxruntime

FIELDS = [f"x{place:02}" for place in range(30)]
Row = msgspec.defstruct("Row", [(name, float) for name in FIELDS])
HEADERS = [("content-type", "application/json")]


class Answer(msgspec.Struct):
    decision: bool
    probability: float


def one_thread() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return options


session = onnxruntime.InferenceSession(os.environ["BENCHMARK_MODEL"], one_thread(), providers=["CPUExecutionProvider"])
run = session.run
decode = msgspec.json.Decoder(Row).decode
encode = msgspec.json.Encoder().encode
values = msgspec.structs.astuple


async def app(_, protocol):
    row = decode(await protocol())
    (probability,) = run(["probabilities"], {"row": np.array((values(row),), dtype=np.float32)})
    likely = float(probability[0, 1])
    protocol.response_bytes(200, HEADERS, encode(Answer(likely >= 0.5, likely)))
