#!/bin/sh
# Finds redis-server for the tests, or installs it where that can be done without asking: on Debian, as root.
# Does nothing where it is there. The tests start servers of their own; no service is started here.
set -eu

if command -v redis-server >/dev/null 2>&1 && command -v redis-cli >/dev/null 2>&1; then
  exit 0
fi

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
  echo "redis-server and redis-cli (7.0 or later) are missing: install them (Debian: sudo apt-get install redis-server; macOS: brew install redis)" >&2
  exit 1
fi

export DEBIAN_FRONTEND=noninteractive
# Installing the package would start a service on port 6379; this policy keeps it down for the moment.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
  trap 'rm -f "$policy"' EXIT
fi
apt-get install -y --no-install-recommends redis-server >/dev/null 2>&1 || {
  apt-get update >/dev/null && apt-get install -y --no-install-recommends redis-server >/dev/null
} || {
  echo "redis-server could not be installed: run apt-get install redis-server and read what it says" >&2
  exit 1
}
