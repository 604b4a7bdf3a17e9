// The worker that makes the page open without a network, and new versions of it: none is taken while something waits
// to be sent, unless a person says so.

import { recall, remember } from "./db.js";
import { button, h } from "./dom.js";
import { tell } from "./signal.js";
import { t } from "./words.js";

const LOOK_EVERY_MS = 3_600_000;
let registration = null;
/** `waits` = a version is there and the queue is not empty; `ready` = it takes one tap. */
let found = null;

export async function installWorker() {
  if (!("serviceWorker" in navigator)) return;
  navigator.serviceWorker.addEventListener("message", ({ data }) => {
    if (data !== "update-waits") return;
    found = "waits";
    tell("update");
  });
  try {
    registration = await navigator.serviceWorker.register("/crew/sw.js", { scope: "/crew" });
  } catch (error) {
    console.warn("no worker", error);
    return;
  }
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

/** The sentence on every screen; with an empty queue the new version is one tap away. */
export async function updateNotice(open) {
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
