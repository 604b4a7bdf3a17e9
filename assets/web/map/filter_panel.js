// The filters: lists with how many covers each choice would leave, dates, completeness, free text, and what is drawn on the map.

import { settled } from "./api.js";
import { fill, h } from "/crew/dom.js";
import { onResults, results } from "./results.js";
import { changed, isFiltered, listen, state } from "./state.js";
import { count, t, word } from "./words.js";

/** Each list, where its sums stand in the answer, and where its words stand in the catalogue. */
const FACETS = [
  ["class", "classes", "class"], ["state", "states", "state"], ["district", "districts", null], ["load_class", "load_classes", null],
  ["material", "materials", "material"], ["placement", "placements", "placement"], ["owner", "owners", null],
];

const shownWord = (list, choice) => (choice.key === "unknown" ? t("unknown") : choice.name ?? (list ? word(list, choice.key) : choice.key));

function toggle(name, key, yes) {
  const chosen = new Set(state.lists[name] ?? []);
  if (yes) chosen.add(key); else chosen.delete(key);
  state.lists[name] = [...chosen];
  changed("filter");
}

/** A list of all choices there are, the commonest first, each with how many of what is left it is. */
function facet([name, answer, list]) {
  const choices = h("div", { class: "choices" }), said = h("span", { class: "chosen-count" });
  const fold = h("details", { class: "facet", "data-facet": name, open: name === "class" || Boolean(state.lists[name]?.length) },
    h("summary", {}, t("facet_" + name), " ", said), choices);
  let drawn = "";
  function draw() {
    const chosen = state.lists[name] ?? [];
    const sums = new Map((results.sums?.[answer] ?? []).map((choice) => [choice.key, choice]));
    const all = [...results.all?.[answer] ?? sums.values()].sort((one, other) => other.count - one.count);
    const known = [...all, ...chosen.filter((key) => !all.some((choice) => choice.key === key)).map((key) => ({ key }))];
    const shown = known.map((choice) => ({ ...choice, count: sums.get(choice.key)?.count ?? 0 }));
    const now = JSON.stringify([shown, chosen]);
    if (now === drawn || !results.sums) return;
    drawn = now;
    said.textContent = chosen.length ? String(chosen.length) : "";
    const focused = document.activeElement?.closest?.("[data-facet]") === fold ? document.activeElement.value : null;
    fill(choices, shown.map((choice) => h("label", { class: "choice" },
      h("input", { type: "checkbox", value: choice.key, checked: chosen.includes(choice.key), onchange: (event) => toggle(name, choice.key, event.target.checked) }),
      h("span", {}, shownWord(list, choice)), h("span", { class: "number" }, count(choice.count)))));
    if (focused !== null) choices.querySelector(`[value="${CSS.escape(focused)}"]`)?.focus();
  }
  onResults(draw);
  return { element: fold, draw };
}

function field(name, label, attributes) {
  const say = settled(() => { state.singles[name] = input.value.trim(); changed("filter"); }, 200);
  const input = h("input", { ...attributes, name, oninput: say });
  return { element: h("label", { class: "field" }, t(label), input), draw: () => { if (document.activeElement !== input) input.value = state.singles[name] ?? ""; } };
}

function yesNo(name, label) {
  const select = h("select", { name, onchange: () => { state.singles[name] = select.value; changed("filter"); } },
    [["", t("any")], ["true", t("yes")], ["false", t("no")]].map(([value, text]) => h("option", { value }, text)));
  return { element: h("label", { class: "field" }, t(label), select), draw: () => { select.value = state.singles[name] ?? ""; } };
}

/** Builds the panel; `selection` are the tools that draw on the map. */
export function filterPanel(selection) {
  const parts = {
    text: field("text", "text", { type: "search", maxlength: 200, placeholder: t("text_hint"), autocomplete: "off" }),
    facets: FACETS.map(facet),
    plate: yesNo("has_plate", "has_plate"), open: yesNo("open_case", "with_open_case"),
    from: field("surveyed_from", "surveyed_from", { type: "date" }), to: field("surveyed_to", "surveyed_to", { type: "date" }),
    least: field("completeness_from", "completeness_from", { type: "number", min: 0, max: 100, step: 5, inputmode: "numeric" }),
    most: field("completeness_to", "completeness_to", { type: "number", min: 0, max: 100, step: 5, inputmode: "numeric" }),
    cql: field("filter", "cql", { type: "text", maxlength: 4000, placeholder: "load_class = 'D400' AND has_plate = FALSE", spellcheck: "false", autocapitalize: "off" }),
  };
  const all = Object.values(parts).flat();
  const sums = h("p", { class: "sum", role: "status" });
  const clear = h("button", { type: "button", class: "quiet", onclick: () => {
    Object.assign(state, { lists: {}, singles: {}, shape: null });
    changed("filter");
  } }, t("clear"));
  onResults(() => {
    fill(sums, results.problem ? h("span", { class: "mark hot" }, results.problem)
      : results.sums ? t("matched", { count: count(results.sums.matched), view: count(results.sums.in_view) }) : t("waiting"));
    clear.disabled = !isFiltered();
  });
  listen((what) => { if (what === "filter") all.forEach((part) => part.draw()); });
  all.forEach((part) => part.draw());
  return h("div", { class: "panel-body" },
    h("div", { class: "sum-row" }, sums, clear),
    parts.text.element, selection, parts.facets.map((part) => part.element),
    h("div", { class: "pair" }, parts.plate.element, parts.open.element),
    h("details", { class: "facet", open: ["surveyed_from", "surveyed_to", "completeness_from", "completeness_to", "filter"].some((name) => state.singles[name]) },
      h("summary", {}, t("more_filters")),
      h("div", { class: "pair" }, parts.from.element, parts.to.element), h("div", { class: "pair" }, parts.least.element, parts.most.element), parts.cql.element));
}
