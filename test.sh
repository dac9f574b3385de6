#!/usr/bin/env bash
# Installs what is missing, builds, and runs the whole default test suite. Works without a network once the
# dependencies are there.
#
#   ./test.sh [--preset release|ci|debug|asan|tsan|emulated] [ctest option...]
#
#   ./test.sh                         everything, optimised build
#   ./test.sh -R prune                tests whose names match
#   ./test.sh --preset asan -L cpu    under AddressSanitizer, tests with the label cpu
set -euo pipefail
cd "$(dirname "$0")"
source scripts/common.sh

preset=release
if [[ ${1:-} == -h || ${1:-} == --help ]]; then
  sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "$0"
  exit 0
fi
if [[ ${1:-} == --preset ]]; then
  preset=${2:?"--preset needs a name: release, ci, debug, asan, tsan or emulated"}
  shift 2
elif [[ ${1:-} == --preset=* ]]; then
  preset=${1#--preset=}
  shift
fi
case $preset in
  release | ci | debug | asan | tsan | emulated) ;;
  *)
    echo "test.sh: preset '$preset' is unknown; presets are release, ci, debug, asan, tsan and emulated" >&2
    exit 2
    ;;
esac

groups=(build test)
[[ $preset != tsan ]] || groups+=(tsan)
scripts/install_dependencies.sh "${groups[@]}"
configure "$preset"
cmake --build --preset "$preset"
# OpenBLAS, oneDNN and OpenMP's runtime are not instrumented, so ThreadSanitizer sees races in them that are none.
[[ $preset == tsan ]] && export TSAN_OPTIONS="${TSAN_OPTIONS:-} ignore_noninstrumented_modules=1"
exec ctest --test-dir "build/$preset" --output-on-failure --no-tests=error -j "$(nproc)" "$@"
