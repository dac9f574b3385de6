#!/usr/bin/env bash
# Reproduces the README's figures of GPUs: builds on a GPU machine without a network (see test_gpu.sh), measures, prints
# tables and writes JSON.
#
#   bench/gpu.sh [--prebuilt FOLDER] [--out FOLDER] PART…
#
#   decode      speed-up over cuBLASLt on Llama-2-7B's products, i.i.d. masks, N = 1 … 64 (the target table)
#   n_m         2:4, 3:4 and 1:4 masks
#   regions     masks whose 128x128 regions are 30 to 99 % sparse
#   breakeven   BERT-base's shapes: CROSS and cuSPARSE over cuBLASLt against sparsity; also breakeven.svg
#   calibrate   cross calibrate --device cuda
#   regret      plans chosen by prices against the best measured ones, on patterns in $CROSS_DLMC (a folder of .smtx
#               files, default ../shared/data/dlmc) and on sizes that calibration does not measure. After calibrate: with
#               its prices
#   host        host time of an enqueued product
#   all         all of these
#
# --prebuilt: run what scripts/bundle_gpu.sh put there, without building. --out: where JSON goes (default build/gpu-results).
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/common.sh

prebuilt='' out=build/gpu-results parts=()
while [[ $# -gt 0 ]]; do
  case $1 in
    -h | --help)
      sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' bench/gpu.sh
      exit 0
      ;;
    --prebuilt) prebuilt=$(realpath "${2:?"--prebuilt needs a folder"}") && shift ;;
    --out) out=${2:?"--out needs a folder"} && shift ;;
    decode | n_m | regions | breakeven | calibrate | regret | host) parts+=("$1") ;;
    all) parts=(decode n_m regions breakeven calibrate regret host) ;;
    *) die "unknown part or option '$1'; see --help" ;;
  esac
  shift
done
[[ ${#parts[@]} -gt 0 ]] || die "which part? See --help"

if [[ -n $prebuilt ]]; then
  export LD_LIBRARY_PATH=$prebuilt${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
  bench=$prebuilt/bench_gpu cross=$prebuilt/cross
else
  build_gpu bench_gpu cross_cli
  bench=build/gpu/bench/gpu/bench_gpu cross=build/gpu/bin/cross
fi
mkdir -p "$out"
profile=$out/cuda-profile.json

for part in "${parts[@]}"; do
  echo "== $part"
  arguments=(--json "$out/$part.json")
  case $part in
    calibrate)
      "$cross" calibrate --device cuda --quiet --output "$profile"
      continue
      ;;
    breakeven) arguments+=(--plot "$out/breakeven.svg") ;;
    regret)
      [[ -f $profile ]] && arguments+=(--profile "$profile")
      mapfile -t files < <(find "${CROSS_DLMC:-../shared/data/dlmc}" -name '*.smtx' 2>/dev/null | LC_ALL=C sort)
      [[ ${#files[@]} -gt 0 ]] || echo "no patterns in ${CROSS_DLMC:-../shared/data/dlmc} (CROSS_DLMC): sizes only"
      "$bench" "${arguments[@]}" regret "${files[@]}"
      continue
      ;;
  esac
  "$bench" "${arguments[@]}" "$part"
done
