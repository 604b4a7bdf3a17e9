// Sums of what the filters leave as bars, and the files that can be taken away.

import { fill, h } from "/crew/dom.js";
import { onResults, results } from "./results.js";
import { filterParameters } from "./state.js";
import { count, spoken, t, word } from "./words.js";

const CHARTS = [["class", "classes", "class"], ["state", "states", "state"], ["district", "districts", null], ["load_class", "load_classes", null],
  ["material", "materials", "material"], ["placement", "placements", "placement"], ["owner", "owners", null]];
const BARS = 12;
const FORMATS = ["xlsx", "csv", "gpkg", "geojson", "geojsonl", "shp"];

function chart([name, answer, list], sums) {
  const rows = [...sums[answer]].sort((one, other) => other.count - one.count);
  if (rows.length === 0) return null;
  const most = rows[0].count || 1;
  const bars = rows.slice(0, BARS).map((row) => {
    const bar = h("span", { class: "bar" });
    bar.style.width = `${Math.max(1, 100 * row.count / most)}%`;
    const words = row.key === "unknown" ? t("unknown") : row.name ?? (list ? word(list, row.key) : row.key);
    return h("tr", {}, h("th", { scope: "row" }, words), h("td", { class: "number" }, count(row.count)), h("td", { class: "bar-cell", "aria-hidden": "true" }, bar));
  });
  return h("table", { class: "bar-chart" }, h("caption", {}, t("facet_" + name)), h("tbody", {}, bars));
}

/** The address of a file of what is filtered. */
function exportAddress(format, crs) {
  const parameters = filterParameters();
  parameters.set("format", format);
  if (format === "xlsx") parameters.set("words", spoken());
  parameters.set("crs", crs);
  return "/api/v1/map/export?" + parameters;
}

function downloads(settings) {
  const links = h("div", { class: "downloads" });
  const crs = h("select", { name: "crs", onchange: draw }, settings.systems.map(({ code, name }) => h("option", { value: code }, name)));
  function draw() {
    fill(links, FORMATS.map((format) => h("a", { class: "button quiet", href: exportAddress(format, crs.value) }, word("download", format))));
  }
  onResults(draw);
  draw();
  return h("section", {}, h("h2", {}, t("export")), h("label", { class: "field" }, t("export_crs"), crs), links);
}

/** Builds the panel. */
export function statsPanel(settings) {
  const figures = h("dl", { class: "figures" }), charts = h("div", {});
  onResults(() => {
    const sums = results.sums;
    if (!sums) return void fill(figures);
    fill(figures, [["figure_matched", sums.matched], ["figure_view", sums.in_view], ["figure_plate", sums.with_plate], ["figure_open", sums.with_open_case]]
      .map(([key, number]) => h("div", {}, h("dt", {}, t(key)), h("dd", {}, count(number)))));
    fill(charts, CHARTS.map((of) => chart(of, sums)));
  });
  return h("div", { class: "panel-body" }, figures, charts, settings.may_export ? downloads(settings) : null);
}
