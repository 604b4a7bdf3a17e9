#!/usr/bin/env bash
# Lets schemathesis (PyPI) make up requests from openapi.yaml against a demo of its own: no 5xx, no
# answer that the contract does not document, and a clean `lidmark check` afterwards. Not a part of
# `make test`: it runs for minutes and draws its requests at random.
#   EXAMPLES=200 bash tests/schemathesis.sh          tries harder
#   LOGIN=handler bash tests/schemathesis.sh         as another role (see the demo's log-ins)
#   DATABASE=postgres://… bash tests/schemathesis.sh on PostgreSQL, in an empty database
set -euo pipefail
cd "$(dirname "$0")/.."

venv=target/schemathesis
[ -x "$venv/bin/schemathesis" ] || { python3 -m venv "$venv" && "$venv/bin/pip" install --quiet schemathesis; }
cargo build --quiet
data=$(mktemp -d)
server=
stop() {
  [ -n "$server" ] && kill "$server" 2>/dev/null && wait "$server" 2>/dev/null
  rm -rf "$data"
}
trap stop EXIT
listen=127.0.0.1:${PORT:-18089}
place=(--data "$data/city" ${DATABASE:+--database "$DATABASE"})
# Nobody is slowed down here; the brakes have a test of their own.
printf '%s\n' 'secure_cookies = false' 'tries_per_minute = 1000000' 'reports_per_minute = 1000000' >"$data/loose.toml"
target/debug/lidmark demo --synthetic dongying --covers 300 "${place[@]}" --config "$data/loose.toml" \
  --listen "$listen" >"$data/log" 2>&1 &
server=$!
for _ in $(seq 300); do
  grep -qa '^home ' "$data/log" && curl -fsS "http://$listen/readyz" >/dev/null 2>&1 && break
  kill -0 "$server" 2>/dev/null || { cat "$data/log"; exit 1; }
  sleep 0.2
done
secret=$(target/debug/lidmark token add --login "${LOGIN:-admin}" --name schemathesis "${place[@]}" | tail -n 1 | awk '{print $NF}')

# The examples of the contract become things that exist in this demo, so that calls get past the door;
# batches are kept small.
said() { grep -a "^$1 " "$data/log" | sed "s|.*$2||"; }
scan=$(said scan /c/) track=$(said track /r/) code=$(said file /covers/)
sed -e "s/7K3Q9XW2M4AB/$scan/g; s/7K3Q-9XW2-M4AB/$scan/g; s/R2026-000123-0123456789ABCDEF/$track/g" \
  -e "s/'3705020102000017'/'$code'/g; s/370502 01 02 000017/'$code'/g; s/2026-000041/2026-000001/g" \
  -e 's/maximum: 10000, description: How many/maximum: 20, description: How many/' openapi.yaml >"$data/contract.yaml"

status=0
"$venv/bin/schemathesis" run "$data/contract.yaml" --url "http://$listen" \
  --header "Authorization: Bearer $secret" \
  --checks not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance \
  --max-examples "${EXAMPLES:-50}" --workers 1 --continue-on-failure --request-timeout 60 "$@" || status=$?
kill -0 "$server" 2>/dev/null || { echo "the server has ended"; tail -n 40 "$data/log"; exit 1; }
target/debug/lidmark check "${place[@]}"
exit "$status"
