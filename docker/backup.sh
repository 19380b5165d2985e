#!/usr/bin/env bash
# backup.sh backup [FOLDER] | restore FOLDER: the state of the running stack, its databases and buckets.
# Redis is not in it: the feature_store pipeline fills it again. Neither is .env: keep your copy of it elsewhere.
set -euo pipefail
cd "$(dirname "$0")/.."
databases="mlflow feast churn"
buckets="churn dvc mlflow"
features=churn/features/customer_features.parquet

fail() { echo "$*" >&2; exit 1; }
[ -e .env ] || fail "There is no .env here, so there is no stack to back up or restore into. 'make stack' makes both."
set -a
# shellcheck disable=SC1091
. ./.env
set +a

# Inside their containers: the client programs are as new as the servers, and no password crosses the command line.
in_postgres() { docker compose exec -T postgres "$@"; }
sql() { in_postgres psql --quiet --username postgres --dbname postgres --set ON_ERROR_STOP=1 --command "$1"; }
objects() { # as MinIO's root, the only user of all buckets
  AWS_ACCESS_KEY_ID=$MINIO_ROOT_USER AWS_SECRET_ACCESS_KEY=$MINIO_ROOT_PASSWORD docker compose run --rm --no-deps -T \
    -e AWS_ACCESS_KEY_ID -e AWS_SECRET_ACCESS_KEY train python -m churn.io.files.object_copy "$@"
}

backup() {
  folder=${1:-backups/$(date -u +%Y-%m-%dT%H%M%SZ)}
  [ ! -e "$folder" ] || fail "$folder is there already: name a new folder."
  part="$folder.part"
  rm -rf "$part"
  umask 077
  mkdir -p "$part"
  # The databases first: what they refer to in the buckets is never deleted, so it is still there when these are read.
  for name in $databases; do in_postgres pg_dump --username postgres --format custom "$name" > "$part/$name.dump"; done
  # shellcheck disable=SC2086
  objects dump $buckets > "$part/objects.tar"
  (cd "$part" && sha256sum -- *.dump objects.tar > SHA256SUMS)
  mv "$part" "$folder"
  echo "Backup: $folder ($(du -sh "$folder" | cut -f1)). Restore with: make restore BACKUP=$folder"
}

restore() {
  folder=${1:?Usage: docker/backup.sh restore FOLDER}
  [ -f "$folder/SHA256SUMS" ] || fail "$folder is no whole backup: it has no SHA256SUMS."
  (cd "$folder" && sha256sum --check --quiet SHA256SUMS) || fail "$folder is damaged: the sums above differ. Nothing was changed."
  trap 'echo "The restore broke off: the API and MLflow are stopped. Mend what is said above and run it again; it may be repeated." >&2' EXIT
  docker compose stop api mlflow
  # Objects are added first and others deleted last, so that what a database refers to is there before and after the swap.
  # shellcheck disable=SC2086
  objects load $buckets < "$folder/objects.tar"
  # Beside the present databases first, so that a failure leaves these as they are.
  for name in $databases; do
    sql "DROP DATABASE IF EXISTS ${name}_restored"
    sql "CREATE DATABASE ${name}_restored OWNER $name"
    sql "REVOKE ALL ON DATABASE ${name}_restored FROM PUBLIC"
    in_postgres pg_restore --username postgres --dbname "${name}_restored" --exit-on-error < "$folder/$name.dump"
  done
  for name in $databases; do
    sql "DROP DATABASE IF EXISTS $name WITH (FORCE)"   # a restore that broke off here may have dropped it
    sql "ALTER DATABASE ${name}_restored RENAME TO $name"
  done
  # shellcheck disable=SC2086
  objects prune $buckets < "$folder/objects.tar"
  docker compose up --detach --wait --wait-timeout 600
  trap - EXIT
  # shellcheck disable=SC2016
  docker compose exec -T redis sh -c 'REDISCLI_AUTH="$REDIS_PASSWORD" redis-cli flushall' > /dev/null
  if tar --list --file "$folder/objects.tar" "$features" > /dev/null 2>&1; then
    docker compose run --rm --no-deps -T train kedro run --env stack --pipelines feature_store
    echo "Restored from $folder; the online features are rebuilt."
  else
    echo "Restored from $folder. It holds no features, since nothing was trained: 'docker compose run --rm train' does that."
  fi
}

case "${1:-}" in
  backup | restore) "$@" ;;
  *) fail "Usage: docker/backup.sh backup [FOLDER] | restore FOLDER" ;;
esac
