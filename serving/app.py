"""`uvicorn serving.app:app`: the API of the environment that KEDRO_ENV names, in the project of the working directory."""

from churn import config
from serving.factory import create_app

app = create_app(config.load())
