#!/usr/bin/env bash
# Builds the GPU tests, the GPU benchmarks and `cross`, and collects them in a folder with the libraries that they need:
# for GPU machines that cannot build. CUDA's own libraries stay out; there they are in /usr/local/cuda.
#
#   scripts/bundle_gpu.sh FOLDER
#
# There: test_gpu.sh --prebuilt FOLDER, bench/gpu.sh --prebuilt FOLDER PART…
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/common.sh

if [[ $# != 1 || $1 == -h || $1 == --help ]]; then
  sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "$0"
  exit 0
fi
to=$1
build=build/bundle
# Dense libraries of CPUs, tokenisers and Unicode tables are large, and nothing here needs them.
configure cuda -B "$build" -DCROSS_ONEDNN=OFF -DCROSS_OPENBLAS=OFF -DCROSS_ICU=OFF -DCROSS_SENTENCEPIECE=OFF "-DCMAKE_BUILD_RPATH=\$ORIGIN;/usr/local/cuda/lib64" \
  -DCROSS_FUZZ=OFF
cmake --build "$build" --target gpu_programs -j "${CROSS_JOBS:-$(nproc)}"

mkdir -p "$to"
mapfile -t programs < <(cat "$build"/gpu_programs.txt)
cp "${programs[@]}" "$to/"
cp -L "$build"/src/libcross.so.0 "$to/"
# Shared libraries that a GPU machine may lack; their own folder of this machine stays out of the way of CUDA's.
for name in libfmt libsleef libsentencepiece; do
  ldd "$to/libcross.so.0" | awk -v name="$name" '$1 ~ "^" name { print $3 }' | while read -r library; do
    [[ $library -ef $to/$(basename "$library") ]] || cp -L "$library" "$to/"
  done
done
strip --strip-unneeded "$to"/*
echo "bundled in $to: $(du -sh "$to" | cut -f1)"
