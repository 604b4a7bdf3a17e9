// One cover: what is known of it here, and what can be done to it.

import { findCover, isDrawn, isTask, meant, openTasks, standing } from "./covers.js";
import { fill, h, link } from "./dom.js";
import { follow } from "./gnss.js";
import { badge, deadEnd, nameOf, placeOf, tokenText, wayTo } from "./parts.js";
import { showOnMap } from "./view_map.js";
import { taskName } from "./view_task.js";
import { clock, t, word } from "./words.js";

/** The facts of a cover, as every view shows them. */
export function coverFacts(cover, from = null) {
  return h("section", { class: "facts is-" + standing(cover) },
    h("p", { class: "row-name" }, h("b", {}, word("class", cover.class)), " ", h("span", { class: "code" }, nameOf(cover))),
    h("p", {}, placeOf(cover)),
    h("p", { class: "row-end" }, h("span", { class: "way-box" }, wayTo(cover, from)), badge(cover)),
    cover.plates.map((plate) => h("p", {}, t("plate"), " ", tokenText(plate.token), " ", word("plate_state", plate.state),
      plate.spot === "inner" ? " · " + t("spot_inner") : "")),
    cover.mine ? h("p", { class: "waits" }, t("mine_" + cover.mine.kind, { time: clock(cover.mine.at) })) : null,
    cover.open_cases > 0 ? h("p", { class: "bad" }, t("open_cases", { count: cover.open_cases })) : null);
}

export async function coverView(main, id) {
  const cover = await findCover(id);
  if (!cover) return void fill(main, deadEnd(t("cover_unknown")));
  const ready = meant(cover);
  const facts = coverFacts(cover);
  fill(main, h("h1", {}, t("cover_title")), facts,
    h("div", { class: "actions" },
      isDrawn(cover) ? link(t("drawn_title"), "#/drawn/" + id, "main") : null,
      openTasks(cover).map((task) => link(taskName(task), `#/task/${id}/${task.id}`, isDrawn(cover) || !isTask(cover) ? "" : "main")),
      link(t("fit_here"), "#/scan/cover/" + id, isDrawn(cover) || isTask(cover) ? "" : "main"),
      ready ? h("p", { class: "hint" }, t("fit_meant"), " ", tokenText(ready.token)) : null,
      link(t("report_title"), "#/report/" + id),
      link(t("check_missing"), `#/check/-/${id}/missing`),
      link(t("check_unreadable"), `#/check/-/${id}/unreadable`),
      h("a", { class: "button", href: "#/map", onclick: () => showOnMap(cover) }, t("on_map"))));
  return follow((fix) => {
    if (fix) facts.querySelector(".way-box").replaceChildren(wayTo(cover, fix));
  });
}
