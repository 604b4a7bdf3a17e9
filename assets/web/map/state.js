// What the page shows, in one place, and the same as the fragment of its address, so that a link opens what somebody sees.
// The names of the filters are those of the API.

/** Filters of which several may be chosen. */
export const LISTS = ["class", "state", "load_class", "material", "placement", "district", "owner", "maintainer"];
/** Filters with one value. */
export const SINGLES = ["has_plate", "open_case", "completeness_from", "completeness_to", "surveyed_from", "surveyed_to", "text", "filter"];
/** What a shape on the map is called in the address, with the corners it needs. */
export const SHAPES = { bbox: 2, polygon: 3, along: 2, near: 1 };
/** What can be measured, with the points it needs. */
export const MEASURES = { length: 2, area: 3, place: 1 };

/**
 * `view`: where the map looks, null = everything. `lists` and `singles`: the filters.
 * `shape`: null or `{kind, points, meters}`, points as `[lon, lat]`; meters around a line or a point.
 * `at`: the day of the past that is shown, null = now. `since`: the earlier day with which it is compared, null = none.
 * `cover`: the code of the file that is open. `ask`: the question whose answer is shown. `measured`: null or `{kind, points}`, a length, an
 * area or a place that somebody points out. `layers`: what is switched on beside the covers, `usual` on a fresh page.
 */
export const state = { view: null, lists: {}, singles: {}, shape: null, at: null, since: null, cover: null, ask: null, measured: null, layers: new Set(), panel: "filter", language: null, usual: [] };

const listeners = [];
/** Calls `heard(what)` after each change; `what` is one of filter, view, cover, ask, measure, layers, panel. */
export const listen = (heard) => listeners.push(heard);

/** Says that something changed, and writes it into the address. */
export function changed(what) {
  history.replaceState(null, "", "/map#" + fragment());
  for (const heard of listeners) heard(what);
}

const degrees = (number) => String(Number(number.toFixed(7)));
const pair = ([lon, lat]) => `${degrees(lon)},${degrees(lat)}`;

/** The shape as parameters of the API. */
function shapeParameters(shape) {
  if (!shape) return [];
  if (shape.kind === "bbox") {
    const [one, other] = shape.points;
    const edges = [Math.min(one[0], other[0]), Math.min(one[1], other[1]), Math.max(one[0], other[0]), Math.max(one[1], other[1])];
    return [["bbox", edges.map(degrees).join(",")]];
  }
  if (shape.kind === "near") return [["near", `${pair(shape.points[0])},${shape.meters}`]];
  const points = shape.points.map(pair).join(" ");
  return shape.kind === "along" ? [["along", points], ["buffer_m", String(shape.meters)]] : [["polygon", points]];
}

/** What narrows the covers, as parameters of the API, always in the same order. */
export function narrowing() {
  const parameters = new URLSearchParams();
  for (const name of LISTS) if (state.lists[name]?.length) parameters.set(name, state.lists[name].join(","));
  for (const name of SINGLES) if (state.singles[name]) parameters.set(name, state.singles[name]);
  for (const [name, value] of shapeParameters(state.shape)) parameters.set(name, value);
  return parameters;
}

/** The same with the day that is shown: what every question about covers says. */
export function filterParameters() {
  const parameters = narrowing();
  if (state.at) parameters.set("at", state.at);
  return parameters;
}

export const isFiltered = () => [...narrowing()].length > 0;

/** An address that opens the same elsewhere, also after a log-in, which would lose a fragment. */
export const link = () => location.origin + "/map?" + fragment();

/** The state as the fragment of an address. */
export function fragment() {
  const parameters = filterParameters();
  if (state.view) parameters.set("map", [state.view.zoom.toFixed(2), degrees(state.view.lat), degrees(state.view.lon)].join("/"));
  if (state.since) parameters.set("since", state.since);
  if (state.cover) parameters.set("cover", state.cover);
  if (state.ask) parameters.set("ask", state.ask);
  if (state.measured) parameters.set("measure", `${state.measured.kind}:${state.measured.points.map(pair).join(" ")}`);
  const layers = [...state.layers].sort().join(",");
  if (layers !== state.usual.join(",")) parameters.set("on", layers);
  if (state.panel !== "filter") parameters.set("panel", state.panel);
  if (state.language) parameters.set("lang", state.language);
  return parameters.toString();
}

const numbers = (text) => text.split(",").map(Number);
const points = (text) => text.trim().split(/\s+/).map(numbers);
const isPlace = ([lon, lat]) => Math.abs(lon) <= 180 && Math.abs(lat) <= 90;

/** The shape of parameters; null where they hold none that can be drawn. */
function readShape(parameters) {
  const shape = (kind, corners, meters = null) =>
    (corners.length >= SHAPES[kind] && corners.every(isPlace) && (meters === null || meters > 0) ? { kind, points: corners, meters } : null);
  if (parameters.has("bbox")) {
    const [west, south, east, north] = numbers(parameters.get("bbox"));
    return shape("bbox", [[west, south], [east, north]]);
  }
  if (parameters.has("polygon")) return shape("polygon", points(parameters.get("polygon")));
  if (parameters.has("near")) {
    const [lon, lat, meters] = numbers(parameters.get("near"));
    return shape("near", [[lon, lat]], meters);
  }
  if (parameters.has("along")) return shape("along", points(parameters.get("along")), Number(parameters.get("buffer_m") ?? 20));
  return null;
}

function readMeasured(text) {
  const [kind, listed = ""] = (text ?? "").split(":");
  const measured = { kind, points: points(listed) };
  return measured.points.length >= (MEASURES[kind] ?? Infinity) && measured.points.every(isPlace) ? measured : null;
}

/** Takes over what a fragment or a query says; what it does not say is as on a fresh page. */
export function readFragment(text) {
  const parameters = new URLSearchParams(text.replace(/^[#?]/, ""));
  state.lists = {};
  state.singles = {};
  for (const name of LISTS) if (parameters.get(name)) state.lists[name] = parameters.get(name).split(",");
  for (const name of SINGLES) if (parameters.get(name)) state.singles[name] = parameters.get(name);
  state.shape = readShape(parameters);
  const [zoom, lat, lon] = (parameters.get("map") ?? "").split("/").map(Number);
  state.view = Number.isFinite(zoom) && isPlace([lon, lat]) ? { zoom, lat, lon } : null;
  const isDay = (day) => /^\d{4}-\d{2}-\d{2}$/.test(day ?? "") && !Number.isNaN(Date.parse(day));
  [state.at, state.since] = ["at", "since"].map((name) => (isDay(parameters.get(name)) ? parameters.get(name) : null));
  state.cover = parameters.get("cover");
  state.ask = parameters.get("ask");
  state.measured = readMeasured(parameters.get("measure"));
  state.layers = new Set(parameters.has("on") ? parameters.get("on").split(",").filter(Boolean) : state.usual);
  state.panel = parameters.get("panel") ?? "filter";
  state.language = parameters.get("lang");
}
