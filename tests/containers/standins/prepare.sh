#!/usr/bin/env bash
# Stand-ins for the stack's upstream images, made of Debian's packages and wheels, for machines that reach no image registry.
# They speak the same protocols on the same ports under the same users; they are not the upstream images.
# Prints the settings that put them into the composition; what is there already is not made again. Wants root, podman, debootstrap.
set -euo pipefail
cd "$(dirname "$0")"
root=../../..
prefix=localhost/churn-standin
base=$prefix/python:bookworm-1
services=$prefix/services:$(cat services.Dockerfile ./*.sh mc "$root/tests/services/swift.py" | sha256sum | cut -c1-12)

if ! podman image exists "$base"; then
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  debootstrap --variant=minbase --include=ca-certificates,python3-venv bookworm "$folder" >&2
  chroot "$folder" python3 -m venv /usr/local        # where the official image has its Python
  rm -rf "$folder"/var/cache/apt/archives/*.deb "$folder"/var/lib/apt/lists/*
  tar -C "$folder" -c . | podman import --quiet - "$base" >&2
fi
if ! podman image exists "$services"; then
  context=$(mktemp -d)
  cp -r . "$root/tests/services/swift.py" "$context"
  # The versions of the lock, without its hashes: with one hash pip wants one for everything.
  awk '/^[a-z0-9._-]+==/ {print $1}' "$root/requirements-dev.txt" > "$context/constraints.txt"
  # shellcheck disable=SC2086
  podman build --quiet --isolation chroot --format docker ${STANDIN_BUILD_ARGS:-} --build-arg "PYTHON_IMAGE=$base" \
    --file "$context/services.Dockerfile" --tag "$services" "$context" >&2
  rm -rf "$context"
fi
echo "PYTHON_IMAGE=$base"
for name in POSTGRES REDIS MINIO MC; do echo "${name}_IMAGE=$services"; done
