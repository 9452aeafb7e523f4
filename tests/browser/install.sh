#!/usr/bin/env bash
# Install Chromium for the tests of the page, where that can be done: by apt-get, as root. Where it
# cannot be, say so; the tests then skip. Nothing is done if there is a Chromium or Chrome.
set -uo pipefail

for name in chromium chromium-browser google-chrome; do
  if command -v "$name" > /dev/null; then exit 0; fi
done
if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
  echo "tests of the page need Chromium, and only root with apt-get can install it here"
  exit 0
fi
echo "installing Chromium for the tests of the page"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
if ! { apt-get -qq update && apt-get -qq install -y --no-install-recommends chromium; } \
    > "$log" 2>&1 < /dev/null; then
  echo "Chromium cannot be installed:"
  tail -n 3 "$log"
fi
rm -f "$log"
