#!/usr/bin/env bash
# Make a folder with a small Debian 12 that has Python 3.11, to build images from where no registry
# of images can be reached: make_base.sh FOLDER. Takes its packages from where this machine does.
set -euo pipefail
folder=$1
command -v mmdebstrap > /dev/null \
  || DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends mmdebstrap > /dev/null
mmdebstrap --quiet --variant=minbase --mode=root --include=python3,python3-venv \
  --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='Acquire::Check-Date "false"' \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' \
  --customize-hook='find "$1"/dev -xdev -mindepth 1 ! -type d -delete || true' \
  bookworm "$folder.part" - < /etc/apt/sources.list.d/debian.sources
mv "$folder.part" "$folder"
