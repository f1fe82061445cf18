#!/bin/sh
# Writes a backup of every database into a new folder under FOLDER and prints which: `backup.sh FOLDER`. Nothing has to
# be stopped for it. Each file is whole in itself, as of the moment its dump began.
set -eu
. "$(dirname "$0")/database.sh"
umask 077

folder="${1:?Name the folder for backups}/$(date -u +%Y%m%dT%H%M%SZ)"
mkdir -p "$folder.partial"
for database in $databases; do
  pg_dump --format=custom --file="$folder.partial/$database.dump" "$database"
done
mv "$folder.partial" "$folder"
echo "$folder"
