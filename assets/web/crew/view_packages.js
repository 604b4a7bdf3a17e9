// Work packages: which roads are on this phone, and which more to fetch before the signal goes.

import { LoggedOut, NoAnswer } from "./api.js";
import { DRAWN, OWN, TASKS, download, downloadStock, listPackages, offered, packageId, removePackage } from "./covers.js";
import { recall } from "./db.js";
import { button, fill, h } from "./dom.js";
import { distance } from "./geo.js";
import { follow } from "./gnss.js";
import { warning } from "./parts.js";
import { clock, meters, t } from "./words.js";

const SHOWN = 40;

const titleOf = (wish) => (wish.drawn ? t("package_drawn") : wish.tasks ? t("package_tasks") : wish.area ? wish.name ?? t("package_area", { time: clock(wish.chosen_at) }) : `${wish.road || t("no_road")} · ${wish.district_name ?? wish.district}`);

export async function packagesView(main) {
  const kept = h("ul", { class: "entries" }), mine = h("ul", { class: "entries" }), list = h("ul", { class: "entries" }), said = h("div", { role: "status" });
  const search = h("input", { type: "search", name: "search", "aria-label": t("packages_search"), placeholder: t("packages_search") });
  let all = null, from = null, busy = false;

  async function fetchOne(wish, label) {
    if (busy) return;
    busy = true;
    try {
      navigator.storage?.persist?.().catch(() => {});
      fill(said, h("p", { class: "notice" }, t("package_loading", { name: label, count: 0 })));
      const count = await download(wish, (sofar) => fill(said, h("p", { class: "notice" }, t("package_loading", { name: label, count: sofar }))));
      await downloadStock();
      if (!wish.drawn) await download({ drawn: true });
      if (!wish.tasks) await download({ tasks: true });
      fill(said, h("p", { class: "good big" }, "✓ ", t("package_loaded", { name: label, count })));
    } catch (error) {
      fill(said, warning(h("p", {}, complaint(error))));
    }
    busy = false;
    await drawKept();
    drawOwn();
    drawList();
  }

  const complaint = (error) => (error instanceof NoAnswer ? t("packages_offline")
    : error instanceof LoggedOut ? t("log_in_first")
    : error?.name === "QuotaExceededError" ? t("phone_full") : error.problem?.detail ?? String(error?.message ?? error));

  let ids = new Set();
  async function drawKept() {
    const packages = (await listPackages()).filter((wish) => wish.id !== OWN && (![DRAWN, TASKS].includes(wish.id) || wish.covers > 0));
    ids = new Set(packages.map((wish) => wish.id));
    fill(kept, packages.map((wish) => h("li", { class: "entry" },
      h("p", { class: "row-name" }, h("b", {}, titleOf(wish))),
      h("p", { class: "row-place" }, t(wish.id === DRAWN ? "package_drawn_kept" : wish.id === TASKS ? "package_tasks_kept" : "package_kept", { count: wish.covers, time: clock(wish.made_at) })),
      h("div", { class: "pair" }, button(t("package_refresh"), () => fetchOne(wish, titleOf(wish))),
        [DRAWN, TASKS].includes(wish.id) ? null : button(t("package_remove"), async () => { await removePackage(wish.id); await drawKept(); drawOwn(); drawList(); }, "quiet")))));
  }

  function drawList() {
    if (!all) return;
    const wanted = search.value.trim().toLowerCase();
    const found = all.filter((wish) => !ids.has(packageId(wish)))
      .filter((wish) => !wanted || titleOf(wish).toLowerCase().includes(wanted))
      .map((wish) => [from && wish.center ? distance(from, { lon: wish.center[0], lat: wish.center[1] }) : null, wish])
      .sort((left, right) => (left[0] ?? 0) - (right[0] ?? 0));
    fill(list, found.slice(0, SHOWN).map(([away, wish]) => h("li", { class: "entry" },
      h("p", { class: "row-name" }, h("b", {}, titleOf(wish))),
      h("p", { class: "row-place" }, [t("package_offered", { count: wish.covers, without: wish.without_plate }), away === null ? "" : meters(away)].filter(Boolean).join(" · ")),
      button(t("package_take"), () => fetchOne({ district: wish.district, district_name: wish.district_name, road: wish.road, bbox: wish.bbox }, titleOf(wish)), "main"))),
    found.length > SHOWN ? h("li", {}, t("packages_more", { count: found.length - SHOWN })) : null);
  }

  fill(main, h("h1", {}, t("packages_title")), said, kept, h("h2", {}, t("packages_choose")), mine, search, list,
    h("p", { class: "hint" }, t("packages_area_hint")));
  search.addEventListener("input", drawList);
  await drawKept();
  // A grid worker begins with the areas for which they answer.
  const own = ((await recall("me"))?.areas ?? []).filter((area) => area.bounds);
  function drawOwn() {
    fill(mine, own.map((area) => ({ area: true, bbox: area.bounds, name: t("package_own", { name: document.documentElement.lang === "en" ? area.name_en : area.name_zh }) }))
      .filter((wish) => !ids.has(packageId(wish)))
      .map((wish) => h("li", { class: "entry" },
        h("p", { class: "row-name" }, h("b", {}, titleOf(wish))),
        h("p", { class: "row-place" }, t("package_own_hint")),
        button(t("package_take"), () => fetchOne({ ...wish, chosen_at: Date.now() }, titleOf(wish)), "main"))));
  }
  drawOwn();
  const stop = follow((fix) => {
    if (!fix || (from && distance(from, fix) < 200)) return;
    from = fix;
    drawList();
  });
  offered().then((packages) => { all = packages; drawList(); }, (error) => fill(list, h("li", {}, warning(h("p", {}, complaint(error))))));
  return stop;
}
