#!/usr/bin/env bash
# Copies into .carry/ what building CROSS needs and a GPU machine without a network may lack: fmt, CLI11, xxHash and
# nlohmann-json (header-only), SLEEF and GoogleTest (headers and library). Take the folder along and configure there with
# -DCROSS_DEPENDENCY_DIR=.carry; test_gpu.sh and bench/gpu.sh do so when it is there.
#
#   scripts/carry_headers.sh [FOLDER]        (default: .carry)
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/common.sh

if [[ ${1:-} == -h || ${1:-} == --help ]]; then
  sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "$0"
  exit 0
fi
to=${1:-.carry}
multiarch=$(g++ -print-multiarch)
roots=(/usr/local/include /usr/include "/usr/include/$multiarch")

# find_first NAME FOLDER...: the first folder that holds NAME.
find_first() {
  local name=$1 folder
  shift
  for folder in "$@"; do
    if [[ -e $folder/$name ]]; then
      echo "$folder"
      return 0
    fi
  done
  return 1
}

mkdir -p "$to/include" "$to/lib"
for header in fmt CLI nlohmann xxhash.h xxh3.h sleef.h gtest; do
  root=$(find_first "$header" "${roots[@]}") || die "$header is not installed here; run scripts/install_dependencies.sh"
  cp -rLT "$root/$header" "$to/include/$header"
done

# The static library where the distribution has one; else the shared one under both of its names, as plain files: links
# may not survive the way.
libraries=(/usr/local/lib "/usr/lib/$multiarch" /usr/lib)
if folder=$(find_first libsleef.a "${libraries[@]}"); then
  cp -L "$folder/libsleef.a" "$to/lib/"
else
  folder=$(find_first libsleef.so.3 "${libraries[@]}") || die "libsleef is not installed here"
  cp -L "$folder/libsleef.so.3" "$to/lib/libsleef.so.3"
  cp -L "$folder/libsleef.so.3" "$to/lib/libsleef.so"
fi
for library in libgtest.a libgtest_main.a; do
  folder=$(find_first "$library" "${libraries[@]}") || die "$library is not installed here (Debian: libgtest-dev)"
  cp -L "$folder/$library" "$to/lib/"
done
echo "carried in $to: $(du -sh "$to" | cut -f1)"
