// The covers of the packages as a map of their own: north up, no map service, no network.

import { LoggedOut, NoAnswer } from "./api.js";
import { allCovers, download, downloadStock, isDrawn, isTask, standing } from "./covers.js";
import { button, fill, h, link } from "./dom.js";
import { offset } from "./geo.js";
import { follow } from "./gnss.js";
import { listen } from "./signal.js";
import { drawMap } from "./map.js";
import { coverRow } from "./parts.js";
import { clock, t } from "./words.js";

const REACH_PX = 32;
const FINEST = 40, COARSEST = 0.002;
/** Where the map was left: `{lon, lat, scale}`, scale in pixels a meter. */
let view = null;

/** The map opens with this cover in its middle. */
export function showOnMap(cover) {
  view = { lon: cover.lon, lat: cover.lat, scale: 6, chosen: cover.cover };
}

/** A view that holds all covers. */
function around(covers, width, height) {
  const lons = covers.map((cover) => cover.lon), lats = covers.map((cover) => cover.lat);
  const least = (list) => list.reduce((left, right) => Math.min(left, right)), most = (list) => list.reduce((left, right) => Math.max(left, right));
  const [west, east, south, north] = [least(lons), most(lons), least(lats), most(lats)];
  const size = offset({ lon: west, lat: south }, { lon: east, lat: north });
  const scale = Math.min(width / Math.max(size.east * 1.2, 40), height / Math.max(size.north * 1.2, 40));
  return { lon: (west + east) / 2, lat: (south + north) / 2, scale: Math.min(scale, 8) };
}

export async function mapView(main) {
  let covers = await allCovers(), from = null;
  if (covers.length === 0) return void fill(main, h("h1", {}, t("tab_map")), h("p", {}, t("list_empty")), link(t("packages_choose"), "#/packages", "main"));
  const canvas = h("canvas", { class: "map", "aria-label": t("map_label"), role: "img", tabindex: "0" });
  const card = h("div", { class: "map-card" }), said = h("div", { role: "status" });
  let size = { width: 0, height: 0 }, asked = false;

  function draw() {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      drawMap(canvas, { ...view, ...size }, covers, from, { problem: t("standing_problem"), fitted: t("standing_fitted"), planned: t("standing_planned"), here: t("standing_here"), drawn: covers.some(isDrawn) ? t("standing_drawn") : null,
        task: covers.some(isTask) ? t("standing_task") : null });
    });
  }
  function fit() {
    const box = canvas.getBoundingClientRect();
    size = { width: box.width, height: box.height };
    canvas.width = Math.round(box.width * (devicePixelRatio || 1));
    canvas.height = Math.round(box.height * (devicePixelRatio || 1));
    view ??= around(covers, box.width, box.height);
    draw();
  }
  const move = (dx, dy) => {
    const shrink = Math.cos(view.lat * Math.PI / 180);
    view.lon -= dx / view.scale / (111_195 * shrink);
    view.lat += dy / view.scale / 111_195;
  };
  const zoom = (factor, x = size.width / 2, y = size.height / 2) => {
    const scale = Math.min(FINEST, Math.max(COARSEST, view.scale * factor));
    const grown = scale / view.scale;
    move((size.width / 2 - x) * (1 - 1 / grown), (size.height / 2 - y) * (1 - 1 / grown));
    view.scale = scale;
    draw();
  };

  function choose(x, y) {
    let nearest = null, least = REACH_PX;
    for (const cover of covers) {
      const at = offset(view, cover);
      const away = Math.hypot(size.width / 2 + at.east * view.scale - x, size.height / 2 - at.north * view.scale - y);
      if (away < least) [nearest, least] = [cover, away];
    }
    view.chosen = nearest?.cover ?? null;
    showCard();
    draw();
  }
  function showCard() {
    const cover = covers.find((one) => one.cover === view?.chosen);
    fill(card, cover ? h("ul", { class: "rows" }, coverRow(cover, from)) : h("p", { class: "hint" }, t("map_hint")));
  }

  const fingers = new Map();
  let moved = 0;
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
    if (fingers.size === 1) moved = 0;
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const now = { x: event.offsetX, y: event.offsetY };
    const others = [...fingers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
    if (others.length) {
      const spread = (at) => Math.hypot(at.x - others[0].x, at.y - others[0].y);
      if (spread(before) > 0) zoom(spread(now) / spread(before), (now.x + others[0].x) / 2, (now.y + others[0].y) / 2);
      move((now.x - before.x) / 2, (now.y - before.y) / 2);
    } else move(now.x - before.x, now.y - before.y);
    moved += Math.hypot(now.x - before.x, now.y - before.y);
    fingers.set(event.pointerId, now);
    draw();
  });
  const lift = (event) => {
    const alone = fingers.size === 1 && fingers.has(event.pointerId);
    fingers.delete(event.pointerId);
    if (alone && moved < 10 && event.type === "pointerup") choose(event.offsetX, event.offsetY);
  };
  canvas.addEventListener("pointerup", lift);
  canvas.addEventListener("pointercancel", lift);
  canvas.addEventListener("wheel", (event) => { event.preventDefault(); zoom(event.deltaY < 0 ? 1.25 : 0.8, event.offsetX, event.offsetY); }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }[event.key];
    if (steps) { move(...steps); draw(); event.preventDefault(); }
  });

  async function fetchArea() {
    const half = { lon: size.width / 2 / view.scale / (111_195 * Math.cos(view.lat * Math.PI / 180)), lat: size.height / 2 / view.scale / 111_195 };
    const bbox = [view.lon - half.lon, view.lat - half.lat, view.lon + half.lon, view.lat + half.lat].map((degree) => Number(degree.toFixed(6)));
    try {
      fill(said, h("p", { class: "notice" }, t("package_loading", { name: t("map_here"), count: 0 })));
      const count = await download({ area: true, bbox, chosen_at: Date.now() });
      await downloadStock();
      fill(said, h("p", { class: "good" }, "✓ ", t("package_loaded", { name: t("package_area", { time: clock(Date.now()) }), count })));
    } catch (error) {
      fill(said, h("p", { class: "notice hot", role: "alert" }, error instanceof NoAnswer ? t("packages_offline")
        : error instanceof LoggedOut ? t("log_in_first") : error.problem?.detail ?? t("phone_full")));
    }
  }

  fill(main, h("h1", { class: "sr" }, t("tab_map")),
    h("div", { class: "map-box" }, canvas, h("div", { class: "map-buttons" },
      h("button", { type: "button", "aria-label": t("map_closer"), onclick: () => zoom(1.6) }, "+"),
      h("button", { type: "button", "aria-label": t("map_wider"), onclick: () => zoom(1 / 1.6) }, "−"),
      h("button", { type: "button", "aria-label": t("map_me"), onclick: () => { if (from) { Object.assign(view, { lon: from.lon, lat: from.lat, scale: Math.max(view.scale, 3) }); draw(); } } }, "◎"))),
    card, said, button(t("map_fetch"), fetchArea, "quiet"));
  fit();
  showCard();
  addEventListener("resize", fit);
  const stopFollowing = follow((fix) => { if (fix) { from = fix; draw(); } });
  const stopListening = listen(async (what) => { if (what === "covers") { covers = await allCovers(); draw(); showCard(); } });
  return () => { removeEventListener("resize", fit); stopFollowing(); stopListening(); };
}
