#!/usr/bin/env bash
# Speed-ups over the best dense library for real weight patterns: every .smtx file under a folder, fp32, N = 256, and
# the geometric mean over those of 70 % sparsity or more (the project's target there: 2.5).
#
#   bench/dlmc.sh FOLDER [--tokens N] [--dtype fp32|bf16] [--cross PROGRAM]
#
# Patterns: the Deep Learning Matrix Collection, https://storage.googleapis.com/sgk-sc2020/dlmc.tar.gz
set -euo pipefail
cd_from=$PWD
cd "$(dirname "$0")/.."
source scripts/common.sh

folder="" tokens=256 dtype=fp32 cross=build/release/bin/cross
while [[ $# -gt 0 ]]; do
  case $1 in
    --tokens) tokens=${2:-} && shift ;;
    --dtype) dtype=${2:-} && shift ;;
    --cross) cross=${2:-} && shift ;;
    -h | --help)
      sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "bench/dlmc.sh"
      exit 0
      ;;
    -*) die "unknown option '$1'; see --help" ;;
    *) folder=$1 ;;
  esac
  shift
done
[[ -n $folder ]] || die "which folder? See --help"
[[ $folder == /* ]] || folder=$cd_from/$folder
[[ $cross == build/* || $cross == /* ]] || cross=$cd_from/$cross
[[ -x $cross ]] || die "$cross is not built; run: cmake --preset release && cmake --build --preset release"
unset OPENBLAS_CORETYPE # it can halve the baseline

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
find "$folder" -name '*.smtx' | LC_ALL=C sort >"$work/files"
[[ -s $work/files ]] || die "$folder has no .smtx files"

printf '%8s %6s %6s %10s %10s %9s  %s\n' sparsity rows cols 'dense us' 'cross us' speed-up file
while read -r file; do
  "$cross" compile "$file" -o "$work/plan" --dtype "$dtype" --tokens "$tokens" >/dev/null
  "$cross" bench "$work/plan" --tokens "$tokens" --json >"$work/json"
  json_rows "$work/json" layers sparsity m k dense_us cross_us speedup | while read -r values; do
    echo "$values ${file#"$folder"/}"
  done | tee -a "$work/rows" |
    awk '{ printf "%7.1f%% %6d %6d %10.1f %10.1f %8.2fx  %s\n", $1 * 100, $2, $3, $4, $5, $6, $7 }'
done <"$work/files"
awk -v tokens="$tokens" -v dtype="$dtype" '
  { ++all; logs_all += log($6); if ($1 >= 0.695) { ++count; logs += log($6) } if (least == "" || $6 < least) least = $6 }
  END {
    printf "\n%s, N = %d: geometric mean %.2fx over %d matrices, ", dtype, tokens, exp(logs_all / all), all
    if (count) printf "%.2fx over the %d of 70 %% sparsity or more, ", exp(logs / count), count
    printf "least %.2fx\n", least
  }' "$work/rows"
