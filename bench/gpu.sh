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
#   prefill     many tokens, i.i.d. masks and masks whose regions differ: any plan, and from one compressed copy
#   two_four    exact 2:4 masks at many tokens against cuBLASLt and, where the machine has it ($CROSS_CUSPARSELT may
#               name the file), cuSPARSELt
#   block       square blocks that are whole or empty, 80 and 90 %
#   fp32        256 to 1024 tokens against cuBLASLt in true fp32
#   dlmc        the patterns in $CROSS_DLMC at 256 tokens, fp32 and bf16, geometric means
#   bands       CROSS's study of bands: 256x256x256 products, batch 10, over sparsity; also bands.svg
#   balance     CROSS's study of balance: batch sizes, policies, what each step is worth
#   all         all of these
#
# FULL=1: prefill, two_four, block, fp32 and balance with every token count, sparsity, shape and mask of their tables.
# From 2048 tokens on, where power bounds every side, samples take 0.2 s; prefill's own table leaves out 60 and 80 % there.
# TOKENS=256,8192, SPARSITY=0.5,0.9: these instead of a part's own; prefill then leaves out masks whose regions differ.
# --prebuilt: run what scripts/bundle_gpu.sh put there, without building. --out: where JSON goes (default build/gpu-results).
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/common.sh
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
    prefill | two_four | block | fp32 | dlmc | bands | balance) parts+=("$1") ;;
    all) parts=(decode n_m regions breakeven calibrate regret host prefill two_four block fp32 dlmc bands balance) ;;
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
dlmc=${CROSS_DLMC:-../shared/data/dlmc}
mapfile -t patterns < <(find "$dlmc" -name '*.smtx' 2>/dev/null | LC_ALL=C sort)

# cuSPARSELt comes with the toolkit's packages or inside a Python wheel.
find_cusparselt() {
  if [[ -n ${CROSS_CUSPARSELT:-} ]]; then return 0; fi
  local folder found
  for folder in /usr/local/cuda/lib64 /usr/lib/x86_64-linux-gnu "$(python3 -c 'import nvidia.cusparselt as l; print(list(l.__path__)[0])' 2>/dev/null)" \
    /usr/local/lib /opt /usr/lib/python3; do
    [[ -n $folder && -d $folder ]] || continue
    found=$(find -L "$folder" -name 'libcusparseLt.so*' -print -quit 2>/dev/null) || true
    if [[ -n $found ]]; then
      export CROSS_CUSPARSELT=$found
      return 0
    fi
  done
}

for part in "${parts[@]}"; do
  echo "== $part"
  arguments=(--json "$out/$part.json")
  files=()
  case $part in
    calibrate)
      "$cross" calibrate --device cuda --quiet --output "$profile"
      continue
      ;;
    breakeven) arguments+=(--plot "$out/breakeven.svg") ;;
    bands) arguments+=(--plot "$out/bands.svg") ;;
    balance) [[ ${#patterns[@]} == 0 ]] || files=("${patterns[0]}" "${patterns[-1]}") ;;
    two_four) find_cusparselt ;;
    regret)
      [[ -f $profile ]] && arguments+=(--profile "$profile")
      [[ ${#patterns[@]} -gt 0 ]] || echo "no patterns in $dlmc (CROSS_DLMC): sizes only"
      files=("${patterns[@]}")
      ;;
    dlmc)
      if [[ ${#patterns[@]} == 0 ]]; then
        echo "skipped: no patterns in $dlmc (CROSS_DLMC)"
        continue
      fi
      files=("${patterns[@]}")
      ;;
  esac
  if [[ ${FULL:-} == 1 && $part =~ ^(prefill|two_four|block|fp32|balance)$ ]]; then arguments+=(--all); fi
  [[ -z ${TOKENS:-} ]] || arguments+=(--tokens "$TOKENS")
  [[ -z ${SPARSITY:-} ]] || arguments+=(--sparsity "$SPARSITY")
  "$bench" "${arguments[@]}" "$part" "${files[@]}"
done
