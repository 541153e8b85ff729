#!/bin/sh
# Finds redis-server, nginx, a Chromium and the websockets of Python for the tests, or installs them where that can be done
# without asking: on Debian, as root. Does nothing where they are there. The tests start servers and browsers of their
# own; no service is started here. CHROMIUM_PATH names a Chromium or Chrome elsewhere.
set -eu

packages=''
command -v redis-server >/dev/null 2>&1 && command -v redis-cli >/dev/null 2>&1 || packages='redis-server'

chromium_found() {
  if [ -n "${CHROMIUM_PATH:-}" ]; then
    [ -x "$CHROMIUM_PATH" ] && return 0
    echo "CHROMIUM_PATH ($CHROMIUM_PATH) is no program" >&2
    exit 1
  fi
  for name in chromium chromium-browser google-chrome google-chrome-stable; do
    command -v "$name" >/dev/null 2>&1 && return 0
  done
  return 1
}
chromium_found || packages="$packages chromium"

# Tests set the clocks of the programs that they start, by a small library.
command -v cc >/dev/null 2>&1 || packages="$packages gcc libc6-dev"

command -v nginx >/dev/null 2>&1 || [ -x /usr/sbin/nginx ] || packages="$packages nginx-light"

# Another Python may come first in PATH; Debian's own has Debian's packages.
for python in python3 /usr/bin/python3 none; do
  [ "$python" != none ] || packages="$packages python3-websockets"
  "$python" -c 'import websockets' >/dev/null 2>&1 && break
done

[ -n "$packages" ] || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
  echo "missing for the tests:$packages" >&2
  echo "redis-server and redis-cli 7.0 or later (Debian: sudo apt-get install redis-server; macOS: brew install redis)" >&2
  echo "nginx (Debian: sudo apt-get install nginx-light; macOS: brew install nginx)" >&2
  echo "Python 3.11 or later with websockets (Debian: sudo apt-get install python3-websockets)" >&2
  echo "cc, a C compiler (Debian: sudo apt-get install gcc libc6-dev)" >&2
  echo "a Chromium or Chrome (Debian: sudo apt-get install chromium), or CHROMIUM_PATH=/path/to/one" >&2
  exit 1
fi

export DEBIAN_FRONTEND=noninteractive
# Installing redis-server would start a service on port 6379; this policy keeps it down for the moment.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
  trap 'rm -f "$policy"' EXIT
fi
install() {
  # shellcheck disable=SC2086 # one word a package
  apt-get install -y --no-install-recommends $packages >/dev/null 2>&1
}
install || { apt-get update >/dev/null && install; } || {
  echo "could not be installed: run apt-get install $packages and read what it says" >&2
  exit 1
}
