// What can be switched on beside the covers: outlines of areas, open cases, tasks, sensors, names of streets.

import { ask, Superseded } from "./api.js";
import { changed, listen, state } from "./state.js";
import { colorEntry } from "./symbols.js";
import { h } from "/crew/dom.js";
import { spoken, t, word } from "./words.js";

const FONT = ["Noto Sans SC Bold"];
const name = () => ["coalesce", ["get", spoken() === "en" ? "name_en" : "name_zh"], ["get", "code"]];

/** Each overlay: where its GeoJSON lies and how it is drawn. */
const OVERLAYS = {
  districts: { address: "/api/v1/areas?kind=district&limit=500", layers: () => outlines("#59207f", 2, 6) },
  management: { address: "/api/v1/areas?kind=management&limit=500", layers: () => outlines("#00535c", 1.5, 10) },
  grids: { address: "/api/v1/areas?kind=grid&limit=500", layers: () => outlines("#7a4a00", 1, 13) },
  cases: { address: "/api/v1/map/cases", layers: () => marks("#a3000f", "number", 8) },
  tasks: { address: "/api/v1/map/tasks", layers: () => marks("#00535c", "campaign", 6) },
  sensors: { address: "/api/v1/map/sensors", layers: () => marks("#1457c8", "serial", 6) },
};

function outlines(color, width, labelsFrom) {
  return [
    { type: "line", filter: ["!=", ["geometry-type"], "Point"], paint: { "line-color": color, "line-width": width, "line-dasharray": [4, 2] } },
    { type: "symbol", minzoom: labelsFrom, filter: ["==", ["geometry-type"], "Point"], layout: { "text-field": name(), "text-font": FONT, "text-size": 14 }, paint: { "text-color": color, "text-halo-color": "#fff", "text-halo-width": 2 } },
  ];
}

function marks(color, label, radius) {
  return [
    { type: "circle", paint: { "circle-radius": radius, "circle-color": color, "circle-opacity": 0.25, "circle-stroke-color": ["case", ["==", ["get", "alarmed"], true], "#a3000f", color], "circle-stroke-width": 2.5 } },
    { type: "symbol", minzoom: 15, layout: { "text-field": ["coalesce", ["get", label], ""], "text-font": FONT, "text-size": 12, "text-anchor": "bottom", "text-offset": [0, -0.9] }, paint: { "text-color": color, "text-halo-color": "#fff", "text-halo-width": 1.5 } },
  ];
}

/** What the colors stand for of all that is switched on. */
export function overlayKey() {
  const seen = Object.keys(OVERLAYS).filter((kind) => state.layers.has(kind));
  return seen.map((kind) => {
    const [{ paint }] = OVERLAYS[kind].layers();
    return colorEntry(paint["line-color"] ?? paint["circle-color"], t("layer_" + kind));
  });
}

/** What a mark says of itself and where more stands. */
const MARKS = {
  cases: (one) => [[one.number, word("hazard", one.hazard), word("case_state", one.state)], "/desk/cases/" + encodeURIComponent(one.number)],
  tasks: (one) => [[word("task_kind", one.kind), one.campaign], "/covers/" + encodeURIComponent(one.code)],
  sensors: (one) => [[one.serial, word("sensor_state", one.state)], "/admin/sensors/" + encodeURIComponent(one.serial)],
};

/** Links to the cases, tasks and sensors around a point of the screen, each once. */
export function marksAt(map, box) {
  const layers = Object.keys(MARKS).map((kind) => kind + "-0").filter((layer) => map.getLayer(layer));
  if (layers.length === 0) return [];
  const links = new Map(map.queryRenderedFeatures(box, { layers }).map(({ source, properties }) => {
    const [words, href] = MARKS[source](properties);
    return [href, h("a", { href }, t("layer_" + source) + ": " + words.filter(Boolean).join(" · "))];
  }));
  return [...links.values()].slice(0, 8);
}

/** An area's name stands once, in the middle of its box. */
function labelled({ bbox, properties }) {
  if (!bbox) return [];
  const [west, south, east, north] = bbox;
  return [{ type: "Feature", properties, geometry: { type: "Point", coordinates: [(west + east) / 2, (south + north) / 2] } }];
}

/** All pages of a GeoJSON list. */
async function readAll(kind, address) {
  const features = [];
  for (let cursor = null; ;) {
    const page = await ask("overlay-" + kind, address + (cursor ? (address.includes("?") ? "&" : "?") + "cursor=" + encodeURIComponent(cursor) : ""));
    features.push(...page.features);
    cursor = page.next;
    if (!cursor) return { type: "FeatureCollection", features: [...features, ...features.flatMap(labelled)] };
  }
}

/** What is known of now alone. */
const LIVE = Object.keys(MARKS);

/** Adds the overlays to a map and builds their switches; `said` is told what cannot be shown. */
export function addOverlays(map, kinds, said) {
  const read = new Set();
  // What is on from the beginning may be empty without a word: nobody asked for it.
  const isSeen = (kind) => state.layers.has(kind) && !(state.at && LIVE.includes(kind));
  async function show(kind, asked) {
    const is_on = isSeen(kind);
    if (is_on && !read.has(kind)) {
      read.add(kind);
      try {
        const data = await readAll(kind, OVERLAYS[kind].address);
        if (map.getSource(kind)) map.getSource(kind).setData(data);
        else {
          map.addSource(kind, { type: "geojson", data });
          OVERLAYS[kind].layers().forEach((layer, at) => map.addLayer({ id: `${kind}-${at}`, source: kind, ...layer }, layer.type === "line" ? "counts" : undefined));
        }
        if (asked && data.features.length === 0) said(t("nothing_there", { name: t("layer_" + kind) }));
      } catch (error) {
        read.delete(kind);
        if (!(error instanceof Superseded)) said(error.message);
        return;
      }
    }
    if (!map.getSource(kind)) return;
    // Switched on again it is read again: cases, tasks and sensors do not stay as they were.
    if (!is_on) read.delete(kind);
    OVERLAYS[kind].layers().forEach((_, at) => map.setLayoutProperty(`${kind}-${at}`, "visibility", isSeen(kind) ? "visible" : "none"));
  }
  const showAll = (asked) => kinds.forEach((kind) => show(kind, asked));
  const live = h("p", { class: "hint" }, t("live_only"));
  const tell = () => { live.hidden = !state.at || !kinds.some((kind) => LIVE.includes(kind)); };
  listen((what) => {
    if (what === "layers") showAll(true);
    if (what === "filter") { showAll(false); tell(); }
  });
  showAll(false);
  tell();
  return h("fieldset", { class: "tools" }, h("legend", {}, t("layers")), live, ["heat", ...kinds].map((kind) => h("label", { class: "choice" },
    h("input", { type: "checkbox", name: "layer", value: kind, checked: state.layers.has(kind), onchange: (event) => {
      if (event.target.checked) state.layers.add(kind); else state.layers.delete(kind);
      changed("layers");
    } }), h("span", {}, t("layer_" + kind)))));
}
