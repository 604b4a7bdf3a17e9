#!/usr/bin/env bash
# Installs what the tests use and this machine lacks, from Debian's packages. Says so and goes on
# where it cannot; the tests themselves then skip what is missing, or fail where CI is set.
set -euo pipefail

missing=()
need() { # package, then a command or file that shows it is there
  if ! command -v "$2" >/dev/null 2>&1 && ! compgen -G "$2" >/dev/null; then missing+=("$1"); fi
}
need gcc gcc                       # builds the bundled SQLite
need postgresql "/usr/lib/postgresql/*/bin/initdb"
need chromium chromium
need chromium-driver chromedriver
need poppler-utils pdftoppm
need zbar-tools zbarimg
need qpdf qpdf
need proj-bin cs2cs
need gdal-bin ogr2ogr               # also reads what `lidmark export` writes
need g++ g++
need cmake cmake                   # builds ZXing, a second decoder
need mupdf-tools mutool
need python3-owslib /usr/lib/python3/dist-packages/owslib/__init__.py   # a client of OGC API
need mosquitto /usr/sbin/mosquitto      # a real MQTT broker
need libjs-pdf /usr/share/javascript/pdf/build/pdf.js   # what browsers show PDFs with
need fonts-noto-cjk "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc"
[ ${#missing[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null; then
  echo "the tests would like: ${missing[*]} (this machine has no apt-get; install them your way)"
  exit 0
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "the tests would like: ${missing[*]}; as root: apt-get install ${missing[*]}"
    exit 0
  fi
  as_root=(sudo)
fi
echo "installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for try in 1 2 3; do
  if "${as_root[@]}" apt-get update -qq >"$log" 2>&1 &&
    "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >>"$log" 2>&1; then
    exit 0
  fi
  sleep $((try * 5))
done
tail -n 20 "$log"
echo "could not install ${missing[*]}; see above"
exit 1
