#!/usr/bin/env bash
# data.sh push | pull | pull-sample | put: versions of the raw table (DVC), and the table of the full stack. Keys: .env or the environment.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"
table=$(churn where raw_customers --env local)
sample=${table%.csv}_sample.csv

fail() { echo "$*" >&2; exit 1; }
if [ -e .env ]; then
  set -a
  # shellcheck disable=SC1091
  . ./.env
  set +a
elif [ -z "${AWS_ACCESS_KEY_ID:-}" ] && [ ! -e .dvc/config.local ]; then
  fail "No keys for the object store: 'make stack' writes .env; or set AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
fi

case "${1:-}" in
  push) # a version of the table, and of a small sample of it that CI can pull first
    [ -e "$table" ] || fail "There is no $table to push."
    python -m churn.io.files.raw_sample "$table" "$sample"
    dvc add --quiet "$table" "$sample"
    dvc push "$table.dvc" "$sample.dvc"
    echo "Pushed. To make it a version, commit $table.dvc and $sample.dvc."
    ;;
  pull)
    [ -e "$table.dvc" ] || fail "There is no $table.dvc: no version of the table was pushed and committed."
    dvc pull "$table.dvc"
    ;;
  pull-sample) # the sample in the table's place, for a quick check; never over a table
    [ -e "$sample.dvc" ] || fail "There is no $sample.dvc: no version of the table was pushed and committed."
    [ ! -e "$table" ] || cmp -s "$table" "$sample" || fail "$table is there already: the sample takes the place of none."
    dvc pull "$sample.dvc"
    cp "$sample" "$table"
    ;;
  put) # the table of `kedro run --env stack`
    python -m churn.io.files.object_copy put "$table" "s3://${CHURN_BUCKET:-churn}/raw/churn.csv"
    ;;
  *) fail "Usage: docker/data.sh push | pull | pull-sample | put" ;;
esac
