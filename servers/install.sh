#!/bin/sh
# Installs the servers that tests, benchmarks and the local cluster start (Debian; root, or sudo).
# Installed packages are skipped. No service is started: tests and benchmarks start their own servers.
set -eu
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/usr/local/sbin:/usr/local/go/bin

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

missing=
need() { # package, then a program or file that shows that it is installed
  command -v "$2" >/dev/null || ls $2 >/dev/null 2>&1 || missing="$missing $1"
}
while read -r package shown_by; do
  need "$package" "$shown_by"
done <<EOF
$("${PYTHON:-python3}" -m servers)
EOF

if [ -n "$missing" ]; then
  command -v apt-get >/dev/null || { echo "Not Debian; install by hand:$missing" >&2; exit 1; }
  policy=/usr/sbin/policy-rc.d # Debian runs it before it starts a service; 101 means no
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
    as_root chmod +x $policy
    trap 'as_root rm -f $policy' EXIT
  fi
  as_root apt-get update -qq
  # shellcheck disable=SC2086 # several words
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -qq -y --no-install-recommends $missing >/dev/null
fi

# FerretDB, in place of MongoDB's own server, which Debian does not have.
if command -v go >/dev/null; then
  (cd servers/ferretdb && go build -o ../../build/servers/ferretdb .)
else
  echo "Go is missing, so FerretDB was not built: its tests are skipped, or fail in CI." >&2
fi
