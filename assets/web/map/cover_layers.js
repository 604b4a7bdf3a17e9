// The covers on the map: numbers from afar, points closer, signs and codes close in. All come from the filtered tiles.

import { COLORS, HOT } from "./symbols.js";
import { filterParameters, listen, state } from "./state.js";

/** From here on a tile holds covers and not counts. */
export const COVERS_FROM = 14;
const SIGNS_FROM = 15.5, CODES_FROM = 17;
const EMPTY = { type: "FeatureCollection", features: [] };
const FONT = ["Noto Sans SC Regular"];
const BOLD = ["Noto Sans SC Bold"];

const colorOfClass = ["match", ["get", "class"], ...Object.entries(COLORS).flat(), COLORS.unidentified];
const isHot = ["any", ["==", ["get", "open_case"], true], ["==", ["get", "open_case"], "true"]];
/** What must not be hidden by its neighbours is drawn last. */
const order = ["case", isHot, 3, ["!=", ["get", "state"], "intact"], 2, 1];

/** Where the tiles of what is filtered lie. */
function tileAddress() {
  const filter = filterParameters().toString();
  return location.origin + "/tiles/staff/covers/{z}/{x}/{y}" + (filter ? "?" + filter : "");
}

const LAYERS = [
  {
    id: "heat", type: "heatmap", source: "covers", "source-layer": "covers", minzoom: COVERS_FROM, layout: { visibility: "none" },
    paint: { "heatmap-radius": ["interpolate", ["linear"], ["zoom"], 13, 14, 18, 40], "heatmap-opacity": 0.75, "heatmap-weight": ["case", isHot, 1, 0.4] },
  },
  {
    id: "heat-far", type: "heatmap", source: "covers", "source-layer": "covers", maxzoom: COVERS_FROM, layout: { visibility: "none" },
    paint: { "heatmap-radius": 22, "heatmap-opacity": 0.75, "heatmap-weight": ["interpolate", ["linear"], ["ln", ["+", 1, ["get", "count"]]], 0, 0.05, 9, 1] },
  },
  // Drawn with no color: tiles of counts are only fetched where a layer shows them, and clusters.js adds them up.
  { id: "counts", type: "circle", source: "covers", "source-layer": "covers", maxzoom: COVERS_FROM, paint: { "circle-radius": 1, "circle-opacity": 0 } },
  {
    id: "clusters", type: "circle", source: "clusters", maxzoom: COVERS_FROM,
    paint: {
      "circle-radius": ["interpolate", ["linear"], ["ln", ["get", "count"]], 0, 9, 5, 15, 12, 30],
      "circle-color": ["interpolate", ["linear"], ["ln", ["get", "count"]], 0, "#4f7fae", 6, "#0b4a8f", 12, "#06264a"],
      "circle-stroke-color": "#fff", "circle-stroke-width": 2, "circle-opacity": 0.9,
    },
  },
  {
    id: "cluster-counts", type: "symbol", source: "clusters", maxzoom: COVERS_FROM,
    layout: { "text-field": ["get", "shown"], "text-font": BOLD, "text-size": 13, "text-allow-overlap": true, "text-ignore-placement": true },
    paint: { "text-color": "#fff" },
  },
  {
    id: "points", type: "circle", source: "covers", "source-layer": "covers", minzoom: COVERS_FROM, maxzoom: SIGNS_FROM,
    layout: { "circle-sort-key": order },
    paint: {
      "circle-radius": ["interpolate", ["linear"], ["zoom"], 13, ["case", isHot, 4.5, 2.2], 15.5, ["case", isHot, 8, 5]],
      "circle-color": ["case", ["==", ["get", "state"], "intact"], colorOfClass, "#fff"],
      "circle-stroke-color": ["case", isHot, HOT, ["==", ["get", "state"], "intact"], "#fff", colorOfClass],
      "circle-stroke-width": ["case", isHot, 2.5, ["==", ["get", "state"], "intact"], 0.5, 1.5],
    },
  },
  {
    id: "signs", type: "symbol", source: "covers", "source-layer": "covers", minzoom: SIGNS_FROM,
    layout: {
      "icon-image": ["concat", "cover/", ["get", "class"], "/", ["get", "state"]], "icon-allow-overlap": true, "icon-ignore-placement": true,
      "icon-size": ["interpolate", ["linear"], ["zoom"], SIGNS_FROM, 0.65, 18, 1.1], "symbol-sort-key": order,
    },
  },
  {
    id: "alarms", type: "symbol", source: "covers", "source-layer": "covers", minzoom: SIGNS_FROM, filter: isHot,
    layout: { "icon-image": "alarm", "icon-allow-overlap": true, "icon-ignore-placement": true, "icon-offset": [10, -10] },
  },
  {
    id: "codes", type: "symbol", source: "covers", "source-layer": "covers", minzoom: CODES_FROM,
    layout: {
      "text-field": ["coalesce", ["get", "code"], ""], "text-font": FONT, "text-size": 12, "text-anchor": "top", "text-offset": [0, 1.1],
      "symbol-sort-key": ["-", 0, order], "text-optional": true,
    },
    paint: { "text-color": "#10161d", "text-halo-color": "#fff", "text-halo-width": 1.5 },
  },
  { id: "chosen", type: "circle", source: "chosen", paint: { "circle-radius": 17, "circle-opacity": 0, "circle-stroke-color": "#10161d", "circle-stroke-width": 3.5 } },
];

/** What answers to a click, nearest to the eye first. */
export const TOUCHED = ["signs", "points"];

/** While a map goes closer, tiles of counts and of covers are drawn together: each layer takes its own kind. */
const ownKind = (layer) => (layer.source !== "covers" ? layer
  : { ...layer, filter: ["all", ["has", layer.maxzoom === COVERS_FROM ? "count" : "class"], layer.filter ?? true] });

/** Adds the covers to a map whose ground is there, and keeps their tiles those of the filters. */
export function addCovers(map) {
  map.addSource("covers", { type: "vector", tiles: [tileAddress()], minzoom: 0, maxzoom: 18 });
  map.addSource("clusters", { type: "geojson", data: EMPTY });
  map.addSource("chosen", { type: "geojson", data: EMPTY });
  for (const layer of LAYERS) map.addLayer(ownKind(layer));
  showHeat(map);
  listen((what) => {
    if (what === "filter") map.getSource("covers").setTiles([tileAddress()]);
    if (what === "layers") showHeat(map);
  });
}

function showHeat(map) {
  const is_heat = state.layers.has("heat");
  const shown = (ids, yes) => ids.forEach((id) => map.setLayoutProperty(id, "visibility", yes ? "visible" : "none"));
  shown(["heat", "heat-far"], is_heat);
  shown(["clusters", "cluster-counts", "points"], !is_heat);
}

/** Rings the cover whose file is open; null rings none. */
export function ring(map, place) {
  const feature = place && { type: "Feature", geometry: { type: "Point", coordinates: place }, properties: {} };
  map.getSource("chosen").setData(feature ?? EMPTY);
}
