#!/bin/sh
# minio server FOLDER ...: Swift on port 9000. Its access keys are ACCOUNT:USER, so the composition's are too where this stands in.
set -eu
socat TCP-LISTEN:9000,fork,reuseaddr TCP:127.0.0.1:9100 &
exec python /opt/object_store.py "$2" 9100 "$MINIO_ROOT_USER" "$MINIO_ROOT_PASSWORD"
