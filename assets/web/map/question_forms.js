// The questions and what each of them asks a person: fields, and from them the parameters of the API.

import { h } from "/crew/dom.js";
import { ask } from "./api.js";
import { state } from "./state.js";
import { listed, t, word } from "./words.js";

/** What cannot be asked yet, in a sentence. */
export class NotYet extends Error {}

/** The questions in the order of the list. `tour` and those that need a cover or a line say so by themselves. */
export const QUESTIONS = ["nearest", "route", "tour", "hotspots", "density", "alike", "duplicates"];

const field = (label, input) => h("label", { class: "field" }, label, input);
const number = (name, value, min, max) => h("input", { type: "number", name, value, min, max, step: "any", inputmode: "decimal" });
const select = (name, options, onchange) => h("select", { name, onchange }, options.map(([value, text]) => h("option", { value }, text)));
const pair = (...fields) => h("div", { class: "pair" }, fields);
const degrees = ([lon, lat]) => `${lon.toFixed(7)},${lat.toFixed(7)}`;

/** The place of the cover whose file is open. */
async function chosenPlace() {
  if (!state.cover) throw new NotYet(t("no_cover"));
  const { position } = await ask("question-cover", "/api/v1/covers/" + encodeURIComponent(state.cover));
  return [position.lon, position.lat];
}

function whereField(map, choices) {
  const where = select("where", choices.map((choice) => [choice, t("where_" + choice)]));
  if (state.cover && choices[0] === "middle") where.value = "cover";
  return {
    element: field(t("from_where"), where),
    read: async () => (where.value === "none" ? null : degrees(where.value === "cover" ? await chosenPlace() : map.getCenter().toArray())),
  };
}

/** The shape of the filters as a line of GeoJSON; null where none is drawn. */
export const drawnLine = () => (state.shape?.kind === "along" ? JSON.stringify({ type: "LineString", coordinates: state.shape.points }) : null);

/** Builds the fields of a question. `read()` gives its parameters, and the file or the drawn line that it goes along; `refill(parameters)` brings back what does not stand in a field of the same name; `without` are filters that do not hold for it. */
export function questionForm(kind, map) {
  if (kind === "nearest") {
    const where = whereField(map, ["middle", "cover"]), many = number("limit", 10, 1, 1000);
    return { fields: [pair(where.element, field(t("how_many"), many))], read: async () => ({ parameters: { at: await where.read(), limit: many.value } }) };
  }
  if (kind === "route") {
    const file = h("input", { type: "file", name: "route", accept: ".gpx,.geojson,.json,application/gpx+xml,application/geo+json" }), buffer = number("buffer_m", 20, 0, 500);
    return {
      fields: [field(t("route_file"), file), field(t("buffer"), buffer)],
      read: async () => {
        if (!file.files[0] && !drawnLine()) throw new NotYet(t("no_route"));
        return { parameters: { buffer_m: buffer.value }, file: file.files[0], isDrawn: !file.files[0] };
      },
      // The line that was drawn says where to look; it is no filter of what lies along a file.
      without: ["along", "buffer_m"],
    };
  }
  if (kind === "tour") {
    const where = whereField(map, ["middle", "cover", "none"]), codes = h("textarea", { name: "codes", rows: 3, maxlength: 9000 }), day = h("input", { type: "date", name: "day" });
    const back = h("input", { type: "checkbox", name: "back" }), codesField = field(t("tour_codes"), codes), dayField = field(t("tour_day"), day);
    codesField.hidden = true;
    const arrange = () => {
      codesField.hidden = what.value !== "named";
      dayField.hidden = what.value === "named";
    };
    const what = select("what", [["tasks", t("tour_tasks")], ["mine", t("tour_mine")], ["named", t("tour_named")]], arrange);
    return {
      fields: [field(t("tour_what"), what), codesField, pair(where.element, dayField), h("label", { class: "choice" }, back, h("span", {}, t("tour_back")))],
      read: async () => {
        const start = await where.read(), named = codes.value.split(/[\s,，、]+/).filter(Boolean), isCase = (one) => /^\d{4}-\d{6,}$/.test(one);
        return { parameters: {
          start, back: back.checked && start ? "true" : null, day: what.value === "named" ? null : day.value, crew: what.value === "mine" ? "me" : null,
          covers: what.value === "named" ? named.filter((one) => !isCase(one)).join(",") : null, cases: what.value === "named" ? named.filter(isCase).join(",") : null,
        } };
      },
      refill: ({ start, back: isBack, crew, covers, cases }) => {
        const named = [covers, cases].filter(Boolean).join(",").split(",").filter(Boolean);
        codes.value = named.join("\n");
        what.value = named.length ? "named" : crew ? "mine" : "tasks";
        back.checked = isBack === "true";
        if (!start) where.element.querySelector("select").value = "none";
        arrange();
      },
    };
  }
  if (kind === "hotspots") {
    const from = h("input", { type: "date", name: "from" }), until = h("input", { type: "date", name: "until" }), radius = number("radius_m", 1000, 100, 5000);
    const counted = select("count", ["cases", "recurring"].map((one) => [one, t("hot_count_" + one)]));
    const hazard = select("hazard", [["", t("any")], ...listed("hazard").map((one) => [one, word("hazard", one)])]);
    return {
      fields: [field(t("hot_count"), counted), pair(field(t("day_from"), from), field(t("day_until"), until)), pair(field(t("hot_hazard"), hazard), field(t("hot_radius"), radius))],
      read: async () => ({ parameters: { from: from.value, until: until.value, count: counted.value, hazard: hazard.value, radius_m: radius.value } }),
    };
  }
  if (kind === "density") {
    const order = select("order", ["fewest", "most", "longest"].map((one) => [one, t("road_order_" + one)])), least = number("least_m", 200, 0, 100_000), gap = number("gap_m", 500, 50, 2000);
    return { fields: [field(t("road_order"), order), pair(field(t("road_least"), least), field(t("road_gap"), gap))], read: async () => ({ parameters: { order: order.value, least_m: least.value, gap_m: gap.value } }) };
  }
  if (kind === "alike") {
    const many = number("limit", 20, 1, 200);
    return { fields: [field(t("how_many"), many)], read: async () => {
      if (!state.cover) throw new NotYet(t("no_cover"));
      return { parameters: { like: state.cover, limit: many.value } };
    } };
  }
  const alone = number("alone_m", 15, 0, 500);
  return { fields: [field(t("alone"), alone)], read: async () => ({ parameters: { alone_m: alone.value } }) };
}
