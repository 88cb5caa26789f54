#!/usr/bin/env bash
# Installs what is missing from Debian's packages: install.sh COMMAND[=PACKAGE]...
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

packages=()
for wanted in "$@"; do
  command -v "${wanted%%=*}" > /dev/null || packages+=("${wanted#*=}")
done
((${#packages[@]})) || exit 0

command="apt-get install --yes --no-install-recommends ${packages[*]}"
may_set_up || die "missing on this machine: ${packages[*]}. Run this, then try again:" "  sudo $command"
command -v apt-get > /dev/null || die "missing on this machine: ${packages[*]}; there is no apt-get to install them with"

say "installing ${packages[*]} (Debian packages; SETUP=no forbids it)"
# Packages of servers start them: an engine with its data elsewhere, or a Prometheus on a port that tests want.
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
  printf '#!/bin/sh\nexit 101\n' > $policy
  chmod +x $policy
  trap 'rm $policy' EXIT
fi
log=$(mktemp)
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # a command line, to be split
{ apt-get update && $command; } > "$log" 2>&1 < /dev/null || die "$(tail -n 20 "$log")" "failed: $command (whole log: $log)"
rm "$log"
