// Pieces that several views are made of.

import { isFull } from "./db.js";
import { button, fill, h, link } from "./dom.js";
import { bearing, distance, wind } from "./geo.js";
import { measure } from "./gnss.js";
import { isDrawn, isTask, openTasks, standing } from "./covers.js";
import { grouped } from "./token.js";
import { meters, t, word } from "./words.js";

/** How a cover is called: its code in groups, or what it is where it has none yet. */
export const nameOf = (cover) => cover.code_groups || cover.code || word("class", cover.class);

/** Where it lies in words. */
export const placeOf = (cover) => [cover.road, cover.address].filter(Boolean).join(" · ") || t("no_road");

/** What the queue page says of an action on this cover. */
export const shownOf = (cover) => ({ title: nameOf(cover), place: placeOf(cover), class: cover.class });

/** The mark of a cover's standing: shape and word, not color alone. */
export const badge = (cover) => {
  const is = standing(cover);
  const one = (name) => h("span", { class: "badge is-" + name }, t("standing_" + name));
  return h("span", { class: "badges" }, isDrawn(cover) && is !== "drawn" ? one("drawn") : null,
    isTask(cover) && is !== "task" ? one("task") : null, one(is));
};

/** Distance and direction from a place, with an arrow; empty while the place is not known. */
export function wayTo(cover, from) {
  if (!from) return null;
  const degrees = bearing(from, cover);
  const arrow = h("span", { class: "arrow", "aria-hidden": "true" }, "↑");
  arrow.style.transform = `rotate(${Math.round(degrees - (from.heading ?? 0))}deg)`;
  return h("span", { class: "way" }, arrow, ` ${t("wind_" + wind(degrees))} `, h("b", {}, meters(distance(from, cover))));
}

/** Where a cover leads on: to what is to be done there, where something is. */
const leadsTo = (cover) => (isDrawn(cover) ? "#/drawn/" + cover.cover
  : isTask(cover) ? `#/task/${cover.cover}/${openTasks(cover)[0].id}` : "#/cover/" + cover.cover);

/** A cover as one large line that leads on. */
export function coverRow(cover, from, href) {
  return h("li", {}, h("a", { class: "row is-" + standing(cover), href: href ?? leadsTo(cover) },
    h("span", { class: "row-name" }, h("b", {}, word("class", cover.class)), " ", h("span", { class: "code" }, nameOf(cover))),
    h("span", { class: "row-place" }, placeOf(cover)),
    h("span", { class: "row-end" }, wayTo(cover, from), badge(cover))));
}

/** Nearest first; without a place, in the order of the codes. */
export const byDistance = (covers, from) => from
  ? covers.map((cover) => [distance(from, cover), cover]).sort((left, right) => left[0] - right[0]).map(([, cover]) => cover)
  : [...covers].sort((left, right) => nameOf(left).localeCompare(nameOf(right)));

export const tokenText = (token) => h("span", { class: "code token" }, grouped(token));

/** Which buttons of `sure` were tapped once, by their keys. */
const tapped = new Set();

/**
 * A button that throws something away by its second tap, which is elsewhere than the first. With a key, one that is drawn anew
 * goes on asking.
 */
export function sure(label, act, key = null) {
  const box = h("div", {});
  const begin = () => { tapped.delete(key); fill(box, button(label, ask, "quiet")); };
  const end = async () => { await act(); tapped.delete(key); };
  function ask() {
    if (key) tapped.add(key);
    fill(box, h("p", { class: "bad" }, t("discard_sure")), button(t("discard_keep"), begin), keeping(t("discard_yes"), end, "danger"));
  }
  if (tapped.has(key)) ask();
  else begin();
  return box;
}

/** A button whose work is kept on this phone; where it cannot be, the sentence stands below the button. */
export function keeping(label, work, kind = "") {
  const said = h("p", { class: "wrong", role: "alert", hidden: true });
  const tap = button(label, async () => {
    tap.disabled = true;
    try {
      await work();
    } catch (error) {
      said.textContent = t(isFull(error) ? "phone_full" : "not_saved", { reason: String(error?.message ?? error) });
      said.hidden = false;
    }
    tap.disabled = false;
  }, kind);
  return h("div", {}, tap, said);
}

/** A sentence that must be read before going on. */
export const warning = (...inside) => h("div", { class: "notice hot", role: "alert" }, ...inside);

/**
 * Measures a position and asks where it is not good enough; where the form is nothing without one, `giveUp` ends it. `value` = the position, null = settled without one;
 * `settled` says whether a crew may go on; `accepted` that it was stored although it is worse than the gate.
 */
export function positionField({ gate_m, bounds, giveUp, onchange }) {
  const box = h("section", { class: "position" });
  const field = { element: box, value: null, settled: false, accepted: false, stop: () => {} };
  const settle = (changes) => { Object.assign(field, changes); onchange?.(field); };
  const again = () => button(t("position_again"), begin);
  const without = (label) => (giveUp ? sure(t("position_give_up"), giveUp) : button(label, () => {
    settle({ value: null, settled: true, accepted: false });
    fill(box, h("p", {}, t("position_none_kept")), again());
  }));

  const figuresOf = (position) => (position ? t("position_figures", { meters: position.accuracy_m.toFixed(1), fixes: position.fixes }) : "");

  function begin() {
    field.stop();
    settle({ value: null, settled: false, accepted: false });
    told({ state: "measuring", position: null });
    field.stop = measure({ gate_m, bounds }, told);
  }

  function told({ state, position }) {
    box.dataset.state = state;
    const figures = figuresOf(position);
    if (state === "measuring") {
      return fill(box, h("p", {}, h("b", {}, t("position_measuring")), " ", figures), h("p", { class: "hint" }, t("position_gate", { meters: gate_m })));
    }
    if (state === "reached") {
      fill(box, h("p", { class: "good" }, "✓ ", t("position_reached"), " ", figures), again());
      return settle({ value: position, settled: true });
    }
    if (state !== "short") return fill(box, warning(h("p", {}, t("position_" + state)), again(), without(t("position_without"))));
    return fill(box, warning(h("p", {}, t("position_short", { gate: gate_m }), " ", figures),
      button(t("position_anyway"), () => {
        fill(box, h("p", {}, "✓ ", t("position_accepted"), " ", figures), again());
        settle({ value: position, settled: true, accepted: true });
      }), again(), without(t("position_discard"))));
  }

  field.begin = begin;
  return field;
}

/** Where a view ends that cannot go on, with a way back. */
export const deadEnd = (sentence) => [warning(h("p", {}, sentence)), link(t("tab_list"), "#/list", "main")];
