#!/usr/bin/env bash
# The images of containers/ on a machine that reaches no registry of images: their base is a Debian 12
# made of packages.
set -euo pipefail
cd "$(dirname "$0")/../.."
base=$PWD/.cache/base
[ -d "$base" ] || tests/cluster/make_base.sh "$base"
make --no-print-directory containers BOOTSTRAP=localimage BASE="$base"
