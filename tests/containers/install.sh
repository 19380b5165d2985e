#!/usr/bin/env bash
# Installs what the tests of containers and pages need, on Debian or Ubuntu as root; elsewhere says what to install.
set -euo pipefail
packages=(podman buildah runc uidmap netavark aardvark-dns iptables debootstrap chromium)
missing=()
for package in "${packages[@]}"; do
  dpkg-query --show --showformat '${db:Status-Status}' "$package" 2> /dev/null | grep -qx installed || missing+=("$package")
done
[ "${#missing[@]}" -gt 0 ] || exit 0
if ! command -v apt-get > /dev/null || [ "$(id -u)" -ne 0 ]; then
  echo "Not installed: ${missing[*]}. As root on Debian: apt-get install --no-install-recommends ${missing[*]}" >&2
  exit 1
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null
