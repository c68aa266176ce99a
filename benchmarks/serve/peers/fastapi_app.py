"""FastAPI as its documentation shows it: a typed body, and a plain function for work that blocks.

`/predict_async` does the same in a coroutine: cheaper, and nobody else is answered meanwhile.
"""

import joblib
from fastapi import FastAPI
from model import FIELDS
from pydantic import create_model

Row = create_model("Row", **{name: (float, ...) for name in FIELDS})
fitted = joblib.load("model.joblib")
app = FastAPI()


@app.post("/predict")
def predict(row: Row) -> dict[str, float]:
    return answered(row)


@app.post("/predict_async")
async def predict_async(row: Row) -> dict[str, float]:
    return answered(row)


def answered(row) -> dict[str, float]:
    values = row.model_dump()
    return {"probability": float(fitted.predict_proba([[values[name] for name in FIELDS]])[0, 1])}
