#!/usr/bin/env bash
# Sets up what the named groups need and is missing; a second run finds everything in place and does nothing.
#   usage: cmake/setup.sh GROUP...
#   wasm     CMake, the header libraries, Emscripten 3.1.69 or newer, npm packages
#   native   a C++ compiler, SIMDe, valgrind
#   lint     clang-format, clang-tidy
#   browser  Chromium
#   firefox  Firefox, where Debian has it; its test says so where it is missing
#   node26   a second, newer Node for the tests, under .toolchain/
set -euo pipefail
cd "$(dirname "$0")/.."

declare -A debian_packages=(
  [wasm]='ca-certificates cmake ninja-build ccache libprotozero-dev libflatbuffers-dev flatbuffers-compiler
          doctest-dev libeigen3-dev'
  [native]='cmake ninja-build ccache g++ libprotozero-dev libflatbuffers-dev flatbuffers-compiler
            doctest-dev libeigen3-dev libsimde-dev valgrind'
  [lint]='clang-format-19 clang-tidy-19'
  [browser]='chromium fonts-dejavu-core'
  [firefox]=''
  [node26]=''
)

# npm ci, but only when the lock file differs from the one that made node_modules.
npm_ci() {
  local folder=$1 stamp=$1/node_modules/.installed-from
  if ! cmp -s "$folder/package-lock.json" "$stamp"; then
    echo "npm ci in $folder" >&2
    npm ci --prefix "$folder" --no-audit --no-fund >&2
    cp "$folder/package-lock.json" "$stamp"
  fi
}

wanted=''
for group in "$@"; do
  [[ -v debian_packages[$group] ]] || { echo "cmake/setup.sh: unknown group '$group'" >&2; exit 2; }
  wanted+=" ${debian_packages[$group]}"
done
# shellcheck disable=SC2086  # a list of words
cmake/setup-debian.sh $wanted

for group in "$@"; do
  case $group in
    wasm) npm_ci . && cmake/setup-emscripten.sh ;;
    lint | browser) npm_ci . ;;
    firefox) npm_ci . && { command -v firefox-esr >/dev/null || cmake/setup-debian.sh firefox-esr || true; } ;;
    node26)
      mkdir -p .toolchain/node26
      cp cmake/node26/package.json cmake/node26/package-lock.json .toolchain/node26/
      npm_ci .toolchain/node26
      ;;
  esac
done
