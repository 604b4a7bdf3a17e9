// The map below the covers, as the city's settings say: none of its own, pictures from a server, a style, or a local file.

import { t } from "./words.js";

const PAPER = "#f4f2ed";
const EMPTY = { version: 8, sources: {}, layers: [{ id: "paper", type: "background", paint: { "background-color": PAPER } }] };

const pictures = (settings, tiles) => ({
  type: "raster", tiles, tileSize: settings.tile_size, maxzoom: settings.max_zoom, attribution: settings.attribution,
});

function rasterStyle(settings, sources) {
  const style = structuredClone(EMPTY);
  for (const [name, tiles] of sources) {
    style.sources[name] = pictures(settings, tiles);
    style.layers.push({ id: name, type: "raster", source: name });
  }
  return style;
}

/** Land, water, roads and buildings of a local file of vector tiles, by the names that Protomaps, OpenMapTiles and Shortbread use. */
function vectorStyle(settings) {
  const style = structuredClone(EMPTY);
  style.sources.base = { type: "vector", tiles: [location.origin + "/tiles/base/{z}/{x}/{y}"], maxzoom: settings.max_zoom, attribution: settings.attribution };
  const layer = (names, type, paint, more = {}) => names.forEach((name) => style.layers.push({ id: `base-${type}-${name}`, type, source: "base", "source-layer": name, paint, ...more }));
  layer(["landuse", "land", "landcover"], "fill", { "fill-color": "#e8ebdf" });
  layer(["water", "ocean", "water_polygons"], "fill", { "fill-color": "#c9dbe8" }, { filter: ["==", ["geometry-type"], "Polygon"] });
  layer(["buildings", "building"], "fill", { "fill-color": "#e2ddd4" });
  layer(["roads", "transportation", "streets"], "line", { "line-color": "#fff", "line-width": ["interpolate", ["exponential", 1.6], ["zoom"], 8, 0.5, 14, 3, 18, 18] });
  layer(["boundaries", "boundary"], "line", { "line-color": "#9a93a6", "line-dasharray": [3, 2] });
  return style;
}

const SAID_AGAIN_MS = 60_000;

/** Says when pictures of the ground or of the covers do not come; the rest is drawn all the same. To be called before other sources are added. */
export function watchTiles(map, say) {
  const grounds = new Set(Object.keys(map.getStyle().sources));
  const quietUntil = { no_ground: 0, no_answer: 0 };
  map.on("error", ({ sourceId, error }) => {
    console.error(error);
    const problem = sourceId === undefined || grounds.has(sourceId) ? "no_ground" : "no_answer";
    if (Date.now() < quietUntil[problem]) return;
    quietUntil[problem] = Date.now() + SAID_AGAIN_MS;
    say(t(problem));
  });
}

/** The style to start from. A city's own style is fetched from where the settings say. */
export async function groundStyle(settings) {
  switch (settings.base) {
    case "xyz":
      return rasterStyle(settings, [["base", [settings.url]]]);
    case "tianditu":
      return rasterStyle(settings, [["base", settings.tiles], ["base-names", settings.name_tiles]]);
    case "style": {
      const answer = await fetch(settings.url);
      if (!answer.ok) throw new Error(settings.url + ": " + answer.status);
      return answer.json();
    }
    case "pmtiles":
      return settings.is_vector ? vectorStyle(settings) : rasterStyle(settings, [["base", [location.origin + "/tiles/base/{z}/{x}/{y}"]]]);
    default:
      return structuredClone(EMPTY);
  }
}
