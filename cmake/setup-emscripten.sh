#!/usr/bin/env bash
# Makes sure that cmake/find_emscripten.cmake finds an Emscripten. If there is none yet:
#   Debian 13 and newer   the package `emscripten` is new enough
#   Debian 12             Emscripten and Binaryen come from Debian 13's archive into .toolchain/emscripten, LLVM 19
#                         is Debian 12's own; the system's C library and package list stay as they are
set -euo pipefail
cd "$(dirname "$0")/.."
prefix=$PWD/.toolchain/emscripten

found() {
  cmake -P cmake/find_emscripten.cmake >/dev/null 2>&1
}

# Where this machine gets Debian 12 from; Debian 13 lies on the same server.
debian_mirror() {
  apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' |
    awk '$2 == "bookworm" { print $1; exit }'
}

# Downloads packages of Debian 13 into the current folder, with package lists of its own.
download_from_debian_13() {
  local mirror
  mirror=$(debian_mirror)
  [[ -n $mirror ]] || { echo 'No Debian 12 archive in the apt sources.' >&2; return 1; }
  mkdir -p lists/partial cache/archives/partial
  printf '%s\n' 'Types: deb' "URIs: $mirror" 'Suites: trixie' 'Components: main' \
    'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg' > next.sources
  local apt=(apt-get -qq -o "Dir::Etc::SourceList=$PWD/next.sources" -o Dir::Etc::SourceParts=/dev/null
    -o "Dir::State::Lists=$PWD/lists" -o "Dir::Cache=$PWD/cache" -o "APT::Sandbox::User=$(id -un)")
  "${apt[@]}" update >&2
  "${apt[@]}" download "$@" >&2
}

install_for_debian_12() {
  cmake/setup-debian.sh clang-19 lld-19 llvm-19 patchelf
  echo 'Fetching Emscripten into .toolchain/' >&2
  local work staged=$prefix.partial
  work=$(mktemp -d)
  # shellcheck disable=SC2064  # the folder's name as it is now
  trap "rm -rf '$work' '$staged'" EXIT
  rm -rf "$prefix" "$staged"
  mkdir -p "$staged/binaryen" "$staged/emscripten"
  local libraries=(libc6 libstdc++6 libgcc-s1)
  (cd "$work" && download_from_debian_13 emscripten binaryen "${libraries[@]}")

  # Binaryen needs Debian 13's C library, so it gets that one beside it, and its programs are bound to it.
  local package
  for package in binaryen "${libraries[@]}"; do
    dpkg-deb -x "$work/$package"_*.deb "$staged/binaryen"
  done
  local loader folder
  loader=$(cd "$staged" && echo binaryen/usr/lib/*-linux-gnu/ld-linux-*.so.*)
  folder=$prefix/$(dirname "$loader")
  patchelf --set-interpreter "$prefix/$loader" --set-rpath "$folder" "$staged"/binaryen/usr/bin/*

  # Emscripten itself is scripts and prebuilt wasm libraries; the variants for LTO and wasm64 are not used.
  dpkg-deb --fsys-tarfile "$work"/emscripten_*.deb |
    tar -x -C "$staged/emscripten" --strip-components=4 --wildcards ./usr/share/emscripten \
      --exclude='*/wasm32-emscripten/lto*' --exclude='*/wasm64-emscripten*'
  sed -i -e "s|^LLVM_ROOT *=.*|LLVM_ROOT = '/usr/bin'|" \
    -e "s|^BINARYEN_ROOT *=.*|BINARYEN_ROOT = '$prefix/binaryen/usr'|" \
    -e "s|^NODE_JS *=.*|NODE_JS = 'node'|" "$staged/emscripten/.emscripten"
  # Ends Node's search for a package.json: in a package of type "module" the tools would not load.
  echo '{}' > "$staged/emscripten/package.json"
  mv "$staged" "$prefix"
}

# An own copy whose checkout was moved has programs bound to the old place.
if [[ -d $prefix ]] && ! "$prefix/binaryen/usr/bin/wasm-opt" --version >/dev/null 2>&1; then
  rm -rf "$prefix"
fi
found && exit 0

# shellcheck source=/dev/null
. /etc/os-release
case ${ID:-}-${VERSION_ID:-} in
  debian-12) install_for_debian_12 ;;
  debian-1[3-9] | debian-) cmake/setup-debian.sh emscripten ;;
esac
found || {
  echo 'Install Emscripten 3.1.69 or newer (emsdk has it) and put emcc on PATH, then run this again.' >&2
  exit 1
}
