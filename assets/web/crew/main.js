// The page's frame: what stands on every screen, and which view the address asks for.

import { LoggedOut, loadMe } from "./api.js";
import { refreshDrawn, refreshTasks } from "./covers.js";
import { recall } from "./db.js";
import { button, fill, h } from "./dom.js";
import { countOpen, tidy } from "./queue.js";
import { listen } from "./signal.js";
import { soon, start, status } from "./sync.js";
import { installWorker, updateNotice } from "./update.js";
import { chooseLanguage, loadWords, otherLanguage, t } from "./words.js";
import { checkForm, plateForm } from "./view_check.js";
import { coverView } from "./view_cover.js";
import { drawnView } from "./view_drawn.js";
import { fitView } from "./view_fit.js";
import { listView } from "./view_list.js";
import { mapView } from "./view_map.js";
import { moreView } from "./view_more.js";
import { packagesView } from "./view_packages.js";
import { plateView } from "./view_plate.js";
import { queueView, savedView } from "./view_queue.js";
import { reportView } from "./view_report.js";
import { scanView } from "./view_scan.js";
import { surveyView } from "./view_survey.js";
import { taskView } from "./view_task.js";

/** First part of the address → view: `(main, ...rest) => way to leave it`. */
const VIEWS = {
  list: listView, map: mapView, scan: scanView, queue: queueView, more: moreView, packages: packagesView,
  cover: coverView, plate: plateView, fit: fitView, survey: surveyView, report: reportView, check: checkForm, drawn: drawnView,
  state: plateForm, saved: savedView, task: taskView,
};
const TABS = ["list", "map", "scan", "queue", "more"];

let leave = null;
let turn = 0;

/** Shows the view that the address names; a second call while one is being made wins. */
async function show() {
  const mine = ++turn;
  const [name, ...rest] = location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  leave?.();
  leave = null;
  const main = h("main", { id: "main", tabindex: "-1" });
  document.getElementById("main").replaceWith(main);
  document.querySelectorAll("nav a").forEach((tab) => {
    if (tab.dataset.tab === (name || "list")) tab.setAttribute("aria-current", "page");
    else tab.removeAttribute("aria-current");
  });
  scrollTo(0, 0);
  try {
    const left = await (VIEWS[name] ?? listView)(main, ...rest);
    if (mine === turn) leave = left ?? null;
    else left?.();
  } catch (error) {
    console.error(error);
    fill(main, h("p", { class: "wrong", role: "alert" }, t("broken_view", { reason: String(error?.message ?? error) })),
      button(t("try_again"), () => show(), "main"));
  }
}

/** Puts children into an element where they differ from what it shows: nothing moves under a thumb without need. */
function refill(element, ...children) {
  const next = fill(element.cloneNode(false), ...children);
  if (!next.isEqualNode(element)) element.replaceChildren(...next.childNodes);
}

/** What every screen says of queue, log-in and updates. */
async function drawBar() {
  const { open, asks } = await countOpen();
  const me = await recall("me");
  const update = await updateNotice(open);
  const count = document.getElementById("count");
  count.textContent = open ? String(open) : "";
  count.hidden = open === 0;
  const state = status.busy ? (status.percent === null ? t("bar_sending") : t("bar_sending_percent", { percent: status.percent }))
    : open === 0 ? t("bar_empty")
    : status.offline ? t("bar_offline", { count: open })
    : t("bar_waiting", { count: open });
  refill(document.getElementById("state"), h("a", { href: "#/queue" }, state));
  refill(document.getElementById("notices"),
    status.loggedOut || !me ? h("div", { class: "notice hot" }, h("p", {}, open ? t("log_in_keeps", { count: open }) : t("log_in_first")),
      h("a", { class: "button main", href: "/login?next=/crew" }, t("log_in"))) : null,
    status.full ? h("p", { class: "notice hot", role: "alert" }, t("bar_full")) : null,
    asks ? h("a", { class: "notice hot", href: "#/queue" }, t("bar_asks", { count: asks })) : null,
    status.otherUser ? h("a", { class: "notice hot", href: "#/queue" }, t("bar_other_user")) : null,
    me && Math.abs(me.clock_off_ms) > 300_000 ? h("p", { class: "notice" }, t("clock_off", { minutes: Math.round(Math.abs(me.clock_off_ms) / 60_000) })) : null,
    update);
}

function drawFrame() {
  fill(document.getElementById("app"),
    h("header", {},
      h("strong", {}, t("title")),
      h("span", { id: "state", role: "status" }),
      button(otherLanguage() === "en" ? "English" : "中文", async () => {
        await chooseLanguage(otherLanguage());
        drawFrame();
        await drawBar();
        await show();
      }, "quiet language")),
    h("div", { id: "notices" }),
    h("main", { id: "main", tabindex: "-1" }),
    h("nav", { "aria-label": t("title") }, TABS.map((tab) => h("a", { href: "#/" + tab, "data-tab": tab, class: "tab-" + tab },
      h("span", { class: "icon", "aria-hidden": "true" }), h("span", {}, t("tab_" + tab)),
      tab === "queue" ? h("b", { id: "count", hidden: true }) : null))));
}

async function begin() {
  await loadWords();
  drawFrame();
  await tidy();
  addEventListener("hashchange", show);
  listen(() => drawBar());
  await drawBar();
  await show();
  installWorker();
  try {
    await loadMe();
    status.loggedOut = false;
    // What was drawn or asked for this morning stands on the list without anybody asking for it.
    refreshDrawn().catch(() => {});
    refreshTasks().catch(() => {});
  } catch (error) {
    status.loggedOut = error instanceof LoggedOut;
  }
  await drawBar();
  start();
  await soon();
}

begin().catch((error) => {
  console.error(error);
  // Before the words are there: in both languages, by the shell.
  document.getElementById("broken").hidden = false;
});
