"""The way that tutorials show: FastAPI, Feast's public call, MLflow's pyfunc on a DataFrame. No log, no checks."""

import json
import os
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from fastapi import FastAPI, HTTPException
from feast import FeatureStore
from pydantic import BaseModel

feast_file = Path(os.environ["FEAST_FILE"])
store = FeatureStore(repo_path=str(feast_file.parent), fs_yaml_file=feast_file)
service = store.get_feature_service("churn_v1")
model: Any = mlflow.pyfunc.load_model(os.environ["MODEL_URI"])
spec = json.loads(Path(os.environ["SPEC_FILE"]).read_text())
categories = {f["name"]: {value: code for code, value in enumerate(f["values"] or ())} for f in spec["features"]}
app = FastAPI()


class Question(BaseModel):
    """A customer."""

    customer_id: str


class Answer(BaseModel):
    """The score."""

    customer_id: str
    churn_probability: float


@app.get("/health/ready")
def ready() -> str:
    """Started means ready."""
    return "ready"


@app.post("/predict")
def predict(question: Question) -> Answer:
    """Read, encode, score."""
    found = store.get_online_features(features=service, entity_rows=[{"customer_id": question.customer_id}]).to_dict()
    if all(found[name][0] is None for name in categories):
        raise HTTPException(404)
    row = pd.DataFrame({name: [codes.get(found[name][0], found[name][0])] for name, codes in categories.items()}, dtype="float32")
    return Answer(customer_id=question.customer_id, churn_probability=float(model.predict(row)[0]))
