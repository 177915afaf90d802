#!/usr/bin/env bash
# Builds, checks and measures the CUDA backend on a machine with a GPU and no network: it needs nvcc 12 or 13, CMake, g++,
# make and Python 3, PyTorch 2 for the comparisons, and Node 20 or newer with its headers, which may come packed.
#
#   bench/gpu.sh [--node node.tar.xz] [--modules node_modules.tar.xz] [--out DIR] [--minutes 9] …
#   bench/gpu.sh --rehearse        # everything that runs without a GPU
#
# bench/gpu/pack.sh packs Node and node_modules on a machine that has them.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

fail() { printf 'bench/gpu.sh: %s\n' "$1" >&2; exit 1; }

node_archive='' modules_archive='' rest=()
while [ $# -gt 0 ]; do
  case $1 in
    --node) node_archive=${2:?--node: expected a file}; shift 2 ;;
    --modules) modules_archive=${2:?--modules: expected a file}; shift 2 ;;
    *) rest+=("$1"); shift ;;
  esac
done

unpack() { # archive, folder
  [ -f "$1" ] || fail "$1 does not exist"
  mkdir -p "$2.partial"
  tar -xf "$1" -C "$2.partial" || fail "$1 could not be unpacked (are tar and xz there?)"
  mv "$2.partial" "$2"
}

# --- Node ---
if ! command -v node >/dev/null 2>&1; then
  [ -n "$node_archive" ] || fail 'node was not found. Install Node 20 or newer, or give a packed one: --node node.tar.xz'
  unpacked=${TMPDIR:-/tmp}/cfgdistill-node
  [ -d "$unpacked" ] || unpack "$node_archive" "$unpacked"
  node=$(find "$unpacked" -path '*/bin/node' -type f | head -n 1)
  [ -n "$node" ] || fail "$node_archive holds no bin/node"
  chmod +x "$node"
  PATH=$(dirname "$node"):$PATH
  export PATH
fi
prefix=$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")
if [ -f "$prefix/include/node/node.h" ]; then
  export npm_config_nodedir=$prefix
elif [ -z "${npm_config_nodedir:-}" ]; then
  fail "Node's headers were not found in $prefix/include/node: without them the addon cannot be built offline. Set npm_config_nodedir to the folder above include/node, or use a Node packed by bench/gpu/pack.sh"
fi

# --- node_modules ---
if [ ! -d "$root/node_modules" ]; then
  [ -n "$modules_archive" ] || fail "node_modules was not found in $root. Run \`npm ci --ignore-scripts\` where there is a network and bring it along, or pack it with bench/gpu/pack.sh and give it with --modules"
  unpack "$modules_archive" "$root/node_modules.unpacked"
  mv "$root/node_modules.unpacked/node_modules" "$root/node_modules"
  rmdir "$root/node_modules.unpacked"
fi

for tool in g++ make cmake python3; do
  command -v "$tool" >/dev/null 2>&1 || echo "bench/gpu.sh: $tool was not found; what needs it will fail" >&2
done

exec node "$root/bench/gpu/main.mjs" "${rest[@]}"
