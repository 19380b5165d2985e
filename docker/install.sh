#!/bin/sh
# install.sh LOCK: makes /opt/venv from a hashed lock, without what a running service never imports.
set -eu
python -m venv --without-pip /opt/venv
python -m venv /tmp/installer
awk '/^[^ #]/ { keep = /^uv==/ } keep' requirements-dev.txt > /tmp/uv.txt
/tmp/installer/bin/pip install --quiet --disable-pip-version-check --no-cache-dir --require-hashes -r /tmp/uv.txt
export UV_LINK_MODE=copy
/tmp/installer/bin/uv pip install --quiet --python /opt/venv/bin/python --require-hashes -r "$1"

cd "$(/opt/venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
for package in numpy pandas pyarrow scipy sklearn; do
  if [ -d "$package" ]; then find "$package" -type d -name tests -prune -exec rm -rf {} +; fi
done
rm -rf pyarrow/include pyarrow/src feast/ui          # C++ headers; Feast's own web page
if [ -d mypy ]; then                                 # Feast requires this type checker and does not import it
  /tmp/installer/bin/uv pip uninstall --quiet --python /opt/venv/bin/python mypy
fi
