#!/bin/sh
# Inside an image: make the environment /opt/env of the wheels in /opt/build/wheels, without network.
# Both recipes beside this file call it.
set -eu
python3 -m venv /opt/env
/opt/env/bin/pip install --quiet --no-index --no-deps --no-compile /opt/build/wheels/*.whl
# What no stage imports: the installer, tests of packages, C++ headers.
packages=$(/opt/env/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
/opt/env/bin/pip uninstall --quiet --yes pip
rm -rf "$packages/torch/include" "$packages/torch/share"
find "$packages" -type d -name tests -prune -exec rm -rf {} +
# The image is read-only: what Python compiles of itself it must find here.
/opt/env/bin/python -m compileall -q "$packages" || true
rm -rf /opt/build /root/.cache
