// The search box above the map: codes, plates, cases, roads and owners, with a slip or by the initials of their Pinyin.

import { fill, h } from "/crew/dom.js";
import { abandon, ask, settled, Superseded } from "./api.js";
import { choose } from "./list.js";
import { changed, state } from "./state.js";
import { count, t } from "./words.js";

const SHORTEST = 2;
const codeOf = (result) => (result.href.startsWith("/covers/") ? decodeURIComponent(result.href.slice(8)) : null);

/** Builds the box; `go(place)` brings a place `{lon, lat}` or `{bounds}` into sight. */
export function searchBox(go) {
  const found = h("ul", { class: "found", hidden: true });
  const input = h("input", { type: "search", name: "search", maxlength: 100, autocomplete: "off", placeholder: t("search_hint"), "aria-label": t("search"), oninput: () => { dismissed = null; searchSoon(); } });
  const searchSoon = settled(search, 120);
  /** What the list is for; what was typed when it was closed; the filter that somebody had, and what the box made of it. */
  let listed = null, dismissed = null, own = null, joined = null;
  /** The question under way. */
  let pending = null;
  const close = () => {
    abandon("search");
    dismissed = input.value.trim();
    listed = null;
    found.hidden = true;
  };

  function take(result) {
    close();
    if (result.filter) {
      if (state.singles.filter !== joined) own = state.singles.filter ?? null;
      joined = own ? `(${own}) AND (${result.filter})` : result.filter;
      state.singles.filter = joined;
      changed("filter");
    }
    if (result.bounds) go({ bounds: result.bounds });
    else if (typeof result.lon === "number") go(result);
    const code = codeOf(result);
    if (code) choose(code);
    else if (!result.filter) location.href = result.href;
  }

  function search() {
    const typed = input.value.trim();
    if (typed.length < SHORTEST) return close();
    if (typed === dismissed || typed === listed) return;
    if (pending?.typed !== typed) pending = { typed, done: list(typed).finally(() => { if (pending?.typed === typed) pending = null; }) };
    return pending.done;
  }

  async function list(typed) {
    let rows;
    try {
      const { results } = await ask("search", "/api/v1/search?q=" + encodeURIComponent(typed));
      rows = results.map((result) => h("li", {}, h("button", { type: "button", onclick: () => take(result) },
        h("small", {}, t("found_" + result.kind)), h("span", {}, result.title), h("small", {}, result.count ? t("covers_of", { count: count(result.count) }) : result.detail ?? ""))));
      if (rows.length === 0) rows = [h("li", {}, h("p", { class: "hint" }, t("found_nothing")))];
    } catch (error) {
      if (error instanceof Superseded) return;
      rows = [h("li", {}, h("p", { class: "mark hot" }, error.message))];
    }
    fill(found, rows);
    found.hidden = false;
    listed = typed;
  }

  /** Enter takes the first of what stands in the box now, however fast it was typed. */
  async function submit(event) {
    event.preventDefault();
    dismissed = null;
    await search();
    if (listed === input.value.trim()) found.querySelector("button")?.click();
  }

  const box = h("form", { class: "search", role: "search", onsubmit: submit }, input, found);
  box.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    const stops = [input, ...found.querySelectorAll("button")];
    const next = stops[stops.indexOf(document.activeElement) + (event.key === "ArrowDown" ? 1 : -1)];
    if (next) { next.focus(); event.preventDefault(); }
  });
  box.addEventListener("focusout", (event) => { if (event.relatedTarget && !box.contains(event.relatedTarget)) close(); });
  return box;
}
