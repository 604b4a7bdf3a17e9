#!/usr/bin/env bash
# Stops the private PostgreSQL cluster that tests/it/support/postgres.rs started for this checkout.
# By the pid it wrote down, nothing else; without one there is nothing to do.
set -u
target=$(cargo metadata --no-deps --offline --format-version 1 2>/dev/null | sed -E 's/.*"target_directory":"([^"]*)".*/\1/')
note="$target/tmp/postgres.folder"
[ -f "$note" ] || exit 0
folder=$(cat "$note")
pid=$(head -n 1 "$folder/data/postmaster.pid" 2>/dev/null) || exit 0
[ -n "$pid" ] && kill -INT "$pid" 2>/dev/null
for _ in $(seq 50); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
rm -rf "$folder" "$note"
