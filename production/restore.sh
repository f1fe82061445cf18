#!/bin/sh
# Puts every database back as it was in one backup: `restore.sh FOLDER`, FOLDER being what backup.sh printed. Temporal's
# server and the workers must be stopped; what was in the databases is gone afterwards.
set -eu
. "$(dirname "$0")/database.sh"

folder="${1:?Name the backup}"
for database in $databases; do
  [ -r "$folder/$database.dump" ] || { echo "$folder holds no backup of $database; nothing was changed." >&2; exit 1; }
done
for database in $databases; do
  dropdb --if-exists --force --maintenance-db=template1 "$database"
  createdb --maintenance-db=template1 "$database"
  pg_restore --no-owner --exit-on-error --dbname="$database" "$folder/$database.dump"
done
