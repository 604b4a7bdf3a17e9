// Sends the queue: one tab of this phone at a time, actions in their order, the photos of each before it, in pieces
// from where the server has them. Without Background Sync, which iPhones lack: on `online`, on waking, on a timer.

import { LoggedOut, NoAnswer, Refused, call, loadMe } from "./api.js";
import { ask, isFull, recall, write } from "./db.js";
import { uuid } from "./dom.js";
import { isOpen, listEntries, markPhoto, photosOf, setDone, setRefused, setSending, setWaiting } from "./queue.js";
import { listen, tell } from "./signal.js";

const PIECE = 256 * 1024;
const LOCK = "lidmark-crew-sync";
const LEASE_MS = 90_000;
const FIRST_PAUSE_MS = 4_000;
const LONGEST_PAUSE_MS = 300_000;
/** How often an action whose photos got lost at the server is tried by itself. */
const MOST_TRIES = 8;
const me = uuid();

/** What the page shows of the sending. */
export const status = { busy: false, loggedOut: false, offline: false, percent: null, nextAt: 0, otherUser: false, full: false };
let pause = FIRST_PAUSE_MS;
let timer = null;
let running = null;

const say = (changes) => { Object.assign(status, changes); tell("sync"); };

/** Begins to send whenever there may be a chance. */
export function start() {
  addEventListener("online", () => soon());
  addEventListener("offline", () => say({ offline: true }));
  document.addEventListener("visibilitychange", () => { if (!document.hidden) soon(); });
  addEventListener("pageshow", () => soon());
  listen((what) => { if (what === "queue" && !running) later(300); });
  soon();
}

/** Sends now, whatever pause there is. */
export function soon() {
  pause = FIRST_PAUSE_MS;
  return sendAll();
}

function later(ms) {
  clearTimeout(timer);
  status.nextAt = Date.now() + ms;
  timer = setTimeout(() => sendAll(), ms);
}

/** One run at a time in this tab; a second call waits for the first. */
function sendAll() {
  clearTimeout(timer);
  running ??= alone(run).finally(() => { running = null; });
  return running;
}

/** Runs `work` only where no other tab is sending. */
async function alone(work) {
  if (navigator.locks) return navigator.locks.request(LOCK, { ifAvailable: true }, (lock) => (lock ? work() : later(5_000)));
  if (!(await lease())) return later(5_000);
  const renew = setInterval(lease, LEASE_MS / 3);
  try {
    return await work();
  } finally {
    clearInterval(renew);
    await write(["meta"], (store) => ask(store("meta").delete("lease")));
  }
}

/** Takes or keeps the right to send, where the browser has no locks. */
const lease = () => write(["meta"], async (store) => {
  const held = await ask(store("meta").get("lease"));
  if (held && held.by !== me && held.until > Date.now()) return false;
  await ask(store("meta").put({ by: me, until: Date.now() + LEASE_MS }, "lease"));
  return true;
});

async function run() {
  if (!(await listEntries()).some(isSendable)) return say({ busy: false, percent: null });
  say({ busy: true });
  try {
    const caller = await loadMe();
    say({ offline: false, loggedOut: false, otherUser: false, full: false });
    for (let entry; (entry = await nextEntry(caller)); ) await send(entry);
    pause = FIRST_PAUSE_MS;
    say({ busy: false, percent: null });
  } catch (error) {
    say({ busy: false, percent: null, loggedOut: error instanceof LoggedOut, offline: error instanceof NoAnswer, full: isFull(error) });
    if (!(error instanceof LoggedOut || error instanceof NoAnswer)) console.error(error);
    later(Math.max(pause, (error.wait ?? 0) * 1000));
    pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
  }
}

/** `sending` too: the page that was sending it was killed. */
const isSendable = (entry) => entry.state === "waiting" || entry.state === "sending";

/** What an entry is about; an earlier one about the same that waits for a person holds it back. */
const subjects = (entry) => [entry.cover, entry.token].filter(Boolean);

async function nextEntry(caller) {
  const held = new Set();
  for (const entry of (await listEntries()).filter(isOpen)) {
    const about = subjects(entry);
    const stands = !isSendable(entry) || about.some((subject) => held.has(subject));
    const foreign = entry.by && caller.user && entry.by !== caller.user;
    if (foreign && !status.otherUser) say({ otherUser: true });
    if (!stands && !foreign) return entry;
    about.forEach((subject) => held.add(subject));
  }
  return null;
}

async function send(entry) {
  await setSending(entry);
  try {
    const photos = await photosOf(entry.id);
    for (const [at, photo] of photos.entries())
      if (!photo.complete) await sendPhoto(photo, (part) => say({ percent: Math.floor(100 * (at + part) / photos.length) }));
    say({ percent: null });
    const answer = await call("actions", {
      method: "POST", timeout: 60_000, body: JSON.stringify(entry.body),
      headers: { "Content-Type": "application/json", "Idempotency-Key": entry.id },
    });
    // A page of somebody else's network that looks like an answer is none.
    if (answer.action !== entry.id) throw new NoAnswer();
    await setDone(entry, answer);
  } catch (error) {
    if (!(error instanceof Refused)) {
      await setWaiting(entry);
      throw error;
    }
    await refused(entry, error);
  }
}

/** A photo that the server no longer has is sent again by itself; all else is for a person. */
async function refused(entry, { status: code, problem, photo }) {
  if (problem.code === "photo.not_here" && entry.tries < MOST_TRIES) {
    for (const id of problem.photos ?? []) if (!(await markPhoto(id, { complete: false }))) throw new NoAnswer();
    return setWaiting(entry);
  }
  return setRefused(entry, { status: code, photo, ...problem });
}

/** Sends a photo from where the server has it. */
async function sendPhoto(photo, progress) {
  const path = "photos/" + photo.id, total = photo.bytes.byteLength;
  let received = 0, complete = false;
  if (photo.started) ({ received, complete } = await whereIs(path));
  else await markPhoto(photo.id, { started: true });
  for (let misses = 0; !complete; ) {
    progress(received / total);
    try {
      const told = await call(`${path}?offset=${received}&total=${total}`, {
        method: "PUT", timeout: 60_000, body: photo.bytes.slice(received, received + PIECE),
        headers: { "Content-Type": "application/octet-stream" },
      });
      ({ received, complete } = told);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      error.photo = photo.id;
      if (error.problem.code !== "photo.offset" || ++misses > 5) throw error;
      ({ received, complete } = await whereIs(path));
    }
  }
  await markPhoto(photo.id, { complete: true });
}

async function whereIs(path) {
  try {
    return await call(path);
  } catch (error) {
    if (error instanceof Refused && error.status === 404) return { received: 0, complete: false };
    throw error;
  }
}

/** Whether somebody is logged in, as far as this phone knows. */
export const knownUser = () => recall("me");
