// What changed between two days: on the map as lines and dots, beside it as a list with the counts.

import { fill, h } from "/crew/dom.js";
import { abandon, ask, Superseded } from "./api.js";
import { narrowing, listen, state } from "./state.js";
import { colorEntry } from "./symbols.js";
import { count, meters, t, word } from "./words.js";

const EMPTY = { type: "FeatureCollection", features: [] };
/** The kinds in the order of the legend, with their colors. */
const COLORS = { added: "#1b7f3b", removed: "#a3000f", moved: "#1457c8", changed: "#b35c00" };
const KINDS = Object.keys(COLORS);
const color = ["match", ["get", "kind"], ...Object.entries(COLORS).flat(), "#000"];
/** What answers to a click. */
export const CHANGE_LAYERS = ["change-points", "change-lines"];
const LIST = 200;

const LAYERS = [
  { id: "change-lines", type: "line", filter: ["==", ["geometry-type"], "LineString"], paint: { "line-color": color, "line-width": 4 } },
  { id: "change-points", type: "circle", filter: ["==", ["geometry-type"], "Point"], paint: {
    "circle-color": color, "circle-stroke-color": "#fff", "circle-stroke-width": 2,
    "circle-radius": ["interpolate", ["linear"], ["zoom"], 9, 4, 16, 9],
  } },
];

/** Where a move begins small and where it ends. */
const ends = ({ geometry, properties }) => (geometry.type === "LineString"
  ? [{ type: "Feature", properties, geometry: { type: "Point", coordinates: geometry.coordinates.at(-1) } }] : []);

const placeOf = ({ geometry }) => (geometry.type === "LineString" ? geometry.coordinates.at(-1) : geometry.coordinates);

const FIELDS = { surveyed_on: "surveyed_at" };
const LISTED = ["class", "state", "placement", "material", "shape"];

function value(field, plain) {
  if (plain === null || plain === undefined || plain === "") return t("unknown");
  if (typeof plain === "boolean") return t(plain ? "yes" : "no");
  if (field === "completeness") return `${plain}\u00a0%`;
  return LISTED.includes(field) ? word(field, plain) : String(plain);
}

function fieldName(field) {
  if (["has_plate", "open_case", "installed", "completeness"].includes(field)) return t("field_" + field);
  return word("fact", FIELDS[field] ?? field);
}

function row(feature, open) {
  const one = feature.properties;
  const told = (one.changed ? one.changed.split(", ") : [])
    .map((field) => h("small", {}, `${fieldName(field)}: ${value(field, one[field + "_before"])} → ${value(field, one[field + "_after"])}`));
  const mark = h("span", { class: "change-mark", "data-kind": one.kind }, t("diff_" + one.kind) + (one.distance_m === undefined ? "" : " " + meters(one.distance_m)));
  return h("li", {}, h("button", { type: "button", class: "row change", "aria-current": one.code === state.cover ? "true" : null, onclick: () => open({ code: one.code, lon: placeOf(feature)[0], lat: placeOf(feature)[1] }) },
    h("span", { class: "row-words" }, h("span", { class: "code" }, one.code), h("small", {}, [word("class", one.class), one.district, one.road].filter(Boolean).join(" · ")), told), mark));
}

/** What the colors of a comparison stand for, while there is one. */
export const changeKey = () => (state.since === null ? [] : KINDS.map((kind) => colorEntry(COLORS[kind], t("diff_" + kind))));

/** Adds the layers to a map and builds the panel; `open(cover)` is called for the one that is chosen. */
export function changesPanel(map, settings, open) {
  map.addSource("changes", { type: "geojson", data: EMPTY });
  for (const layer of LAYERS) map.addLayer({ source: "changes", ...layer });
  const said = h("p", { class: "hint", role: "status" }), key = h("ul", { class: "map-legend change-legend" }), rows = h("ul", { class: "changes" });
  const further = h("button", { type: "button", class: "quiet", hidden: true, onclick: () => list(LIST) });
  const title = h("h2", {}), file = h("a", { class: "button quiet", hidden: true, download: "changes.geojson" }, t("diff_file"));
  let features = [], shown = 0;

  function list(more) {
    rows.append(...features.slice(shown, shown + more).map((feature) => row(feature, open)));
    shown = Math.min(features.length, shown + more);
    further.hidden = shown === features.length;
    further.textContent = t("diff_more", { count: count(features.length - shown) });
  }
  function draw(answer) {
    features = answer.features;
    shown = 0;
    fill(rows);
    map.getSource("changes").setData({ ...EMPTY, features: [...features, ...features.flatMap(ends)] });
    fill(key, KINDS.map((kind) => h("li", { "data-kind": kind }, h("span", { class: "change-mark", "data-kind": kind, "aria-hidden": "true" }, " "), `${t("diff_" + kind)} ${count(answer.counts[kind] ?? 0)}`)));
    const all = KINDS.reduce((sum, kind) => sum + (answer.counts[kind] ?? 0), 0);
    fill(said, all === 0 ? t("diff_none") : all > features.length ? t("diff_first", { count: count(features.length) }) : "");
    list(LIST);
  }
  async function refresh() {
    if (state.since === null) {
      abandon("changes");
      return draw({ features: [], counts: {} });
    }
    const parameters = narrowing();
    parameters.set("from", state.since);
    parameters.set("to", state.at ?? settings.today);
    parameters.set("f", "geojson");
    fill(title, t("diff_title", { from: state.since, to: state.at ?? settings.today }));
    fill(said, t("waiting"));
    file.href = "/api/v1/map/diff?" + parameters;
    file.hidden = false;
    try {
      draw(await ask("changes", "/api/v1/map/diff?" + parameters));
    } catch (error) {
      if (!(error instanceof Superseded)) fill(said, h("span", { class: "mark hot" }, error.message));
    }
  }
  listen((what) => { if (what === "filter") refresh(); });
  if (state.since !== null) refresh();
  return h("div", { class: "panel-body" }, title, key, said, rows, further, file);
}
