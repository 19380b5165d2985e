# The pipelines: `kedro`, `churn`, `dvc`, `feast`, `evidently` in the project's folder.
ARG PYTHON_IMAGE
FROM ${PYTHON_IMAGE} AS build
WORKDIR /build
COPY docker/install.sh requirements-dev.txt requirements.txt ./
# Compiled, as a read-only container cannot keep bytecode; some packages ship templates that are no valid Python.
RUN sh install.sh requirements.txt && { /opt/venv/bin/python -m compileall -q -j 0 /opt/venv > /dev/null || true; }

FROM ${PYTHON_IMAGE}
# The runner's number (docker/runner.Dockerfile): both write to the volume of reports.
RUN useradd --uid 1001 --no-create-home --home-dir /tmp churn
COPY --from=build /opt/venv /opt/venv
WORKDIR /app
COPY pyproject.toml .telemetry ./
COPY conf/ conf/
COPY feature_repo/ feature_repo/
COPY src/ src/
# The command of pyproject.toml, on the code above; and volumes take their owner from here.
RUN printf '#!/opt/venv/bin/python\nfrom churn.cli import main\n\nmain()\n' > /usr/local/bin/churn \
 && chmod 755 /usr/local/bin/churn \
 && install -d -o churn -g churn data data/raw data/reports \
 && install -d -m 1777 .viz
# The commit, for the lineage of what is trained here: the image has no git folder.
ARG GIT_SHA=unknown
ENV CHURN_GIT_SHA=${GIT_SHA} PATH=/opt/venv/bin:$PATH PYTHONPATH=/app/src PYTHONUNBUFFERED=1 HOME=/tmp
ENV MPLCONFIGDIR=/tmp/matplotlib NUMBA_CACHE_DIR=/tmp/numba
USER 1001
CMD ["kedro", "run", "--env", "stack"]
