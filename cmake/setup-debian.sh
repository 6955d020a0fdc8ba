#!/usr/bin/env bash
# Installs those of the named Debian packages that are missing. Without root it prints the command and fails.
#   usage: cmake/setup-debian.sh PACKAGE...
set -euo pipefail

missing=()
for package in "$@"; do
  status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  [[ $status == installed || " ${missing[*]-} " == *" $package "* ]] || missing+=("$package")
done
((${#missing[@]})) || exit 0

if ! command -v apt-get >/dev/null; then
  # Another system may have the same things under other names; CMake says so if something is really absent.
  echo "Not a Debian system. Needed are its equivalents of: ${missing[*]}" >&2
  exit 0
fi
if ((EUID != 0)); then
  echo "Debian packages are missing. Install them, then run this again:" >&2
  echo "  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}" >&2
  exit 1
fi

echo "apt-get install ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
apt=(apt-get -qq -o DPkg::Lock::Timeout=300)
"${apt[@]}" update
"${apt[@]}" install -y --no-install-recommends -o Dpkg::Use-Pty=0 "${missing[@]}" >/dev/null
