// Questions that no filter answers: nearest, along a way, a tour, hot spots, density, likeness, lonely doubles. An answer is a
// list, a layer on the map and a file. What was asked stands in the address, but for files, and is asked anew under other filters.

import { fill, h } from "/crew/dom.js";
import { abandon, ask, settled, Superseded } from "./api.js";
import { ring } from "./cover_layers.js";
import { tellAnswer } from "./question_answers.js";
import { drawnLine, NotYet, QUESTIONS, questionForm } from "./question_forms.js";
import { changed, filterParameters, listen, state } from "./state.js";
import { colorEntry } from "./symbols.js";
import { t } from "./words.js";

const EMPTY = { type: "FeatureCollection", features: [] };
const COLOR = "#8a1a9b";
const isType = (...types) => ["in", ["geometry-type"], ["literal", types]];
const LAYERS = [
  { id: "answer-area", type: "fill", filter: isType("Polygon", "MultiPolygon"), paint: { "fill-color": COLOR, "fill-opacity": 0.25, "fill-outline-color": COLOR } },
  { id: "answer-line", type: "line", filter: isType("LineString", "MultiLineString"), paint: { "line-color": COLOR, "line-width": 3.5, "line-opacity": 0.85 }, layout: { "line-cap": "round", "line-join": "round" } },
  { id: "answer-point", type: "circle", filter: isType("Point"), paint: { "circle-radius": 11, "circle-color": COLOR, "circle-stroke-color": "#fff", "circle-stroke-width": 2 } },
  { id: "answer-number", type: "symbol", filter: isType("Point"), layout: { "text-field": ["get", "number"], "text-font": ["Noto Sans SC Bold"], "text-size": 12, "text-allow-overlap": true, "text-ignore-placement": true }, paint: { "text-color": "#fff" } },
];

/** West, south, east, north of shapes; null where there are none. */
function boundsOf(features) {
  const all = features.flatMap(({ geometry }) => geometry.coordinates.flat(Infinity));
  if (all.length === 0) return null;
  const box = [Infinity, Infinity, -Infinity, -Infinity];
  for (let at = 0; at < all.length; at += 2) {
    box[0] = Math.min(box[0], all[at]); box[1] = Math.min(box[1], all[at + 1]);
    box[2] = Math.max(box[2], all[at]); box[3] = Math.max(box[3], all[at + 1]);
  }
  return box;
}

/** The address of a question under the filters, without what says nothing. */
function addressOf(kind, parameters, without = []) {
  const all = filterParameters();
  all.delete("at");
  without.forEach((name) => all.delete(name));
  for (const [name, value] of Object.entries(parameters)) if (value !== null && value !== undefined && value !== "") all.set(name, value);
  return `/api/v1/map/${kind}?` + all;
}

/** A question as the address of the page names it: `tour?crew=me`. That along a way goes along the line of the filters. */
function readAsked(text) {
  const [kind, query = ""] = (text ?? "").split("?");
  return QUESTIONS.includes(kind) ? { kind, parameters: Object.fromEntries(new URLSearchParams(query)), isDrawn: kind === "route" } : null;
}

/** What the color of an answer stands for, while there is one. */
export const answerKey = () => (document.querySelector(".answer-rows li") ? [colorEntry(COLOR, t("answer"))] : []);

/** Builds the panel. `go(place)` brings a place `{lon, lat}` or `{bounds}` into sight; `csrf` proves that what is sent is ours. */
export function questionPanel(map, go, csrf) {
  map.addSource("answer", { type: "geojson", data: EMPTY });
  LAYERS.forEach((layer) => map.addLayer({ source: "answer", ...layer }));

  const kinds = h("select", { name: "question", onchange: () => choose(kinds.value) }, QUESTIONS.map((kind) => h("option", { value: kind }, t("ask_" + kind))));
  const fields = h("div", {}), hint = h("p", { class: "hint" }), said = h("div", { class: "answer-said", role: "status" }), files = h("div", { class: "downloads" }), list = h("div", { class: "answer-rows" });
  const button = h("button", { class: "main" }, t("ask"));
  let form = null;
  /** What was asked last, `{kind, parameters, file, isDrawn, without}`, and the address it was asked at. */
  let asked = null, answered = null;

  function choose(kind) {
    kinds.value = kind;
    form = questionForm(kind, map);
    fill(hint, t("hint_" + kind) + (state.at ? " " + t("ask_now") : ""));
    fill(fields, form.fields);
  }

  /** The form as it was when this was asked. */
  function refill(parameters) {
    for (const [name, value] of Object.entries(parameters)) {
      const input = fields.querySelector(`[name="${CSS.escape(name)}"]`);
      if (input) input.value = value;
    }
    form.refill?.(parameters);
  }

  function wipe() {
    map.getSource("answer").setData(EMPTY);
    [said, files, list].forEach((part) => fill(part));
  }

  function forget() {
    abandon("question");
    asked = null;
    wipe();
    if (state.ask) { state.ask = null; changed("ask"); }
  }

  function row(one) {
    const words = h("span", { class: "row-words" }, h("span", {}, one.number ? h("b", {}, one.number, ". ") : null, one.title), one.lines.filter(Boolean).map((line) => h("small", {}, line)));
    const fly = () => {
      if (one.bounds) go({ bounds: one.bounds }); else go(one);
      if (!one.bounds) ring(map, [one.lon, one.lat]);
    };
    return h("li", {}, one.bounds || typeof one.lon === "number" ? h("button", { type: "button", class: "row", onclick: fly }, words) : h("div", { class: "row" }, words));
  }

  /** Files of the same answer, for map programs and receivers. */
  function offer({ kind, parameters, without }, body) {
    const take = (label, f, name) => {
      const address = addressOf(kind, { ...parameters, f }, without);
      if (body === null) return h("a", { class: "button quiet", href: address, download: name }, t(label));
      return h("button", { type: "button", class: "quiet", onclick: async () => {
        try {
          const told = await ask("question-file", address, sent(body));
          const link = h("a", { href: URL.createObjectURL(new Blob([JSON.stringify(told)], { type: "application/geo+json" })), download: name });
          link.click();
          setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
        } catch (error) { complain(error); }
      } }, t(label));
    };
    fill(files, take("take_geojson", "geojson", `lidmark-${kind}.geojson`), kind === "tour" ? take("take_gpx", "gpx", "lidmark-tour.gpx") : null, h("button", { type: "button", class: "quiet", onclick: forget }, t("forget_answer")));
  }

  const sent = (body) => (body === null ? {} : { method: "POST", body, headers: { "Content-Type": "application/octet-stream", "X-CSRF-Token": csrf } });

  function complain(error) {
    if (error instanceof Superseded) return;
    fill(said, h("p", { class: "mark hot", role: "alert" }, error.message));
  }

  /** Asks and shows the answer; the map stays where it is if the address says where that is. */
  async function run(question, { stays = false } = {}) {
    const { kind, parameters, without = [] } = question, body = question.isDrawn ? drawnLine() : question.file ?? null;
    if (question.isDrawn && body === null) return forget();
    asked = question;
    answered = addressOf(kind, parameters, without) + (question.isDrawn ? body : "");
    wipe();
    fill(said, h("p", { class: "hint" }, t("asking")));
    button.disabled = true;
    try {
      const told = tellAnswer(kind, await ask("question", addressOf(kind, parameters, without), sent(body)));
      map.getSource("answer").setData({ type: "FeatureCollection", features: told.features });
      fill(said, told.said.map((line) => h("p", {}, line)));
      fill(list, told.groups.map((group) => [group.title ? h("h3", {}, group.title) : null, h("ol", {}, group.rows.map(row))]));
      offer(question, body);
      // On a phone the answer would lie below the edge of the panel.
      if (list.getBoundingClientRect().top > innerHeight - 120) said.scrollIntoView({ block: "start" });
      const bounds = boundsOf(told.features);
      if (bounds && !stays) go({ bounds });
      state.ask = question.file ? null : `${kind}?${new URLSearchParams(Object.entries(parameters).filter(([, value]) => value))}`;
      changed("ask");
    } catch (error) {
      complain(error);
    } finally {
      button.disabled = false;
    }
  }

  async function submit(event) {
    event.preventDefault();
    try {
      await run({ kind: kinds.value, without: form.without, ...await form.read() });
    } catch (error) {
      if (error instanceof NotYet) { forget(); complain(error); } else complain(error);
    }
  }

  const askAgain = settled(() => {
    if (!asked) return;
    const { kind, parameters, without, isDrawn } = asked;
    if (addressOf(kind, parameters, without) + (isDrawn ? drawnLine() : "") !== answered) run(asked, { stays: true });
  }, 250);
  listen((what) => { if (what === "filter") askAgain(); });

  const linked = readAsked(state.ask);
  choose(linked?.kind ?? QUESTIONS[0]);
  if (linked) {
    refill(linked.parameters);
    run({ ...linked, without: form.without }, { stays: state.view !== null });
  }
  return h("div", { class: "panel-body questions" },
    h("form", { onsubmit: submit }, h("label", { class: "field" }, t("ask_what"), kinds), hint, fields, h("p", {}, button)),
    h("section", { "aria-label": t("answer") }, said, files, list));
}
