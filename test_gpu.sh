#!/usr/bin/env bash
# Builds on a GPU machine, without a network, and runs the tests that need a GPU. What such a machine may lack (fmt, JSON,
# CLI11, GoogleTest, SLEEF, xxHash) is taken from .carry/ if scripts/carry_headers.sh filled it before; dense libraries
# for CPUs are not needed.
#
#   ./test_gpu.sh [--sanitize] [--prebuilt FOLDER] [ctest option... | gtest filter]
#
#   ./test_gpu.sh                       build, then ctest -L gpu
#   ./test_gpu.sh -R session            tests whose names match
#   ./test_gpu.sh --sanitize            the small tests under compute-sanitizer, memcheck and racecheck (minutes)
#   ./test_gpu.sh --prebuilt FOLDER     run what scripts/bundle_gpu.sh put there, without building
set -euo pipefail
cd "$(dirname "$0")"
source scripts/common.sh

sanitize=no prebuilt=
while [[ $# -gt 0 ]]; do
  case $1 in
    -h | --help)
      sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "$0"
      exit 0
      ;;
    --sanitize) sanitize=yes ;;
    --prebuilt) prebuilt=$(realpath "${2:?"--prebuilt needs a folder"}") && shift ;;
    *) break ;;
  esac
  shift
done

if [[ -n $prebuilt ]]; then
  programs=$prebuilt
  export LD_LIBRARY_PATH=$prebuilt${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
else
  build_gpu gpu_tests
  programs=build/gpu/tests/cuda
fi

# Small matrices in every kernel and every way a session runs: what memcheck and racecheck get through in minutes.
small='*EveryEpilogue*:*InfAndNan*:*SpecialValues*:*KernelsShareAWorkspace*:*SeveralStreams*:*CapturedRuns*'
if [[ $sanitize == yes ]]; then
  sanitizer=$(command -v compute-sanitizer || echo /usr/local/cuda/bin/compute-sanitizer)
  for tool in memcheck racecheck; do
    for program in gpu_kernel_test gpu_fp32_test gpu_prefill_test gpu_session_test; do
      echo "== $tool $program"
      filter=$small
      [[ ! $program =~ fp32|prefill ]] || filter='*.Racecheck*'
      # What racecheck reports of the others is explained in docs/gpu.md.
      [[ $tool-$program != racecheck-gpu_prefill_test ]] || filter='*.Racecheck/bitmap_planes*:*.Racecheck/two_four_sm90*'
      "$sanitizer" --tool "$tool" --error-exitcode 9 "$programs/$program" \
        --gtest_brief=1 "--gtest_filter=${1:-$filter}"
    done
  done
elif [[ -n $prebuilt ]]; then
  failed=0
  export CROSS_TEST_PROGRAM=$programs/cross CROSS_TEST_DATA=$PWD/tests/data
  for program in gpu_device_test gpu_kernel_test gpu_fp32_test gpu_fp32_session_test gpu_prefill_test gpu_cusparselt_test gpu_session_test gpu_cli_test gpu_large_test; do
    echo "== $program"
    "$programs/$program" --gtest_brief=1 "$@" || failed=1
  done
  exit "$failed"
else
  ctest --test-dir build/gpu --output-on-failure --no-tests=error -L gpu "$@"
fi
