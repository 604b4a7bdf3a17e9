// The covers that the filters leave, as a list of any length: only the rows that are seen exist.

import { fill, h } from "/crew/dom.js";
import { more, onResults, results } from "./results.js";
import { changed, listen, state } from "./state.js";
import { drawCover } from "./symbols.js";
import { count, t, word } from "./words.js";

const ROW_PX = 58;
const AROUND = 6;
const pictures = new Map();

function picture(cover) {
  const key = cover.class + "/" + cover.state;
  if (!pictures.has(key)) pictures.set(key, drawCover(cover.class, cover.state).toDataURL());
  return h("img", { src: pictures.get(key), alt: "", width: 26, height: 26 });
}

function row(cover, at, open) {
  const place = [cover.district, cover.road].filter(Boolean).join(" · ");
  const element = h("li", { "aria-setsize": results.next ? -1 : results.rows.length, "aria-posinset": at + 1 },
    h("button", { type: "button", class: "row", "aria-current": cover.code === state.cover ? "true" : null, onclick: () => open(cover) },
      picture(cover),
      h("span", { class: "row-words" }, h("span", { class: "code" }, cover.code), h("small", {}, word("class", cover.class), place ? " · " + place : "")),
      h("span", { class: "row-marks" },
        cover.state === "intact" ? null : h("small", { class: "mark" }, word("state", cover.state)),
        cover.open_case ? h("small", { class: "mark hot" }, t("open_case")) : null)));
  element.style.top = `${at * ROW_PX}px`;
  return element;
}

/** Builds the list; `open(cover)` is called for the one that is chosen. */
export function listPanel(open) {
  const said = h("p", { class: "hint", role: "status" });
  const rows = h("ul", { class: "virtual" });
  const scroller = h("div", { class: "scroller", tabindex: "0", role: "region", "aria-label": t("results") }, rows);
  let first = -1, drawn = null;

  function draw(anew) {
    const from = Math.max(0, Math.floor(scroller.scrollTop / ROW_PX) - AROUND);
    const until = Math.min(results.rows.length, Math.ceil((scroller.scrollTop + scroller.clientHeight) / ROW_PX) + AROUND);
    if (!anew && from === first && until === drawn) return;
    [first, drawn] = [from, until];
    const held = rows.contains(document.activeElement) ? document.activeElement.closest("li").getAttribute("aria-posinset") : null;
    fill(rows, results.rows.slice(from, until).map((cover, at) => row(cover, from + at, open)));
    // Whoever goes through by keyboard stays where they are.
    if (held) (rows.querySelector(`[aria-posinset="${held}"] button`) ?? scroller).focus({ preventScroll: true });
    if (results.rows.length - until < 40) more();
  }

  let before = null;
  onResults(() => {
    const sums = results.sums;
    fill(said, results.problem ? h("span", { class: "mark hot" }, results.problem)
      : sums ? t("matched", { count: count(sums.matched), view: count(sums.in_view) }) : t("waiting"));
    scroller.classList.toggle("asking", results.is_waiting);
    rows.style.height = `${results.rows.length * ROW_PX}px`;
    if (before !== results.rows) scroller.scrollTop = 0;
    before = results.rows;
    draw(true);
  });
  listen((what) => { if (what === "cover") draw(true); });
  scroller.addEventListener("scroll", () => draw(false));
  new ResizeObserver(() => draw(true)).observe(scroller);
  return h("div", { class: "panel-body results" }, said, scroller);
}

/** Opens a file from anywhere on the page. */
export function choose(code) {
  state.cover = code;
  changed("cover");
}
