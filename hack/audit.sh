#!/usr/bin/env bash
# Compares every locked dependency that users install with the database of known weaknesses (OSV): audit.sh [OPTION...]
#
# A known weakness fails. A database that cannot be reached is told and fails nothing: no build depends on it.
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

status=0
answer=$(cd "$root" && UV_HTTP_RETRIES=0 "${UV:-uv}" audit --frozen --no-dev --preview-features audit-command "$@" 2>&1) ||
  status=$?
case $status in
  0) say "audit: no known weakness in the locked dependencies" ;;
  1) die "$answer" ;;
  *) say "audit: NOT DONE, the database of weaknesses gave no answer: $(tail -n 1 <<< "$answer")" ;;
esac
