// The past of the map: a slider over the days since the first entry. Map, list, sums and files follow it; with two days it
// shows what changed between them.

import { fill, h } from "/crew/dom.js";
import { settled } from "./api.js";
import { dayNumber, dayText, stepped } from "./calendar.js";
import { onResults, results } from "./results.js";
import { changed, listen, state } from "./state.js";
import { t } from "./words.js";

/** How long a day stands still while it plays, at least, and how long a hand must rest. */
const PLAY_MS = 900, REST_MS = 350;

/** A day to be chosen: large, with its slider. `take(day)` hears every step; `read()` says which day it is. */
function dayChooser(name, label, ends, read, take) {
  const [first, last] = ends.map(dayNumber);
  const shown = h("output", { class: "time-day", for: name });
  const step = (unit, by) => take(stepped(read(), unit, by, ends));
  const slider = h("input", {
    type: "range", id: name, name, min: String(first), max: String(last), step: "1", "aria-label": label,
    oninput: () => take(dayText(Number(slider.value))),
    onkeydown: (event) => {
      const by = { PageUp: 1, PageDown: -1 }[event.key];
      if (!by) return;
      event.preventDefault();
      step("month", by);
    },
  });
  const button = (sign, words, unit, by) =>
    h("button", { type: "button", class: "quiet", "aria-label": t(words), title: t(words), "data-step": `${unit}${by}`, onclick: () => step(unit, by) }, sign);
  const show = () => {
    slider.value = String(dayNumber(read()));
    slider.setAttribute("aria-valuetext", read());
    shown.textContent = read();
  };
  const element = h("div", { class: "time-row" }, h("span", { class: "time-label" }, label), shown,
    button("«", "time_month_back", "month", -1), button("‹", "time_day_back", "day", -1), slider,
    button("›", "time_day_on", "day", 1), button("»", "time_month_on", "month", 1));
  return { element, show };
}

/** Builds the slider, closed unless the address names a day, and the banner over the map. */
export function timeBar(settings) {
  const ends = [settings.history_from ?? settings.today, settings.today];
  const within = (day) => (day < ends[0] ? ends[0] : day > ends[1] ? ends[1] : day);
  // What the sliders stand on; the rest of the page follows once they rest.
  let day = within(state.at ?? ends[1]), since = within(state.since ?? ends[0]), playing = null;

  const follow = () => {
    state.at = day === ends[1] ? null : day;
    if (state.since !== null) state.since = since;
    changed("filter");
  };
  const followSoon = settled(follow, REST_MS);
  const show = () => {
    later.show();
    earlier.show();
    earlier.element.hidden = state.since === null;
    document.body.classList.toggle("compares", state.since !== null);
    compare.setAttribute("aria-pressed", String(state.since !== null));
    play.textContent = t(playing ? "time_pause" : "time_play");
    play.disabled = ends[0] === ends[1];
  };
  const later = dayChooser("at", t("time_at"), ends, () => day, (chosen) => {
    day = chosen;
    if (since > day) since = day;
    show();
    followSoon();
  });
  const earlier = dayChooser("since", t("time_since"), ends, () => since, (chosen) => {
    since = chosen;
    if (since > day) day = since;
    show();
    followSoon();
  });

  const unit = h("select", { name: "time-unit", "aria-label": t("time_unit") }, ["day", "month"].map((one) => h("option", { value: one }, t("time_by_" + one))));
  const stop = () => {
    clearTimeout(playing);
    playing = null;
    show();
  };
  // The next day waits until the one before is drawn.
  const next = () => {
    if (playing === null) return;
    if (!results.is_waiting) {
      day = stepped(day, unit.value, 1, ends);
      follow();
      if (day === ends[1]) return stop();
    }
    playing = setTimeout(next, PLAY_MS);
    show();
  };
  const play = h("button", { type: "button", class: "time-play", onclick: () => {
    if (playing !== null) return stop();
    if (day === ends[1]) day = since > ends[0] && state.since !== null ? since : ends[0];
    playing = setTimeout(next, PLAY_MS);
    show();
    follow();
  } });
  const compare = h("button", { type: "button", class: "quiet time-compare", onclick: () => {
    since = within(state.since ?? stepped(day, "month", -1, ends));
    state.since = state.since === null ? since : null;
    show();
    follow();
  } }, t("time_compare"));
  const now = h("button", { type: "button", class: "quiet time-now", onclick: () => leave() }, t("time_now"));

  const bar = h("section", { class: "time-bar", "aria-label": t("time_title"), hidden: true },
    later.element, earlier.element, h("div", { class: "time-row" }, play, unit, compare, now,
      h("button", { type: "button", class: "quiet close time-close", "aria-label": t("time_close"), title: t("time_close"), onclick: () => open(false) }, "×")));
  const opener = h("button", { type: "button", class: "time-open", "aria-expanded": "false", onclick: () => open(bar.hidden) }, t("time_open"));
  const banner = h("p", { class: "as-of", role: "status" });

  function open(yes) {
    if (!yes && playing !== null) stop();
    bar.hidden = !yes;
    opener.setAttribute("aria-expanded", String(yes));
    opener.hidden = yes;
    document.body.classList.toggle("with-time", yes);
    if (yes) bar.querySelector("input").focus();
    else opener.focus();
  }
  function leave() {
    if (playing !== null) stop();
    day = ends[1];
    state.since = null;
    show();
    follow();
  }
  const tellBanner = () => {
    document.body.classList.toggle("of-the-past", state.at !== null);
    fill(banner, state.at === null ? [] : [h("strong", {}, t("as_of", { date: state.at })), " ", t("as_of_rest"), " ",
      h("button", { type: "button", class: "quiet", onclick: leave }, t("time_now"))]);
  };
  listen((what) => { if (what === "filter") tellBanner(); });
  onResults(() => bar.classList.toggle("asking", results.is_waiting));
  show();
  tellBanner();
  if (state.at !== null || state.since !== null) {
    bar.hidden = false;
    opener.hidden = true;
    document.body.classList.add("with-time");
  }
  return [opener, bar, banner];
}
