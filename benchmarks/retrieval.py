"""What the index finds and costs: the 300 test questions of SciFact on its 5,183 documents.

    python benchmarks/retrieval.py            five rounds
    python benchmarks/retrieval.py --rounds 1

Prints rows for the table of results: nDCG@10 on test questions as a ratio to the 0.665 that BEIR gives for BM25, and
the CPU time of one question as a share of the 10 ms allowed. How passages are ranked was chosen on the training
questions alone; see docs/choices/ranking.md. Prints nothing where `../shared/data/rag_scifact` is missing.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import json
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kring.indexes.sqlite import SqliteIndex, build_index, open_index
from kring.metrics.retrieval import judged, ndcg
from kring.record.passage import Passage, Ranking

DATA = Path(__file__).parents[1].parent / "shared" / "data" / "rag_scifact"
PUBLISHED, ALLOWED_MS, DEPTH = 0.665, 10.0, 10


def lines(name: str) -> Iterator[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8") as file:
        yield from map(json.loads, file)


def questions(part: str) -> dict[str, tuple[str, list[float]]]:
    """The text of each question of `part`, and the numbers of its relevant documents."""
    texts = {each["_id"]: each["text"] for each in lines("queries.jsonl")}
    wanted: dict[str, list[float]] = {}
    with (DATA / f"qrels_{part}.tsv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            if int(row["score"]) > 0:
                wanted.setdefault(row["query_id"], []).append(float(row["corpus_id"]))
    return {id: (texts[id], numbers) for id, numbers in wanted.items()}


def quality(index: SqliteIndex, part: str) -> float:
    """Mean nDCG@10."""
    asked = list(questions(part).values())
    expected = np.full((len(asked), max(len(numbers) for _, numbers in asked)), np.nan)
    cited = np.full((len(asked), DEPTH, 2), np.nan)
    for row, (text, numbers) in enumerate(asked):
        expected[row, : len(numbers)] = numbers
        found = [float(each.passage.id) for each in index.search(text)]
        cited[row, : len(found)] = np.array(found)[:, None]
    rows = judged(expected, cited, support=np.ones(len(asked)), threshold=0.5)
    return float(ndcg(rows, depth=DEPTH).mean())


def milliseconds(index: SqliteIndex) -> float:
    """CPU time of one question, the mean over all test questions."""
    asked = [text for text, _ in questions("test").values()]
    began = time.process_time()
    for text in asked:
        index.search(text)
    return (time.process_time() - began) * 1000 / len(asked)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    if not DATA.is_dir():
        return
    passages = [Passage(id=each["_id"], title=each["title"], text=each["text"]) for each in lines("corpus.jsonl")]
    began = time.process_time()
    data = build_index(passages, documents={}, ranking=Ranking())
    built = time.process_time() - began
    index = open_index(data)
    each = statistics.median(milliseconds(index) for _ in range(rounds))
    test, train = quality(index, "test"), quality(index, "train")
    name, today = f"`python benchmarks/retrieval.py --rounds {rounds}`", datetime.date.today()
    print(
        f"| {name}, nDCG@10 | {today} | {test / PUBLISHED:.2f}x BM25 as published | {test:.4f}; {train:.4f} on train |"
    )
    beside = f"{each:.2f} CPU ms; built in {built:.1f} CPU s, {len(data) / 1e6:.1f} MB"
    print(f"| {name}, a question | {today} | {each / ALLOWED_MS:.2f}x the 10 ms allowed | {beside} |")


if __name__ == "__main__":
    main()
