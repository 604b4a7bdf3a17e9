#!/usr/bin/env bash
# Lets schemathesis (PyPI) make up requests from openapi.yaml against a demo of its own: no 5xx, no
# answer that the contract does not document. Not a part of `make test`: it runs for minutes and draws
# its requests at random. EXAMPLES=200 bash tests/schemathesis.sh tries harder.
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
target/debug/lidmark demo --synthetic dongying --covers 300 --no-serve --data "$data/city" >"$data/log" 2>&1
# One address sends everything here, so the limits per network would only be in the way.
sed -i 's/_per_minute = .*/_per_minute = 100000000/' "$data/city/lidmark.toml"
target/debug/lidmark serve --data "$data/city" --listen "$listen" >"$data/log" 2>&1 &
server=$!
for _ in $(seq 300); do
  curl -fsS "http://$listen/readyz" >/dev/null 2>&1 && break
  kill -0 "$server" 2>/dev/null || { cat "$data/log"; exit 1; }
  sleep 0.2
done
token=$(target/debug/lidmark token add --login "${LOGIN:-admin}" --name schemathesis --data "$data/city" | tail -n 1)
status=0
"$venv/bin/schemathesis" run openapi.yaml --url "http://$listen" \
  --header "Authorization: Bearer $token" \
  --checks not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance \
  --max-examples "${EXAMPLES:-50}" --phases examples,coverage,fuzzing --continue-on-failure --no-color "$@" || status=$?
kill -0 "$server" 2>/dev/null || { echo "the server has ended"; tail -n 40 "$data/log"; exit 1; }
exit "$status"
