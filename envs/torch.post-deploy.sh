#!/usr/bin/env bash
# Made of envs/torch_no_deps.txt by `make conda`; change that one.
set -euo pipefail
python -m pip install -qq --no-deps -r /dev/stdin <<'PINS'
face-alignment==1.5.0
PINS
