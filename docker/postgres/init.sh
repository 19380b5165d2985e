#!/bin/sh
# Once, when the data folder is new: a database for each owner, whom no other user may enter.
set -eu
for name in mlflow feast churn; do
  case "$name" in
    mlflow) password=$MLFLOW_DB_PASSWORD ;;
    feast) password=$FEAST_DB_PASSWORD ;;
    churn) password=$CHURN_DB_PASSWORD ;;
  esac
  # By standard input: what is on the command line shows in every list of processes.
  psql --quiet --username postgres --dbname postgres --set ON_ERROR_STOP=1 <<SQL
CREATE ROLE $name LOGIN PASSWORD '$password';
CREATE DATABASE $name OWNER $name;
REVOKE ALL ON DATABASE $name FROM PUBLIC;
SQL
done
psql --quiet --username postgres --dbname postgres --command 'REVOKE ALL ON DATABASE postgres FROM PUBLIC'
