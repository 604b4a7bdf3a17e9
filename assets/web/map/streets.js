// Names of streets, derived from the covers that lie in them, for a map without a ground of its own.

import { ask } from "./api.js";
import { boxText } from "./geometry.js";

const FROM_ZOOM = 14.5;
/** Covers of a quarter of the map that are looked at: a list comes from one corner, so that of the whole map it would name streets there alone. */
const MOST = 1000;
const EMPTY = { type: "FeatureCollection", features: [] };
const middle = (numbers) => numbers.sort((one, other) => one - other)[numbers.length >> 1];

/** A box in four. */
function quarters([west, south, east, north]) {
  const [lon, lat] = [(west + east) / 2, (south + north) / 2];
  return [[west, lat, lon, north], [lon, lat, east, north], [west, south, lon, lat], [lon, south, east, lat]];
}

/** One name for each road, on the cover in the middle of those that are seen. */
export function namesOf(covers) {
  const roads = new Map();
  for (const cover of covers) if (cover.road) roads.set(cover.road, [...(roads.get(cover.road) ?? []), cover]);
  return [...roads].map(([road, along]) => ({ road, count: along.length, lon: middle(along.map(({ lon }) => lon)), lat: middle(along.map(({ lat }) => lat)) }));
}

/** Writes the names of the streets that the map shows close in. */
export function addStreets(map) {
  map.addSource("streets", { type: "geojson", data: EMPTY });
  map.addLayer({
    id: "streets", type: "symbol", source: "streets", minzoom: FROM_ZOOM,
    layout: { "text-field": ["get", "road"], "text-font": ["Noto Sans SC Bold"], "text-size": 14, "text-offset": [0, -1.6], "symbol-sort-key": ["-", 0, ["get", "count"]] },
    paint: { "text-color": "#5b5348", "text-halo-color": "#f4f2ed", "text-halo-width": 2 },
  }, "counts");
  const update = async () => {
    if (map.getZoom() < FROM_ZOOM) return;
    try {
      const parts = await Promise.all(quarters(map.getBounds().toArray().flat()).map((box, at) => ask("streets-" + at, `/api/v1/map/covers?limit=${MOST}&fields=road,lon,lat&bbox=${boxText(box)}`)));
      const features = parts.flatMap(({ covers }) => namesOf(covers)).map(({ lon, lat, ...properties }) => ({ type: "Feature", properties, geometry: { type: "Point", coordinates: [lon, lat] } }));
      map.getSource("streets").setData({ type: "FeatureCollection", features });
    } catch {
      // A map without names is a map all the same; the list says what is wrong.
    }
  };
  map.on("moveend", update);
  update();
}
