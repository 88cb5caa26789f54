#!/usr/bin/env bash
# Installs what is missing from Debian's packages: install.sh COMMAND[=PACKAGE]...
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

packages=()
for wanted in "$@"; do
  command -v "${wanted%%=*}" > /dev/null || packages+=("${wanted#*=}")
done
((${#packages[@]})) || exit 0

install=(apt-get install --yes --no-install-recommends "${packages[@]}")
may_set_up || die "missing on this machine: ${packages[*]}. Run this, then try again:" "  sudo ${install[*]}"
command -v apt-get > /dev/null || die "missing on this machine: ${packages[*]}, and apt-get to install them with"

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
{ apt-get update && "${install[@]}"; } > "$log" 2>&1 < /dev/null ||
  die "$(tail -n 20 "$log")" "failed: ${install[*]}; the whole log: $log"
rm "$log"
