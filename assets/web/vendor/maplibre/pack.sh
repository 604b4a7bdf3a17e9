#!/bin/sh
# Packs the files of a MapLibre GL JS release for this folder: pack.sh FOLDER, with the unpacked package in FOLDER.
# Needs node for brotli. What is packed is not changed, except that the line naming a source map is cut off.
set -eu
cd "$(dirname "$0")"
: > SHA256SUMS
for name in maplibre-gl.mjs maplibre-gl-worker.mjs maplibre-gl.css; do
  sed '/^\/\/# sourceMappingURL=/d' "$1/dist/$name" > "$name"
  sha256sum "$name" >> SHA256SUMS
  node -e 'const fs=require("fs"),z=require("zlib"),n=process.argv[1],b=fs.readFileSync(n);
    fs.writeFileSync(n+".br",z.brotliCompressSync(b,{params:{[z.constants.BROTLI_PARAM_QUALITY]:11,[z.constants.BROTLI_PARAM_LGWIN]:22,[z.constants.BROTLI_PARAM_SIZE_HINT]:b.length}}))' "$name"
  gzip -9 -n -c "$name" > "$name.gz"
  rm "$name"
done
cp "$1/LICENSE.txt" LICENSE.txt
