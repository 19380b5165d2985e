#!/usr/bin/env bash
# stack.sh env | up | down: the full stack of docker-compose.yml. `make stack` and `make stack-down` call it; it runs without .venv.
set -euo pipefail
cd "$(dirname "$0")/.."

need_docker() {
  docker compose version > /dev/null 2>&1 || {
    echo "The stack needs Docker with Compose ('docker compose version' failed). Install Docker Engine 24 or later, then run this again." >&2
    exit 1
  }
}

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

make_env() { # .env from .env.example, each empty secret filled; an .env that is there stays as it is
  [ ! -e .env ] || return 0
  umask 077
  part=$(mktemp .env.XXXXXX)
  while IFS= read -r line; do
    case "$line" in *_PASSWORD= | *_KEY=) line="$line$(random)" ;; esac
    printf '%s\n' "$line"
  done < .env.example > "$part"
  mv "$part" .env
  echo "Wrote .env with new secrets (only you can read it; keep a copy with your backups)."
}

read_env() {
  set -a
  # shellcheck disable=SC1091
  . ./.env
  set +a
}

commit() { # as the pipelines name it: -dirty where files differ from it
  if sha=$(git rev-parse HEAD 2> /dev/null); then
    [ -z "$(git status --porcelain --untracked-files=no)" ] && echo "$sha" || echo "$sha-dirty"
  else
    echo unknown
  fi
}

build() { # the images whose tag is `local`; another was deployed, or comes from a registry, and stays as it is
  services=()
  for pair in "api:$API_IMAGE" "train:$PIPELINE_IMAGE" "mlflow:$MLFLOW_IMAGE"; do
    case "$pair" in
      *:local) services+=("${pair%%:*}") ;;
      *) echo "${pair%%:*} runs ${pair#*:} (.env): it is not built here." ;;
    esac
  done
  [ "${#services[@]}" -eq 0 ] || docker compose --profile train build "${services[@]}"
}

addresses() {
  cat <<TEXT
The stack is up:
  API         http://127.0.0.1:$API_PORT/docs   (the header X-API-Key: CHURN_PREDICT_KEY of .env)
  MLflow      http://127.0.0.1:$MLFLOW_PORT
  MinIO       http://127.0.0.1:$MINIO_CONSOLE_PORT   (MINIO_ROOT_USER, MINIO_ROOT_PASSWORD of .env)
  PostgreSQL  127.0.0.1:$POSTGRES_PORT, Redis 127.0.0.1:$REDIS_PORT, S3 http://127.0.0.1:$MINIO_PORT
Next: train a model in it
  docker compose run --rm train kedro run --env stack --pipelines sample_data    (or your own table: docs/containers.md)
  docker compose run --rm train
TEXT
}

case "${1:-}" in
  env) make_env ;;
  up)
    need_docker
    make_env
    read_env
    GIT_SHA=$(commit)
    export GIT_SHA
    build
    docker compose up --detach --wait --wait-timeout 600 || {
      echo "A service did not become healthy: 'docker compose ps --all' and 'docker compose logs SERVICE' tell which and why." >&2
      exit 1
    }
    addresses
    ;;
  down)
    need_docker
    docker compose --profile train --profile monitoring --profile runner down
    echo "The stack is down. Its data stays in the volumes; 'make stack' brings it back."
    ;;
  *)
    echo "Usage: docker/stack.sh env | up | down" >&2
    exit 2
    ;;
esac
