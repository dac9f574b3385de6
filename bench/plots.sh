#!/usr/bin/env bash
# The README's plots from what was measured: docs/plots/*.json → docs/plots/*.svg.
#
#   bench/plots.sh [--measure] [--preset PRESET]
#
#   --measure   first measure cpu_iid.json anew: bench_iid on this machine, a quarter of an hour
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/common.sh

measure=no preset=release
while [[ $# -gt 0 ]]; do
  case $1 in
    --measure) measure=yes ;;
    --preset) preset=${2:-} && shift ;;
    -h | --help)
      sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "bench/plots.sh"
      exit 0
      ;;
    *) die "unknown option '$1'; see --help" ;;
  esac
  shift
done
programs=build/$preset/bench
for program in bench_iid plot_iid; do
  [[ -x $programs/$program ]] || die "$programs/$program is not built; run: cmake --preset $preset && cmake --build --preset $preset"
done

if [[ $measure == yes ]]; then
  "$programs/bench_iid" --sparsity 0.5,0.6,0.7,0.8,0.9,0.95 --json >docs/plots/cpu_iid.json.part
  mv docs/plots/cpu_iid.json.part docs/plots/cpu_iid.json
fi
"$programs/plot_iid" docs/plots/cpu_iid.json >docs/plots/cpu_iid.svg.part
mv docs/plots/cpu_iid.svg.part docs/plots/cpu_iid.svg
echo "docs/plots/cpu_iid.svg"
