# The MLflow server.
ARG PYTHON_IMAGE
FROM ${PYTHON_IMAGE} AS build
WORKDIR /build
COPY docker/install.sh requirements-dev.txt requirements-tracking.txt ./
# Compiled, as a read-only container cannot keep bytecode; some packages ship templates that are no valid Python.
RUN sh install.sh requirements-tracking.txt && { /opt/venv/bin/python -m compileall -q -j 0 /opt/venv > /dev/null || true; }

FROM ${PYTHON_IMAGE}
RUN useradd --uid 10001 --no-create-home --home-dir /tmp churn
COPY --from=build /opt/venv /opt/venv
WORKDIR /tmp
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 HOME=/tmp
USER 10001
EXPOSE 5000
CMD ["mlflow", "server", "--host", "0.0.0.0", "--port", "5000", "--workers", "2"]
