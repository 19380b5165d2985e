"""What Feast knows of the customers, read from their declaration in conf/base/parameters/customers.yml.

`feast apply`, `feast feature-views list` and the other commands work in this folder; `kedro run --pipelines feature_store`
registers the same objects.
"""

from pathlib import Path

from churn.config import dataset_path, load
from churn.io.features.feature_store import define

_config = load(Path(__file__).parent)
_definitions = define(_config.declaration.features, dataset_path(_config, "customer_features"))

customer = _definitions.entity
customer_features_table = _definitions.source
customer_features = _definitions.view
churn_v1 = _definitions.service
