"""A tiny system that answers from documents: a harbour's handbook, and questions put to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

PAGES: Final = {
    "tides.md": "# Tides\n\nThe harbour opens two hours before high water.\n\n## Locks\n\nThe lock closes at dusk.\n",
    "fees.md": "# Fees\n\nA berth costs twelve euros a night.\n\n## Dogs\n\nDogs stay for free on every pontoon.\n",
    "winter.md": "# Winter\n\nFrom November on no berth is let.\n\n## Ice\n\nSkippers break the ice themselves.\n",
}
ASKED: Final = (
    ("When does the harbour open before high water", "docs/tides.md"),
    ("When does the lock close", "docs/tides.md#locks"),
    ("What costs a berth a night", "docs/fees.md"),
    ("Do dogs stay for free", "docs/fees.md#dogs"),
    ("Is a berth let from November on", "docs/winter.md"),
    ("Who breaks the ice", "docs/winter.md#ice"),
    ("Which wine goes with zander", "none"),
)
QUESTIONS: Final = 140

KRING: Final = """\
[system]
name = "handbook"
goal = "Answer skippers from the handbook of the harbour"
task = "answering"
owner = "Harbour office"

[frame]
decision = "show the page, or call the office"
cost = { wrong_answer = 2.0, wrong_refusal = 5.0, currency = "minutes" }

[data]
source = "questions.jsonl"
contract = "contract.odcs.yaml"
target = "citations"
split = { by = "order", test = 0.5 }

[prepare]
question = "question"

[knowledge]
documents = ["docs/*"]

[[candidate]]
name = "by-hand"
baseline = true
builtin = "canned"
params = { file = "answers.toml" }

[[candidate]]
name = "search"
builtin = "retrieval"

[gate]
min_rows = 50
"lift_over_baseline.recall_at_10" = "> 0"
"""

ANSWERS: Final = """\
[[rule]]
when = ["dogs"]
answer = "Dogs stay for free."
citations = ["docs/fees.md#dogs"]
"""

CONTRACT: Final = """\
apiVersion: v3.1.0
kind: DataContract
id: handbook-questions
name: questions put to the handbook
version: 1.0.0
status: active
schema:
  - name: questions
    properties:
      - name: question
        logicalType: string
        required: true
        logicalTypeOptions: {minLength: 3, maxLength: 2000}
      - name: citations
        logicalType: string
        customProperties: [{property: kring.role, value: target}]
"""


def make(folder: Path) -> Path:
    """The system's files in `folder`, and no state."""
    (folder / "docs").mkdir(parents=True, exist_ok=True)
    (folder / "kring.toml").write_text(KRING)
    (folder / "answers.toml").write_text(ANSWERS)
    (folder / "contract.odcs.yaml").write_text(CONTRACT)
    for name, text in PAGES.items():
        (folder / "docs" / name).write_text(text)
    with (folder / "questions.jsonl").open("w") as file:
        for number in range(QUESTIONS):
            question, page = ASKED[number % len(ASKED)]
            file.write(json.dumps({"question": f"{question}, number {number}?", "citations": page}) + "\n")
    return folder
