#!/usr/bin/env bash
# Makes sure of Debian's chromium, which the browser tests drive; they say why they skip without it.
set -euo pipefail

if [[ -x /usr/bin/chromium ]]; then
  exit 0
fi
if [[ $(id -u) -eq 0 ]] && command -v apt-get >/dev/null; then
  echo "installing Debian's chromium for the browser tests"
  if apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; then
    exit 0
  fi
fi
echo "The browser tests need chromium at /usr/bin/chromium and will be skipped. On Debian: sudo apt-get install chromium" >&2
