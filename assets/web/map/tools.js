// What a person draws on the map: a selection by box, polygon, line or radius, a length, an area, or a place to ask about.
// With a mouse or finger by clicks; with the keyboard by Enter on the map, which takes the place in its middle.

import { fill, h } from "/crew/dom.js";
import { areaOf, boxRing, circle, lengthOf } from "./geometry.js";
import { showPlace } from "./place.js";
import { changed, listen, MEASURES, SHAPES, state } from "./state.js";
import { meters, squareMeters, t } from "./words.js";

const SELECTING = Object.keys(SHAPES);
const MEASURING = Object.keys(MEASURES);
/** Tools that are done with so many points; the others go on until somebody says so. */
const DONE_AT = { bbox: 2, near: 1, place: 1 };
const USUAL_METERS = { along: 20, near: 200 };

const EMPTY = { type: "FeatureCollection", features: [] };
const feature = (type, coordinates, role, more = {}) => ({ type: "Feature", properties: { role, ...more }, geometry: { type, coordinates } });

/** Meters that a pixel shows at zoom 0 on the equator. */
const METERS_A_PIXEL = 78_271.517;
const DEEPEST = 24;
/** A line's width in pixels from what it is at zoom 0. */
const WIDE = ["interpolate", ["exponential", 2], ["zoom"], 0, ["get", "wide"], DEEPEST, ["*", ["get", "wide"], 2 ** DEEPEST]];

/** A shape or a measurement as features. */
function drawn(kind, points, radius) {
  const features = [];
  if (kind === "bbox" && points.length === 2) features.push(feature("Polygon", [boxRing(...points)], "area"));
  else if (kind === "near" && points.length) features.push(feature("Polygon", [circle(points[0], radius)], "area"));
  else if (["polygon", "area"].includes(kind) && points.length > 2) features.push(feature("Polygon", [[...points, points[0]]], "area"));
  else if (points.length > 1) {
    const wide = kind === "along" ? 2 * radius / (METERS_A_PIXEL * Math.cos(points[0][1] * Math.PI / 180)) : 0;
    features.push(feature("LineString", points, kind, { wide }));
  }
  return [...features, ...points.map((point) => feature("Point", point, "corner"))];
}

export function addTools(map) {
  let tool = null, points = [], hovered = null;
  map.addSource("drawing", { type: "geojson", data: EMPTY });
  map.addLayer({ id: "drawing-area", type: "fill", source: "drawing", filter: ["==", ["get", "role"], "area"], paint: { "fill-color": "#0b4a8f", "fill-opacity": 0.12 } });
  map.addLayer({ id: "drawing-buffer", type: "line", source: "drawing", filter: ["==", ["get", "role"], "along"], paint: { "line-color": "#0b4a8f", "line-opacity": 0.2, "line-width": WIDE }, layout: { "line-cap": "round", "line-join": "round" } });
  map.addLayer({ id: "drawing-line", type: "line", source: "drawing", filter: ["!=", ["geometry-type"], "Point"], paint: { "line-color": "#0b4a8f", "line-width": 2.5, "line-dasharray": [3, 1.5] } });
  map.addLayer({ id: "drawing-corner", type: "circle", source: "drawing", filter: ["==", ["get", "role"], "corner"], paint: { "circle-radius": 4.5, "circle-color": "#fff", "circle-stroke-color": "#0b4a8f", "circle-stroke-width": 2 } });

  const bar = h("div", { class: "tool-bar", role: "status", hidden: true });
  const buttons = new Map();
  const toolButton = (kind) => {
    const button = h("button", { type: "button", class: "tool", "aria-pressed": "false", onclick: () => use(tool === kind ? null : kind) }, t("tool_" + kind));
    buttons.set(kind, button);
    return button;
  };

  function draw() {
    const features = [];
    if (state.shape && !SELECTING.includes(tool)) features.push(...drawn(state.shape.kind, state.shape.points, state.shape.meters));
    if (tool) features.push(...drawn(tool, hovered && points.length && !isDone() ? [...points, hovered] : points, USUAL_METERS[tool]));
    map.getSource("drawing").setData({ type: "FeatureCollection", features });
  }
  const isDone = () => points.length >= (DONE_AT[tool] ?? Infinity);

  function say() {
    buttons.forEach((button, kind) => button.setAttribute("aria-pressed", String(kind === tool)));
    map.getCanvas().classList.toggle("drawing", tool !== null);
    bar.hidden = tool === null;
    if (tool === null) return;
    const measured = tool === "length" ? meters(lengthOf(points)) : tool === "area" ? `${squareMeters(areaOf(points))} · ${meters(lengthOf([...points, ...points.slice(0, 1)]))}` : "";
    const place = h("div", {});
    fill(bar, h("p", {}, tool in DONE_AT && isDone() ? "" : t("draw_" + tool), measured && points.length > 1 ? h("strong", {}, measured) : null), place,
      h("div", { class: "tool-buttons" },
        !(tool in DONE_AT) && SELECTING.includes(tool) ? h("button", { type: "button", class: "main", disabled: points.length < SHAPES[tool], onclick: finish }, t("done")) : null,
        points.length && !(tool in DONE_AT) ? h("button", { type: "button", class: "quiet", onclick: () => { points = points.slice(0, -1); measure(); } }, t("undo_point")) : null,
        h("button", { type: "button", class: "quiet", onclick: () => use(null) }, t("end_tool"))));
    if (tool === "place" && isDone()) showPlace(place, ...points[0]);
  }

  /** Shows what is drawn, and keeps what is measured for the address. */
  function measure() {
    const measured = MEASURING.includes(tool) && points.length >= MEASURES[tool] ? { kind: tool, points } : null;
    if (measured || state.measured) { state.measured = measured; changed("measure"); }
    draw();
    say();
  }

  function use(kind, begun = []) {
    [tool, points, hovered] = [kind, begun, null];
    map.doubleClickZoom[kind ? "disable" : "enable"]();
    measure();
  }

  /** The drawing becomes the selection. */
  function finish() {
    if (points.length < SHAPES[tool]) return;
    state.shape = { kind: tool, points, meters: USUAL_METERS[tool] ?? null };
    use(null);
    changed("filter");
  }

  function take(point) {
    if (tool === "place" || isDone()) points = [];
    points = [...points, point.map((degree) => Number(degree.toFixed(7)))];
    hovered = null;
    if (isDone() && SELECTING.includes(tool)) return finish();
    measure();
  }

  map.on("click", (event) => {
    if (!tool) return;
    // The last point ends the tool, and must not be taken for a click on what lies there.
    event.preventDefault();
    take(event.lngLat.toArray());
  });
  map.on("dblclick", (event) => {
    if (!tool || tool in DONE_AT) return;
    event.preventDefault();
    // The second click of the two was taken as a point of its own.
    points = points.slice(0, -1);
    if (SELECTING.includes(tool)) finish(); else measure();
  });
  map.on("mousemove", ({ lngLat }) => { if (tool && points.length) { hovered = [lngLat.lng, lngLat.lat]; draw(); } });
  map.getCanvas().addEventListener("keydown", ({ key }) => {
    if (key === "Escape" && tool) use(null);
    if (key === "Enter" && tool) take(map.getCenter().toArray());
  });

  const reach = h("input", { type: "number", min: 1, max: 50_000, step: 1, inputmode: "numeric", onchange: () => {
    const wide = Math.min(50_000, Math.max(1, Math.round(Number(reach.value)) || 1));
    reach.value = wide;
    state.shape = { ...state.shape, meters: wide };
    changed("filter");
  } });
  const reachField = h("label", { class: "field" }, t("reach"), reach);
  const remove = h("button", { type: "button", class: "quiet", onclick: () => { state.shape = null; changed("filter"); } }, t("clear_shape"));
  const shown = h("div", { class: "shape-now" }, reachField, remove);
  function showShape() {
    shown.hidden = !state.shape;
    reachField.hidden = !state.shape?.meters;
    if (state.shape?.meters) reach.value = state.shape.meters;
    draw();
  }
  listen((what) => { if (what === "filter") showShape(); });
  showShape();
  if (state.measured) use(state.measured.kind, state.measured.points);

  return {
    bar,
    /** Whether clicks on the map belong to a tool now. */
    isBusy: () => tool !== null,
    selection: h("fieldset", { class: "tools" }, h("legend", {}, t("select_on_map")), h("div", { class: "tool-row" }, SELECTING.map(toolButton)), shown),
    measuring: h("fieldset", { class: "tools" }, h("legend", {}, t("measure")), h("div", { class: "tool-row" }, MEASURING.map(toolButton))),
  };
}
