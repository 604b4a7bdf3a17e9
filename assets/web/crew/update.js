// The worker that makes the page open without a network, and new versions of it: none is taken while something waits
// to be sent, unless a person says so.

import { recall, remember } from "./db.js";
import { button, h } from "./dom.js";
import { tell } from "./signal.js";
import { t } from "./words.js";

const LOOK_EVERY_MS = 3_600_000;
/** Between tries to keep the page on this phone: twice as long each time. */
const FIRST_PAUSE_MS = 2000, LONGEST_PAUSE_MS = 60_000;
let registration = null;
/** Whether a try to keep the page failed, and none came through since. */
let missing = false;
/** `waits` = a version is there and the queue is not empty; `ready` = it takes one tap. */
let found = null;

export async function installWorker() {
  if (!("serviceWorker" in navigator)) return;
  navigator.serviceWorker.addEventListener("message", ({ data }) => {
    if (data !== "update-waits") return;
    found = "waits";
    tell("update");
  });
  // One that came while this page was being loaded does not know of it.
  navigator.serviceWorker.ready.then(({ active }) => {
    if (!navigator.serviceWorker.controller) active.postMessage("claim");
  });
  for (let pause = FIRST_PAUSE_MS; !(await keep()); pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
    missing = true;
    tell("update");
    await new Promise((done) => setTimeout(done, pause));
  }
  missing = false;
  tell("update");
  const look = () => {
    if (registration.waiting && navigator.serviceWorker.controller) {
      found = "ready";
      tell("update");
    }
  };
  look();
  registration.addEventListener("updatefound", () => registration.installing?.addEventListener("statechange", look));
  setInterval(() => registration.update().catch(() => {}), LOOK_EVERY_MS);
}

/** Whether a worker is there after one try; there is none where the line breaks while its files come. */
async function keep() {
  try {
    registration = await navigator.serviceWorker.register("/crew/sw.js", { scope: "/crew" });
  } catch (error) {
    console.warn("no worker", error);
    return false;
  }
  const coming = registration.installing;
  if (coming?.state === "installing" && !registration.active)
    await new Promise((done) => coming.addEventListener("statechange", done, { once: true }));
  return Boolean(registration.active ?? registration.waiting);
}

/** The sentence on every screen; with an empty queue the new version is one tap away. */
export async function updateNotice(open) {
  if (missing) return h("div", { class: "notice" }, h("p", {}, t("page_not_kept")));
  if (!found || !registration) return null;
  if (found === "ready") return h("div", { class: "notice" }, h("p", {}, t("update_ready")), button(t("update_now"), take));
  if (open > 0) return h("div", { class: "notice" }, h("p", {}, t("update_waits", { count: open })),
    (await recall("update_anyway")) ? null : button(t("update_anyway"), anyway, "quiet"));
  // The queue is empty now: the worker that stood back may come in.
  found = null;
  registration.update().catch(() => {});
  return null;
}

async function take() {
  await remember("update_anyway", false);
  navigator.serviceWorker.addEventListener("controllerchange", () => location.reload(), { once: true });
  registration.waiting?.postMessage("take-over");
}

async function anyway() {
  await remember("update_anyway", true);
  await registration.update().catch(() => {});
}
