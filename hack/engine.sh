#!/usr/bin/env bash
# A Docker engine: engine.sh up | down
#
# An engine that answers is used as it is, but for one firewall rule, which `down` takes back. Where none answers and we
# are root already, one is started for this user, with its data in the cache; `down` stops that one, and never another.
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

state=$cache/engine
pid_file=$state/dockerd.pid

answers() { timeout 10 docker version > /dev/null 2>&1; }

# A Service address that kube-proxy does not know yet leaves a node by the default route, and something outside may
# answer it: the tests' traffic would leave the machine, and a stranger's HTTP 404 would be taken for ours.
guarded=(DOCKER-USER --destination "$SERVICE_CIDR" --jump REJECT)
guard() {
  may_set_up && iptables --list DOCKER-USER > /dev/null 2>&1 || return 0
  iptables --check "${guarded[@]}" 2> /dev/null && return
  say "keeping the tests' traffic on this machine: iptables rejects forwarding to $SERVICE_CIDR (make clean undoes it)"
  iptables --insert "${guarded[@]}"
}
unguard() { iptables --delete "${guarded[@]}" 2> /dev/null || true; }

start() {
  mkdir -p "$state"
  cp "$root/hack/runc-lesscaps" "$state/" # the engine outlives this clone
  rm -f "$pid_file"                       # no engine answers: the file is of one that died, its number may be another's
  setsid nohup dockerd --data-root "$state/data" --pidfile "$pid_file" \
    --add-runtime "lesscaps=$state/runc-lesscaps" --default-runtime lesscaps > "$state/dockerd.log" 2>&1 < /dev/null &
  local dockerd=$!
  until answers; do
    kill -0 $dockerd 2> /dev/null ||
      die "$(tail -n 3 "$state/dockerd.log")" "the Docker engine did not start; its log: $state/dockerd.log"
    sleep 0.2
  done
}

up() {
  if ! answers; then
    [[ -z ${DOCKER_HOST:-} ]] || die "no Docker engine answers at DOCKER_HOST=$DOCKER_HOST: start it, or unset that"
    may_set_up || die "no Docker engine answers. Start one, then try again:" \
      "  sudo systemctl start docker     # or, if there is none: sudo apt-get install docker.io"
    say "no Docker engine answers: starting one with its data in $state (make clean stops it; SETUP=no forbids it)"
    "$root/hack/install.sh" dockerd=docker.io docker=docker.io iptables capsh=libcap2-bin jq
    start
  fi
  guard
}

down() {
  unguard
  local dockerd
  dockerd=$(cat "$pid_file" 2> /dev/null) && [[ $(cat "/proc/$dockerd/comm" 2> /dev/null) == dockerd ]] || return 0
  say "stopping our Docker engine (its images stay in $state; make distclean removes them)"
  docker network prune --force > /dev/null
  kill "$dockerd"
  while [[ -d /proc/$dockerd ]]; do sleep 0.2; done
  ip link delete docker0 2> /dev/null || true
  # One that was killed before it could tidy up leaves its data folder mounted on itself.
  while mountpoint --quiet "$state/data"; do umount --recursive "$state/data"; done
}

case ${1:-} in
  up | down) "$1" ;;
  *) die "usage: engine.sh up | down" ;;
esac
