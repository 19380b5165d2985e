# The API: what serving imports and nothing else.
ARG PYTHON_IMAGE
FROM ${PYTHON_IMAGE} AS build
ARG API_REQUIREMENTS=requirements-serving.txt
WORKDIR /build
COPY docker/install.sh requirements-dev.txt ${API_REQUIREMENTS} ./
RUN sh install.sh ${API_REQUIREMENTS} && rm -f /opt/venv/lib/python3*/site-packages/pyarrow/*flight*

FROM ${PYTHON_IMAGE}
RUN useradd --uid 10001 --no-create-home --home-dir /tmp churn
COPY --from=build /opt/venv /opt/venv
WORKDIR /app
COPY conf/ conf/
COPY feature_repo/ feature_repo/
COPY src/churn/ src/churn/
COPY serving/ serving/
# The volume takes its owner from here: verified champions, the one thing that the API writes to a disk.
RUN rm -rf src/churn/pipelines && install -d -o churn -g churn data/serving
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/app/src PYTHONUNBUFFERED=1 HOME=/tmp
# A read-only container cannot keep bytecode, and every start would compile anew: what serving imports is compiled here.
RUN python -c "import duckdb, mlflow, psycopg, serving.factory, serving.features.redis_reader, serving.champion.fetch_champion, uvicorn.protocols.http.httptools_impl, uvloop; \
from mlflow import artifacts, tracking; from mlflow.store.artifact import mlflow_artifacts_repo; from sqlalchemy.dialects.postgresql import psycopg"
USER 10001
EXPOSE 8000
CMD ["uvicorn", "serving.app:app", "--host", "0.0.0.0", "--port", "8000", "--no-access-log"]
