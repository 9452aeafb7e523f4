#!/usr/bin/env bash
# The images of containers/ on a machine that reaches no registry of images: their base is a Debian 12
# made of packages. Compressed lightly, for they are built to be tried.
set -euo pipefail
cd "$(dirname "$0")/../.."
base=$PWD/.cache/base
make --no-print-directory -j2 wheels &
[ -d "$base" ] || tests/cluster/make_base.sh "$base"
wait $!
make --no-print-directory -j2 containers BOOTSTRAP=localimage BASE="$base" COMPRESSION=lz4
