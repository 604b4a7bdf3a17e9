#!/usr/bin/env bash
# Sets up what a city would run otherwise beside the synthetic city of `cargo bench --bench gis`: PostGIS with the same covers,
# and in front of it Martin, bbox-server and pygeoapi, whichever of them is on the PATH. Then runs the bench with their
# addresses, all in one run, and ends what it started.
#   benches/peers.sh [-- options of the bench]
# Wants Debian's postgresql, postgresql-15-postgis-3 and gdal-bin; `cargo install --locked --no-default-features` of
# `martin --features postgres` and `bbox-server --features feature-server` (half an hour on two cores); in a virtual
# environment `pip install pygeoapi gunicorn psycopg2-binary sqlalchemy geoalchemy2`.
set -euo pipefail
cd "$(dirname "$0")/.."
target=$(cargo metadata --no-deps --offline --format-version 1 | sed -E 's/.*"target_directory":"([^"]*)".*/\1/')
city=${CITY:-$target/tmp/bench/city-1000000}
folder=$(mktemp -d /tmp/peers-XXXXXX)
chmod 755 "$folder"
bin=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)
as=(); if [ "$(id -u)" -eq 0 ]; then as=(runuser -u postgres --); fi
port=55433
pids=()
finish() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  "${as[@]}" "$bin/pg_ctl" -D "$folder/pg" -m immediate stop >/dev/null 2>&1 || true
  rm -rf "$folder"
}
trap finish EXIT

mkdir "$folder/pg"; if [ "$(id -u)" -eq 0 ]; then chown postgres "$folder/pg"; fi
"${as[@]}" "$bin/initdb" -D "$folder/pg" -U postgres -A trust >/dev/null
# What its manual advises for a machine of this size.
printf "port = %s\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '/tmp'\nshared_buffers = 4GB\neffective_cache_size = 12GB\nwork_mem = 64MB\nmaintenance_work_mem = 1GB\n" \
  "$port" >> "$folder/pg/postgresql.conf"
"${as[@]}" "$bin/pg_ctl" -D "$folder/pg" -w -l "$folder/pg/log" start >/dev/null
url=postgres://postgres@127.0.0.1:$port/postgres
psql -q "$url" -c 'CREATE EXTENSION postgis'
"$target/release/lidmark" export covers --data "$city" -o "$folder/covers.gpkg" >/dev/null
# The public fields, as `/ogc` gives them.
ogr2ogr -f PostgreSQL "PG:host=127.0.0.1 port=$port user=postgres dbname=postgres" "$folder/covers.gpkg" -nln covers \
  -select code,class,state,district,road,owner -t_srs EPSG:4326 -lco GEOMETRY_NAME=geom -lco FID=fid --config PG_USE_COPY YES
psql -q "$url" -c 'VACUUM ANALYZE covers'
echo "PostGIS has $(psql -At "$url" -c 'SELECT count(*) FROM covers') covers"

if command -v martin >/dev/null; then
  RUST_LOG=error martin --listen-addresses 127.0.0.1:55434 --cache-size 0 "$url" >"$folder/martin.log" 2>&1 & pids+=($!)
  export LIDMARK_BENCH_MARTIN=127.0.0.1:55434
fi
if command -v bbox-server >/dev/null; then
  printf '[webserver]\nserver_addr = "127.0.0.1:55435"\n[[collections.postgis]]\nurl = "%s"\n' "$url" > "$folder/bbox.toml"
  (cd "$folder" && RUST_LOG=error exec bbox-server --config bbox.toml serve) >"$folder/bbox.log" 2>&1 & pids+=($!)
  export LIDMARK_BENCH_BBOX_SERVER=127.0.0.1:55435
fi
if command -v pygeoapi >/dev/null; then
  cat > "$folder/pygeoapi.yml" <<YML
server: {bind: {host: 127.0.0.1, port: 55436}, url: 'http://127.0.0.1:55436', mimetype: application/json, encoding: utf-8,
  languages: [en-US], limits: {default_items: 10, max_items: 10000}, map: {url: '', attribution: ''}}
logging: {level: ERROR}
metadata:
  identification: {title: covers, description: covers, keywords: [covers], keywords_type: theme, terms_of_service: none, url: 'http://127.0.0.1'}
  license: {name: none, url: 'http://127.0.0.1'}
  provider: {name: none, url: 'http://127.0.0.1'}
  contact: {name: none}
resources:
  covers:
    type: collection
    title: covers
    description: covers
    keywords: [covers]
    links: []
    extents: {spatial: {bbox: [-180, -90, 180, 90], crs: 'http://www.opengis.net/def/crs/OGC/1.3/CRS84'}}
    providers:
      - {type: feature, name: PostgreSQL, id_field: fid, table: covers, geom_field: geom,
         data: {host: 127.0.0.1, port: $port, dbname: postgres, user: postgres, password: '', search_path: [public]}}
YML
  export PYGEOAPI_CONFIG=$folder/pygeoapi.yml PYGEOAPI_OPENAPI=$folder/openapi.yml
  pygeoapi openapi generate "$PYGEOAPI_CONFIG" --output-file "$PYGEOAPI_OPENAPI" >/dev/null
  gunicorn --workers 4 --worker-class gthread --threads 2 --keep-alive 60 --bind 127.0.0.1:55436 pygeoapi.flask_app:APP >"$folder/pygeoapi.log" 2>&1 & pids+=($!)
  export LIDMARK_BENCH_PYGEOAPI=127.0.0.1:55436
fi
for address in ${LIDMARK_BENCH_MARTIN:-} ${LIDMARK_BENCH_BBOX_SERVER:-} ${LIDMARK_BENCH_PYGEOAPI:-}; do
  for _ in $(seq 60); do (: </dev/tcp/${address/://}) 2>/dev/null && continue 2; sleep 0.5; done
  echo "nothing listens at $address"; tail "$folder"/*.log; exit 1
done
cargo bench --bench gis -- "$@"
