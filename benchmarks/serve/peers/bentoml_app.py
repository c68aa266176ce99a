"""BentoML as its documentation shows it: one service, one worker."""

import os

import bentoml
import joblib


@bentoml.service(workers=1)
class Regression:
    def __init__(self) -> None:
        self.fitted = joblib.load(os.environ["BENCHMARK_MODEL"])

    @bentoml.api
    def predict(self, rows: list[list[float]]) -> dict[str, float]:
        return {"probability": float(self.fitted.predict_proba(rows)[0, 1])}
