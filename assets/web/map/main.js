// The engineers' map: puts its parts together.

import { fill, h } from "/crew/dom.js";
import { ask, Superseded } from "./api.js";
import { addCovers, COVERS_FROM, ring, TOUCHED } from "./cover_layers.js";
import { CHANGE_LAYERS, changeKey, changesPanel } from "./changes.js";
import { keepClusters } from "./clusters.js";
import { filePanel } from "./file_panel.js";
import { filterPanel } from "./filter_panel.js";
import { distance } from "./geometry.js";
import { groundStyle, watchTiles } from "./ground.js";
import { choose, listPanel } from "./list.js";
import { addOverlays, marksAt, overlayKey } from "./overlays.js";
import { answerKey, questionPanel } from "./questions.js";
import { begin, onResults, results, setViewBox } from "./results.js";
import { searchBox } from "./search.js";
import { changed, filterParameters, link, listen, readFragment, state } from "./state.js";
import { statsPanel } from "./stats_panel.js";
import { addStreets } from "./streets.js";
import { legend, supplyPictures } from "./symbols.js";
import { timeBar } from "./time.js";
import { addTools } from "./tools.js";
import { count, loadWords, spoken, t } from "./words.js";

const settings = JSON.parse(document.body.dataset.settings);
const TOUCH_PX = 8;
/** How far a point of a tile of zoom 14 may lie beside its cover, at most. */
const NEAR_M = 5;

const app = document.getElementById("app");
const isPhone = () => !matchMedia("(min-width: 50rem)").matches;

/** What MapLibre itself says. */
const mapWords = () => ({ "Map.Title": t("map"), "ScaleControl.Meters": "m", "ScaleControl.Kilometers": "km" });

function openMap(maplibre, style, container) {
  const map = new maplibre.Map({
    container, style, locale: mapWords(), attributionControl: false, dragRotate: false, pitchWithRotate: false, maxZoom: 21,
    canvasContextAttributes: { preserveDrawingBuffer: true, antialias: true }, fadeDuration: 100,
    center: state.view ? [state.view.lon, state.view.lat] : [settings.center[0], settings.center[1]], zoom: state.view?.zoom ?? 9,
  });
  map.touchZoomRotate.disableRotation();
  map.addControl(new maplibre.ScaleControl({ maxWidth: 120, unit: "metric" }), "bottom-left");
  map.addControl(new maplibre.AttributionControl({ compact: false, customAttribution: settings.city_attribution || undefined }), "bottom-right");
  return map;
}

/** Whether the map was brought to a place: by the address, or to what was asked for. */
let isPlaced = false;

/** The map goes to everything that is left, once, where nobody asked for a place. */
function goToAll(map) {
  isPlaced ||= state.view !== null;
  onResults(() => {
    if (isPlaced || !results.sums?.bounds) return;
    isPlaced = true;
    const [west, south, east, north] = results.sums.bounds;
    map.fitBounds([[west, south], [east, north]], { padding: 48, maxZoom: 17, animate: false });
  });
}

function keepView(map) {
  const moved = () => {
    const { lng, lat } = map.getCenter();
    state.view = { lon: lng, lat, zoom: map.getZoom() };
    changed("view");
    setViewBox(map.getBounds().toArray().flat());
  };
  map.on("moveend", moved);
  setViewBox(map.getBounds().toArray().flat());
}

/** Opens the file of a cover on the map. From afar tiles do not say codes: then the list knows which one lies there. */
async function openFile({ properties, geometry }) {
  if (properties.code) return choose(properties.code);
  const [lon, lat] = geometry.coordinates;
  const parameters = filterParameters();
  ["bbox", "polygon", "along", "buffer_m"].forEach((name) => parameters.delete(name));
  parameters.set("near", `${lon.toFixed(7)},${lat.toFixed(7)},${NEAR_M}`);
  try {
    const { covers } = await ask("click", "/api/v1/map/covers?" + parameters);
    const away = (cover) => distance([lon, lat], [cover.lon, cover.lat]);
    const nearest = covers.filter((cover) => cover.class === properties.class && cover.state === properties.state).sort((one, other) => away(one) - away(other))[0];
    if (nearest) choose(nearest.code);
  } catch (error) {
    if (!(error instanceof Superseded)) say(error.message);
  }
}

function touch(map, tools) {
  const boxAround = ({ x, y }) => [[x - TOUCH_PX, y - TOUCH_PX], [x + TOUCH_PX, y + TOUCH_PX]];
  const around = (point, layers) => map.queryRenderedFeatures(boxAround(point), { layers: layers.filter((layer) => map.getLayer(layer)) });
  map.on("click", ({ point, lngLat, defaultPrevented }) => {
    if (defaultPrevented || tools.isBusy()) return;
    const marks = marksAt(map, boxAround(point));
    fill(card, marks.map((mark) => h("p", {}, mark)));
    const [change] = around(point, CHANGE_LAYERS);
    if (change) return choose(change.properties.code);
    const [cover] = around(point, TOUCHED);
    if (cover) return openFile(cover);
    if (map.getZoom() < COVERS_FROM && around(point, ["clusters"]).length) map.easeTo({ center: lngLat, zoom: Math.min(map.getZoom() + 2, COVERS_FROM + 1) });
  });
  map.on("mousemove", ({ point }) => {
    if (!tools.isBusy()) map.getCanvas().style.cursor = around(point, [...CHANGE_LAYERS, ...TOUCHED, "clusters"]).length ? "pointer" : "";
  });
}

/** Goes to a cover that is not seen, or to any if asked; on a phone above the sheet of its file. */
function bringIntoSight(map, { lon, lat }, always) {
  const { clientWidth, clientHeight } = map.getContainer();
  const { x, y } = map.project([lon, lat]);
  const right = isPhone() ? clientWidth : clientWidth - 352, low = isPhone() ? clientHeight * 0.4 : clientHeight;
  if (!always && x > 0 && x < right && y > 0 && y < low) return;
  map.easeTo({ center: [lon, lat], zoom: Math.max(map.getZoom(), 17), offset: [(right - clientWidth) / 2, (low - clientHeight) / 2], animate: false });
}

/** Zoom and "where I am", as buttons that a keyboard reaches. */
function mapButtons(map) {
  const button = (sign, label, onclick) => h("button", { type: "button", "aria-label": t(label), title: t(label), onclick }, sign);
  const here = () => navigator.geolocation?.getCurrentPosition(({ coords }) => map.easeTo({ center: [coords.longitude, coords.latitude], zoom: Math.max(map.getZoom(), 17) }), () => say(t("no_place")));
  const everything = () => { if (results.sums?.bounds) { const [w, s, e, n] = results.sums.bounds; map.fitBounds([[w, s], [e, n]], { padding: 48, maxZoom: 17 }); } };
  return h("div", { class: "map-buttons" },
    button("+", "closer", () => map.zoomIn()), button("−", "wider", () => map.zoomOut()), button("□", "everything", everything), button("◎", "here", here));
}

const said = h("p", { class: "map-said", role: "status" });
const card = h("div", { class: "card", role: "status" });
let hush = null;
function say(text) {
  said.textContent = text;
  clearTimeout(hush);
  hush = setTimeout(() => { said.textContent = ""; }, 6000);
}

async function copyLink() {
  try {
    await navigator.clipboard.writeText(link());
    say(t("link_copied"));
  } catch {
    say(t("link_by_hand"));
  }
}

/** Goes to a place or to all of a box. */
function goTo({ lon, lat, bounds }) {
  const map = window.lidmarkMap;
  if (!map) return;
  isPlaced = true;
  // On a phone what lies under the open panel is not seen.
  const covered = isPhone() && document.querySelector(".map-panel.raised") ? document.querySelector(".map-panel").clientHeight : 0;
  if (bounds) map.fitBounds([[bounds[0], bounds[1]], [bounds[2], bounds[3]]], { padding: { top: 48, left: 48, right: 48, bottom: 112 + covered }, maxZoom: 17, animate: false });
  else bringIntoSight(map, { lon, lat }, true);
}

function speak(language) {
  document.cookie = `lang=${language}; Path=/; Max-Age=31536000; SameSite=Lax`;
  state.language = language;
  changed("view");
  location.reload();
}

function topBar(search) {
  const other = spoken() === "en" ? "zh-CN" : "en";
  return h("header", { class: "map-top" },
    h("a", { class: "brand", href: "/desk" }, spoken() === "en" ? settings.city_en : settings.city_zh), h("h1", {}, t("title")), search,
    h("div", { class: "top-buttons" },
      h("button", { type: "button", class: "quiet", onclick: copyLink }, t("share")),
      h("button", { type: "button", class: "quiet wide-only", onclick: printMap }, t("print")),
      h("button", { type: "button", class: "quiet", lang: other, onclick: () => speak(other) }, other === "en" ? "English" : "中文")));
}

/** The panels behind their buttons: beside the map on a desk, above its lower edge on a phone. */
function panels(bodies) {
  const holder = h("section", { class: "map-panel", id: "panel" }, bodies.map(([, body]) => body));
  const buttons = bodies.map(([name]) => h("button", { type: "button", "aria-controls": "panel", onclick: () => {
    const was_open = state.panel === name && holder.classList.contains("raised");
    state.panel = name;
    holder.classList.toggle("raised", !was_open);
    changed("panel");
  } }, t("panel_" + name)));
  const show = () => bodies.forEach(([name, body], at) => {
    body.hidden = state.panel !== name;
    const is_seen = state.panel === name && (!isPhone() || holder.classList.contains("raised"));
    buttons[at].setAttribute("aria-expanded", String(is_seen));
  });
  // What changed is a panel while two days are compared.
  const changes = bodies.findIndex(([name]) => name === "changes");
  let compares = false;
  const settle = () => {
    const compared = state.since !== null;
    buttons[changes].hidden = !compared;
    if (compared && !compares) state.panel = "changes";
    if (!compared && state.panel === "changes") state.panel = "filter";
    if (compared && !compares && isPhone()) holder.classList.remove("raised");
    compares = compared;
    show();
  };
  listen((what) => {
    if (what === "panel") show();
    if (what === "filter") settle();
  });
  settle();
  return { holder, nav: h("nav", { class: "panel-nav", "aria-label": t("panels") }, buttons) };
}

/** The map is drawn in the size of the paper first. */
async function printMap() {
  const map = window.lidmarkMap;
  const shape = () => new Promise((done) => {
    map.resize();
    map.once("idle", done);
    setTimeout(done, 3000);
  });
  document.body.classList.add("printing");
  await shape();
  print();
  document.body.classList.remove("printing");
  await shape();
}

/** What stands around the map on paper. */
function paper() {
  const head = h("div", { class: "print-head" }), key = h("ul", { class: "print-legend map-legend" });
  addEventListener("beforeprint", () => {
    const sums = results.sums;
    fill(head, h("h2", {}, (spoken() === "en" ? settings.city_en : settings.city_zh) + " · " + t("title")),
      h("p", {}, state.at ? t("as_of", { date: state.at }) : new Date().toLocaleString(spoken()), sums ? " · " + t("matched", { count: count(sums.matched), view: count(sums.in_view) }) : ""));
    fill(key, legend(sums?.classes.map(({ key: kind }) => kind) ?? [], sums?.states.map(({ key: one }) => one) ?? []), changeKey(), overlayKey(), answerKey());
  });
  return [head, key];
}

function legendPanel() {
  const key = h("ul", { class: "map-legend" });
  let drawn = "";
  onResults(() => {
    const kinds = results.sums?.classes.map(({ key: kind }) => kind) ?? [], states = results.sums?.states.map(({ key: one }) => one) ?? [];
    const now = JSON.stringify([kinds, states]);
    if (now === drawn) return;
    drawn = now;
    fill(key, legend(kinds, states));
  });
  return h("section", {}, h("h2", {}, t("legend")), key);
}

async function start() {
  if (settings.base === "none") state.usual.push("districts");
  readFragment(location.hash || location.search);
  await loadWords(["zh-CN", "en"].includes(state.language) ? state.language : settings.language);
  state.language = spoken();
  document.documentElement.lang = spoken();
  document.title = t("title");
  const maplibre = await import(settings.library + "maplibre-gl.mjs");
  const canvas = h("div", { class: "map" });
  fill(app, h("a", { class: "skip", href: "#panel", onclick: (event) => { event.preventDefault(); document.getElementById("panel").querySelector("input, button")?.focus(); } }, t("skip_to_filters")),
    topBar(searchBox((place) => goTo(place))), h("main", {}, canvas));
  const style = await groundStyle(settings).catch(() => {
    say(t("no_ground"));
    return groundStyle({ base: "none" });
  });
  const map = openMap(maplibre, style, canvas);
  window.lidmarkMap = map;
  await new Promise((ready) => map.once("style.load", ready));
  watchTiles(map, say);
  supplyPictures(map);
  addCovers(map);
  keepClusters(map);
  const tools = addTools(map);
  const overlays = addOverlays(map, settings.overlays, say);
  if (settings.base === "none") addStreets(map);
  const file = filePanel((cover) => {
    ring(map, cover && [cover.position.lon, cover.position.lat]);
    if (cover) bringIntoSight(map, cover.position, false);
  });
  const open = (cover) => { choose(cover.code); bringIntoSight(map, cover, true); };
  const { holder, nav } = panels([
    ["filter", filterPanel(tools.selection)], ["results", listPanel(open)],
    ["stats", statsPanel(settings)], ["questions", questionPanel(map, goTo, settings.csrf)], ["layers", h("div", { class: "panel-body" }, overlays, tools.measuring, legendPanel())],
    ["changes", changesPanel(map, settings, open)],
  ]);
  document.querySelector("main").append(mapButtons(map), tools.bar, said, card, nav, holder, file.element, ...timeBar(settings), ...paper());
  touch(map, tools);
  keepView(map);
  goToAll(map);
  file.show();
  await begin();
  addEventListener("hashchange", () => location.reload());
  document.body.dataset.ready = "true";
}

start().catch((error) => {
  console.error(error);
  document.getElementById("broken").hidden = false;
});
