// Today's list: the covers of the downloaded packages, nearest first or by road.

import { DRAWN, TASKS, allCovers, isDrawn, isTask, isToDo, listPackages } from "./covers.js";
import { button, choices, fill, h, link } from "./dom.js";
import { distance } from "./geo.js";
import { follow } from "./gnss.js";
import { byDistance, coverRow } from "./parts.js";
import { listen } from "./signal.js";
import { t } from "./words.js";

const ROWS = 60;
/** What stays chosen while the page is open. */
const chosen = { order: "near", which: "todo" };

export async function listView(main) {
  let covers = await allCovers(), from = null, rows = ROWS, drawnFrom = null;
  if (covers.length === 0) {
    const packages = (await listPackages()).filter((wish) => wish.id !== DRAWN && wish.id !== TASKS);
    fill(main, h("h1", {}, t("list_title")), h("p", {}, packages.length ? t("list_all_empty") : t("list_empty")),
      link(t("packages_choose"), "#/packages", "main"), link(t("survey_title"), "#/survey"));
    return listen((what) => { if (what === "covers") dispatchEvent(new HashChangeEvent("hashchange")); });
  }
  const place = h("p", { class: "hint", role: "status" }, t("here_looking"));
  const list = h("div", { class: "covers" });

  const wanted = (cover) => (chosen.which === "all" ? true : chosen.which === "drawn" ? isDrawn(cover)
    : chosen.which === "task" ? isTask(cover) : isToDo(cover));

  function draw() {
    drawnFrom = from;
    const todo = covers.filter(wanted);
    const counted = h("p", {}, t("list_counted", { count: todo.length, all: covers.length }));
    if (chosen.order === "near") {
      return fill(list, counted, h("ul", { class: "rows" }, byDistance(todo, from).slice(0, rows).map((cover) => coverRow(cover, from))),
        todo.length > rows ? button(t("list_more"), () => { rows += ROWS; draw(); }) : null);
    }
    const roads = new Map();
    for (const cover of todo) roads.set(cover.road ?? "", [...(roads.get(cover.road ?? "") ?? []), cover]);
    const nearest = (inside) => (from ? Math.min(...inside.map((cover) => distance(from, cover))) : 0);
    const sorted = [...roads].map(([road, inside]) => [road, inside, nearest(inside)])
      .sort((left, right) => left[2] - right[2] || left[0].localeCompare(right[0]));
    return fill(list, counted, sorted.map(([road, inside], at) => h("details", { open: at === 0 },
      h("summary", {}, h("b", {}, road || t("no_road")), " ", t("list_road_count", { count: inside.length })),
      h("ul", { class: "rows" }, byDistance(inside, from).slice(0, rows).map((cover) => coverRow(cover, from))))));
  }

  const which = h("div", {});
  /** Tasks are walked street by street. */
  function choose(value) {
    const turns = value === "task" && chosen.order !== "road";
    chosen.which = value;
    if (turns) chosen.order = "road";
    if (turns) dispatchEvent(new HashChangeEvent("hashchange"));
    else draw();
  }

  /** Spot checks and tasks can be chosen while there are any. */
  function drawWhich() {
    const drawn = covers.filter(isDrawn).length, tasks = covers.filter(isTask).length;
    if ((drawn === 0 && chosen.which === "drawn") || (tasks === 0 && chosen.which === "task")) chosen.which = "todo";
    if (which.dataset.counts === `${drawn} ${tasks}`) return;
    which.dataset.counts = `${drawn} ${tasks}`;
    fill(which, choices("which", t("list_which"), [["todo", t("which_todo")], tasks ? ["task", t("which_tasks", { count: tasks })] : null, drawn ? ["drawn", t("which_drawn", { count: drawn })] : null,
      ["all", t("which_all")]].filter(Boolean), chosen.which, choose));
  }

  fill(main, h("h1", {}, t("list_title")),
    h("div", { class: "bare" },
      choices("order", t("list_order"), [["near", t("order_near")], ["road", t("order_road")]], chosen.order, (value) => { chosen.order = value; draw(); }),
      which),
    place, list, h("div", { class: "pair" }, link(t("survey_title"), "#/survey"), link(t("packages_choose"), "#/packages")));
  drawWhich();
  draw();

  const stopFollowing = follow((fix, why) => {
    if (!fix) {
      if (!from) place.textContent = t(why === "silent" ? "here_looking" : "here_none");
      return;
    }
    from = fix;
    place.textContent = t("here_known", { meters: Math.round(fix.accuracy_m) });
    // A list that jumps under the thumb is worse than one that is 5 m behind.
    if (!drawnFrom || distance(drawnFrom, fix) > 5) draw();
  });
  const stopListening = listen(async (what) => {
    if (what !== "covers") return;
    covers = await allCovers();
    drawWhich();
    draw();
  });
  return () => { stopFollowing(); stopListening(); };
}
