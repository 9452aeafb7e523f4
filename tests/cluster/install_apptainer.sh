#!/usr/bin/env bash
# Put Apptainer onto a Debian 12 machine, which has no package of it: that of Debian sid, with the libc
# of trixie beside it in /opt/apptainer-libc, so that the machine's own stays as it is.
# DEBS=folder takes the two packages from there instead of downloading them.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
libc=/opt/apptainer-libc
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{lists/partial,cache/archives/partial,debs,apptainer,libc} "$libc"

if [ -n "${DEBS:-}" ]; then
  cp "$DEBS"/apptainer_*.deb "$DEBS"/libc6_*.deb "$work/debs/"
else
  # Lists of its own, so that apt knows nothing of these suites afterwards.
  cat > "$work/sid.sources" <<END
Types: deb
URIs: $(sed -n 's/^URIs: //p' /etc/apt/sources.list.d/debian.sources | head -1)
Suites: trixie sid
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
END
  apt=(apt-get -qq -o Dir::Etc::sourcelist="$work/sid.sources" -o Dir::Etc::sourceparts=/dev/null
       -o Dir::State::lists="$work/lists" -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root)
  "${apt[@]}" update
  (cd "$work/debs" && "${apt[@]}" download apptainer libc6/trixie)
fi

dpkg-deb -x "$work"/debs/apptainer_*.deb "$work/apptainer"
dpkg-deb -x "$work"/debs/libc6_*.deb "$work/libc"
cp -a "$work"/libc/usr/lib/x86_64-linux-gnu/*.so* "$libc/"
apt-get -qq update
apt-get install -y -qq --no-install-recommends patchelf libsqlite3-0 libseccomp2 squashfs-tools \
  squashfuse fuse-overlayfs fuse2fs uidmap ca-certificates fakeroot > /dev/null

lib=/usr/lib/x86_64-linux-gnu/apptainer
cp -a "$work/apptainer/etc/apptainer" /etc/
install -d "$lib/bin"
cp -a "$work/apptainer$lib/." "$lib/"
cp -a "$work/apptainer/usr/bin/apptainer" /usr/bin/apptainer
for program in /usr/bin/apptainer "$lib/bin/starter"; do
  patchelf --set-interpreter "$libc/ld-linux-x86-64.so.2" --force-rpath --set-rpath "$libc" "$program"
done
mkdir -p /var/lib/apptainer/mnt/session
apptainer --version
