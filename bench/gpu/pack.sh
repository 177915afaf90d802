#!/usr/bin/env bash
# Packs this machine's Node (program and headers) and this checkout's node_modules (without what only developing needs),
# for bench/gpu.sh on a machine without a network.
#
#   bench/gpu/pack.sh FOLDER      # writes FOLDER/node.tar.xz and FOLDER/node_modules.tar.xz
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
out=${1:?usage: bench/gpu/pack.sh FOLDER}
mkdir -p "$out"
node=$(readlink -f "$(command -v node)")
prefix=$(dirname "$(dirname "$node")")
[ -f "$prefix/include/node/node.h" ] || { echo "pack.sh: no headers in $prefix/include/node" >&2; exit 1; }
export XZ_OPT='-6 -T0'
tar -cJf "$out/node.tar.xz" -C "$prefix" bin/node include/node
tar -cJf "$out/node_modules.tar.xz" -C "$root" --exclude='node_modules/@biomejs' --exclude='node_modules/.vite*' \
  --exclude='node_modules/.cache' --exclude='*.map' node_modules
ls -lh "$out"/node.tar.xz "$out"/node_modules.tar.xz
