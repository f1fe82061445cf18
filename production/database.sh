# Sourced by backup.sh and restore.sh: how PostgreSQL is reached, in libpq's own variables (PGHOST, PGPORT, PGUSER), and
# PGPASSWORD or a file that holds it, PGPASSWORD_FILE.
export PGHOST="${PGHOST:?}" PGUSER="${PGUSER:?}"
if [ -n "${PGPASSWORD_FILE:-}" ]; then
  PGPASSWORD="$(cat "$PGPASSWORD_FILE")"
  export PGPASSWORD
fi
# Temporal's own two; and the records.
databases="temporal temporal_visibility ${HOLDFAST_RECORDS_DATABASE:-holdfast}"
