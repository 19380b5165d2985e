"""A store that only Feast's public call knows: the app answers the same, and its metrics survive what importing Feast does."""

from pathlib import Path

import yaml

from serving.features.feast_reader import FeastReader
from serving.features.online_store import open_reader
from tests.serving import build
from tests.serving.servers import Server, serve


def test_through_feasts_public_call_the_app_answers_the_same(project: Path, server: Server):
    path = project / "feature_repo" / "feature_store.yaml"
    content = yaml.safe_load(path.read_text())
    content["online_store"]["vector_enabled"] = False  # an option that the short way does not know
    path.write_text(yaml.safe_dump(content))
    assert isinstance(open_reader(str(path)), FeastReader)
    customers = ["c-0007", build.UNSEEN, build.EMPTY, build.STALE, "ärger / 日本", "nobody"]
    with serve(project) as slow:
        for customer in customers:
            ours, theirs = slow.predict(customer), server.predict(customer)
            assert ours.status == theirs.status
            for name in ("churn_probability", "features_as_of", "stale"):
                assert ours.json.get(name) == theirs.json.get(name), (customer, name)
        rows = slow.post("/predict/batch", {"customer_ids": customers}).json["rows"]
        assert [row.get("prediction", {}).get("customer_id") for row in rows] == [*customers[:-1], None]
        text = slow.get("/metrics").text
        assert 'churn_requests_total{route="/predict",status="200"} 5.0' in text
        assert 'churn_model_version{version="1"} 1.0' in text
        assert slow.health()["status"] == "ready"
