#!/bin/sh
# Builds the image on a Debian machine that cannot, or shall not, pull base images: BASE and BUILD are made from Debian packages and from
# this machine's npm, then the Dockerfile runs as anywhere else. As root, with buildah and mmdebstrap (apt-get install them).
#
#   deploy/image/build.sh [DIRECTORY]      leaves rootfs, image.tar, sbom.cyclonedx.json and size there; default .cache/image
#
# Where docker and a registry are at hand: docker build -t postbus:VERSION .
set -eu
cd "$(dirname "$0")/../.."
version=$(sed -n 's/^  "version": "\(.*\)",$/\1/p' package.json)
out=$(mkdir -p "${1:-.cache/image}" && cd "${1:-.cache/image}" && pwd)
suite=${SUITE:-bookworm}

node=node_modules/node-linux-$(uname -m | sed 's/x86_64/x64/; s/aarch64/arm64/')/bin/node
[ -x "$node" ] || { echo "no $node; run npm ci first" >&2; exit 69; }
npm=$(dirname "$(dirname "$(readlink -f "$(command -v npm)")")")

# No overlay file system of the kernel's is needed, and no namespace of users: it also runs inside a container.
export BUILDAH_ISOLATION=chroot
storage=$out/storage
build() { buildah --storage-driver vfs --root "$storage/root" --runroot "$storage/run" "$@"; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What the packages are stays in the image, where scanners of images without a package manager look (/var/lib/dpkg/status.d).
note='mkdir -p "$1/var/lib/dpkg/status.d"
  for deb in "$1"/var/cache/apt/archives/*.deb; do
    dpkg-deb --field "$deb" > "$1/var/lib/dpkg/status.d/$(dpkg-deb --field "$deb" Package)"
  done'
bootstrap() { # variant, packages, tar
  [ -s "$3" ] && return
  mmdebstrap --quiet --variant="$1" --include="$2" \
    --extract-hook="$note" --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    "$suite" "$3.new.tar"
  mv "$3.new.tar" "$3"
}
bootstrap extract base-files,libc6,libstdc++6,libatomic1,tzdata,netbase "$out/base.tar"
bootstrap essential libstdc++6,libatomic1,mawk "$out/build.tar"

import() { # tar, name, further commands on the mounted root
  container=$(build from scratch)
  root=$(build mount "$container")
  tar -xf "$1" -C "$root"
  eval "${3:-:}"
  build umount "$container" > /dev/null
  build commit --quiet --rm "$container" "$2" > /dev/null
}
import "$out/base.tar" localhost/postbus-base 'rm -rf "$root"/var/cache/apt "$root"/var/lib/apt'
import "$out/build.tar" localhost/postbus-build '
  cp -L "$node" "$root/usr/local/bin/node"
  mkdir -p "$root/usr/local/lib/node_modules" && cp -a "$npm" "$root/usr/local/lib/node_modules/npm"
  ln -s ../lib/node_modules/npm/bin/npm-cli.js "$root/usr/local/bin/npm"'

# The machine's own npm settings and authorities reach the build, and stay out of the image.
cat "$HOME/.npmrc" > "$work/npmrc" 2> /dev/null || : > "$work/npmrc"
set --
if [ -f /etc/ssl/certs/ca-certificates.crt ]; then
  echo 'cafile=/run/authorities.crt' >> "$work/npmrc"
  set -- --volume /etc/ssl/certs/ca-certificates.crt:/run/authorities.crt:ro
fi
build build --quiet --pull-never --format oci --tag "postbus:$version" --volume "$work/npmrc:$(getent passwd root | cut -d: -f6)/.npmrc:ro" "$@" \
  --build-arg BUILD=localhost/postbus-build --build-arg BASE=localhost/postbus-base . > /dev/null

rm -rf "$out/rootfs" "$out/image.tar"
container=$(build from --pull-never "localhost/postbus:$version")
cp -a "$(build mount "$container")" "$out/rootfs"
build umount "$container" > /dev/null
build rm "$container" > /dev/null
# The form every runtime imports, under the name a pod's `postbus:VERSION` is short for.
build push --quiet "localhost/postbus:$version" "docker-archive:$out/image.tar:docker.io/library/postbus:$version"

node deploy/image/sbom.mjs "$out/rootfs" > "$out/sbom.cyclonedx.json"

bytes() { du -sb "$1" | cut -f 1; }
mib() { awk -v bytes="$1" 'BEGIN { printf "%.0f MiB", bytes / 1048576 }'; }
{
  echo "postbus:$version unpacked          $(mib "$(bytes "$out/rootfs")")"
  echo "  base                            $(mib "$(tar -tvf "$out/base.tar" | awk '{ sum += $3 } END { print sum }')")"
  echo "  node                            $(mib "$(bytes "$out/rootfs/usr/local/bin/node")")"
  echo "  node_modules                    $(mib "$(bytes "$out/rootfs/app/node_modules")")"
  echo "  apps, libs, tools               $(mib "$(( $(bytes "$out/rootfs/app") - $(bytes "$out/rootfs/app/node_modules") ))")"
  echo "postbus:$version compressed (gzip)  $(mib "$(gzip --stdout "$out/image.tar" | wc -c)")"
} | tee "$out/size"
