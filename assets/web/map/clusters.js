// Numbers from afar: the server counts covers in small cells of each tile; here they are added up to circles that can be read.

import { COVERS_FROM } from "./cover_layers.js";
import { spoken } from "./words.js";

/** Circles along a tile's side of 512 pixels. */
const ALONG = 7;

const across = (lon) => (lon + 180) / 360;
const down = (lat) => (1 - Math.asinh(Math.tan(lat * Math.PI / 180)) / Math.PI) / 2;

/** Cells as `{lon, lat, count}` to one circle for each square of the zoom, in the weighted middle of what it counts. */
export function addUp(cells, zoom) {
  const squares = new Map();
  const side = 2 ** zoom * ALONG;
  for (const { lon, lat, count } of cells) {
    const key = Math.floor(across(lon) * side) + "/" + Math.floor(down(lat) * side);
    const square = squares.get(key) ?? { lon: 0, lat: 0, count: 0 };
    square.lon += lon * count;
    square.lat += lat * count;
    square.count += count;
    squares.set(key, square);
  }
  return [...squares.values()].map(({ lon, lat, count }) => ({ lon: lon / count, lat: lat / count, count }));
}

/** Keeps the circles of a map up to date with its tiles. */
export function keepClusters(map) {
  let shown = "";
  const short = new Intl.NumberFormat(spoken(), { notation: "compact", maximumFractionDigits: 1 });
  const update = () => {
    const zoom = Math.floor(map.getZoom());
    if (zoom >= COVERS_FROM || !map.isSourceLoaded("covers")) return;
    const seen = new Map();
    for (const { geometry, properties } of map.querySourceFeatures("covers", { sourceLayer: "covers", filter: ["has", "count"] })) {
      const [lon, lat] = geometry.coordinates;
      seen.set(`${lon.toFixed(6)}/${lat.toFixed(6)}`, { lon, lat, count: Number(properties.count) });
    }
    const circles = addUp(seen.values(), zoom);
    const now = JSON.stringify(circles);
    if (now === shown) return;
    shown = now;
    const features = circles.map(({ lon, lat, count }) => ({
      type: "Feature", geometry: { type: "Point", coordinates: [lon, lat] }, properties: { count, shown: short.format(count) },
    }));
    map.getSource("clusters").setData({ type: "FeatureCollection", features });
  };
  map.on("idle", update);
  map.on("sourcedata", (event) => { if (event.sourceId === "covers" && event.isSourceLoaded) update(); });
}
