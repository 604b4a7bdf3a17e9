// A place in the systems that people need it in, and as links into the maps of others. The server converts.

import { fill, h } from "/crew/dom.js";
import { ask, Superseded } from "./api.js";
import { t } from "./words.js";

async function copy(text, said) {
  try {
    await navigator.clipboard.writeText(text);
    said.textContent = t("copied");
  } catch {
    said.textContent = t("copy_by_hand");
  }
}

function line(label, text, said) {
  const shown = h("output", { class: "code" }, text);
  const take = () => {
    getSelection().selectAllChildren(shown);
    copy(text, said);
  };
  return h("div", { class: "coordinate" }, h("span", {}, label), shown, h("button", { type: "button", class: "quiet", onclick: take, "aria-label": t("copy_this", { name: label }) }, t("copy")));
}

/** Fills an element with a place in degrees. */
export async function showPlace(element, lon, lat) {
  const said = h("p", { class: "hint", role: "status" });
  fill(element, h("p", { class: "hint" }, t("waiting")));
  try {
    const place = await ask("place", `/api/v1/map/place?lon=${lon}&lat=${lat}`);
    const degrees = ({ lon: x, lat: y }) => `${x.toFixed(7)}, ${y.toFixed(7)}`;
    fill(element,
      line("WGS 84", degrees(place.wgs84), said),
      place.grid ? line(place.grid.name, `${place.grid.east.toFixed(3)}, ${place.grid.north.toFixed(3)}`, said) : null,
      line("GCJ-02", degrees(place.gcj02), said),
      h("p", { class: "hint" }, t("east_first")),
      h("p", { class: "links" }, place.links.map(({ map, address }) => h("a", { class: "button quiet", href: address, target: "_blank", rel: "noopener noreferrer" }, t("open_" + map)))),
      said);
  } catch (error) {
    if (!(error instanceof Superseded)) fill(element, h("p", { class: "mark hot", role: "alert" }, error.message));
  }
}
