#!/bin/sh
# Runs the Temporal server, all four of its services in one process, as production.yaml says. TEMPORAL_BIND is where it
# listens; in a container all interfaces, where others find it by the container's own address.
set -eu
here="$(cd "$(dirname "$0")" && pwd)"
. "$here/sql.sh"

export TEMPORAL_BIND="${TEMPORAL_BIND:-0.0.0.0}"
if [ "$TEMPORAL_BIND" = 0.0.0.0 ]; then
  TEMPORAL_BROADCAST_ADDRESS="$(hostname -i | cut -d ' ' -f 1)"
  export TEMPORAL_BROADCAST_ADDRESS
fi
export TEMPORAL_DYNAMIC_CONFIG="${TEMPORAL_DYNAMIC_CONFIG:-$here/dynamic.yaml}"
exec temporal-server --root "$here" --config config --env production --allow-no-auth start
