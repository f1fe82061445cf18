# Sourced by the scripts beside it: how to reach PostgreSQL. Wants SQL_HOST and SQL_USER, and SQL_PASSWORD or a file that
# holds it, SQL_PASSWORD_FILE.
export SQL_PLUGIN="${SQL_PLUGIN:-postgres12}" SQL_HOST="${SQL_HOST:?}" SQL_PORT="${SQL_PORT:-5432}" SQL_USER="${SQL_USER:?}"
if [ -n "${SQL_PASSWORD_FILE:-}" ]; then
  SQL_PASSWORD="$(cat "$SQL_PASSWORD_FILE")"
fi
export SQL_PASSWORD="${SQL_PASSWORD:?}"
