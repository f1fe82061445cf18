#!/bin/sh
# Makes Temporal's two databases and brings their tables to what this version of the server wants. Run before each start
# and before each new version of the server; what is there already stays.
set -eu
. "$(dirname "$0")/sql.sh"

bring_up_to_date() {
  export SQL_DATABASE="$1"
  temporal-sql-tool create-database
  temporal-sql-tool setup-schema --version 0.0
  temporal-sql-tool update-schema --schema-name "postgresql/v12/$2"
}

bring_up_to_date temporal temporal
bring_up_to_date temporal_visibility visibility
