// What was done and has to reach the server. An entry and its photos are written in one transaction before the page says
// "saved on this phone", and nothing leaves before the server's answer is stored.

import { OWN, kept } from "./covers.js";
import { ask, isFull, read, recall, write, writeIfRoom } from "./db.js";
import { uuid } from "./dom.js";
import { tell } from "./signal.js";

/** Done entries stay to be seen for a day and a half. */
const SHOWN_MS = 36 * 3_600_000;
const STORES = ["queue", "photos", "covers", "drafts", "stock"];

/** Whether an entry still has to reach the server or a person. */
export const isOpen = (entry) => ["waiting", "sending", "question", "needs_you"].includes(entry.state);

/** Whether it waits for a person. What was settled meanwhile, by a tap before or in another tab, is not settled again. */
export const isAsking = (entry) => entry?.state === "question" || entry?.state === "needs_you";

export const listEntries = () => read(["queue"], (store) => ask(store("queue").getAll()));
export const findEntry = (id) => read(["queue"], (store) => ask(store("queue").index("id").get(id)));
export const photosOf = (id) => read(["photos"], (store) => ask(store("photos").index("action").getAll(id)));

/** How many entries wait, and how many of them for a person. */
export async function countOpen() {
  const open = (await listEntries()).filter(isOpen);
  return { open: open.length, asks: open.filter(isAsking).length };
}

/** The phone has no room; nothing was written. */
export class PhoneFull extends Error {}

/** Refuses before anything is confirmed where the photos would not fit. */
async function checkRoom(bytes) {
  try {
    // Some browsers ask a person; what is confirmed does not wait for that.
    navigator.storage?.persist?.().catch(() => {});
    const { quota, usage } = (await navigator.storage?.estimate?.()) ?? {};
    if (quota && quota - usage < bytes * 2 + 1_000_000) throw new PhoneFull();
  } catch (error) {
    if (error instanceof PhoneFull) throw error;
  }
}

/**
 * Puts an action into the queue: `body` as the server takes it without its photos, `photos` as `{id, role, bytes}`,
 * `shown` = what the queue page says of it, `cover` = the cover's id where it has one, `draft` = the draft it came from.
 * Kept only when all of it is on disk.
 */
export async function enqueue({ body, photos = [], shown, cover = null, draft = null }) {
  await checkRoom(photos.reduce((sum, photo) => sum + photo.bytes.byteLength, 0));
  const me = await recall("me");
  const entry = {
    id: uuid(), kind: body.kind, state: "waiting", made_at: Date.now(), by: me?.user ?? null, by_name: me?.name ?? null,
    cover, token: body.token ?? null, shown, tries: 0, problem: null, answer: null,
    photos: photos.map(({ id, role, bytes }) => ({ id, role, size: bytes.byteLength })),
    body: { ...body, photos: photos.map(({ id, role }) => ({ id, role })) },
  };
  try {
    await write(STORES, async (store) => {
      store("queue").add(entry);
      for (const { id, role, bytes } of photos)
        store("photos").put({ id, role, bytes, action: entry.id, started: false, complete: false });
      if (draft) store("drafts").delete(draft);
      await mark(store, entry);
    });
  } catch (error) {
    throw isFull(error) ? new PhoneFull() : error;
  }
  tell("queue");
  tell("covers");
  return entry.id;
}

/** Lets the cover show what was done to it here. */
async function mark(store, entry) {
  if (!entry.cover) return;
  const cover = await ask(store("covers").get(entry.cover));
  if (!cover) return;
  const looked = entry.kind === "check";
  const mine = { kind: entry.kind, token: entry.kind === "fit" ? entry.token : null, action: entry.id, at: entry.made_at };
  const tasked = entry.kind === "task";
  const quiet = (looked && entry.body.result === "ok") || (tasked && !entry.body.hazard);
  store("covers").put(kept(cover, [], {
    ...cover, mine: quiet ? cover.mine : mine, checked: looked ? entry.id : cover.checked,
    did: tasked ? [...(cover.did ?? []), { task: entry.body.task, action: entry.id }] : cover.did,
  }));
}

async function unmark(store, entry) {
  const cover = entry.cover && await ask(store("covers").get(entry.cover));
  const did = (cover?.did ?? []).filter((done) => done.action !== entry.id);
  if (!cover || (cover.mine?.action !== entry.id && cover.checked !== entry.id && did.length === (cover.did ?? []).length)) return;
  const other = (named, id) => (id === entry.id ? null : named ?? null);
  store("covers").put(kept(cover, [], { ...cover, mine: other(cover.mine, cover.mine?.action), checked: other(cover.checked, cover.checked), did }));
}

/** Changes an entry by its number; gone ones stay gone. `by` = how it is written. */
async function change(seq, changes, by = write) {
  await by(["queue"], async (store) => {
    const entry = await ask(store("queue").get(seq));
    if (entry) store("queue").put({ ...entry, ...changes });
  });
  tell("queue");
}

export const setSending = (entry) => change(entry.seq, { state: "sending", tries: entry.tries + 1 }, writeIfRoom);
export const setWaiting = (entry, problem = null) => change(entry.seq, { state: "waiting", problem }, writeIfRoom);

/** The server refused: a question where it offers choices, else something for a person to look at. */
export function setRefused(entry, problem) {
  const asks = problem.choices?.length && problem.code !== "photo.not_here";
  return change(entry.seq, { state: asks ? "question" : "needs_you", problem, refused_at: Date.now() });
}

/** Stores the server's answer; with it, and not before, the photos go. Without room for the answer the entry goes too. */
export async function setDone(entry, answer) {
  const room = await writeIfRoom(STORES, async (store) => {
    store("queue").put({ ...(await ask(store("queue").get(entry.seq))), state: "done", answer, problem: null, done_at: Date.now() });
    await dropPhotos(store, entry.id);
    if (entry.token && entry.kind !== "check") store("stock").delete(entry.token);
    await unmark(store, entry);
    if (answer.cover?.cover) {
      const old = await ask(store("covers").get(answer.cover.cover));
      if (old || entry.kind === "survey") store("covers").put(kept(answer.cover, old ? [] : [OWN], old));
    }
  });
  if (!room) {
    await write(["queue", "photos"], async (store) => {
      store("queue").delete(entry.seq);
      await dropPhotos(store, entry.id);
    });
  }
  tell("queue");
  tell("covers");
}

async function dropPhotos(store, action) {
  for (const key of await ask(store("photos").index("action").getAllKeys(action))) store("photos").delete(key);
}

/** Where the sending of a photo stands; `false` where there is no room to say it. */
export const markPhoto = (id, changes) => writeIfRoom(["photos"], async (store) => {
  const photo = await ask(store("photos").get(id));
  if (photo) store("photos").put({ ...photo, ...changes });
});

/** Sends an entry again as it is, photos looked at anew. */
export async function retry(id) {
  await write(["queue", "photos"], async (store) => {
    const entry = await ask(store("queue").index("id").get(id));
    if (!isAsking(entry)) return;
    store("queue").put({ ...entry, state: "waiting", problem: null });
    for (const photo of await ask(store("photos").index("action").getAll(id)))
      store("photos").put({ ...photo, complete: false });
  });
  tell("queue");
}

/** Takes an entry to be sent by who is logged in now, whoever made it: a person said so. */
export async function adopt(id) {
  const me = await recall("me");
  const entry = await findEntry(id);
  await change(entry.seq, { by: me.user, by_name: me.name });
}

/** A person throws an entry away. It stays to be seen, without its photos. */
export async function discard(id) {
  await write(STORES, async (store) => {
    const entry = await ask(store("queue").index("id").get(id));
    if (!isAsking(entry)) return;
    store("queue").put({ ...entry, state: "discarded", done_at: Date.now() });
    await dropPhotos(store, id);
    await unmark(store, entry);
    if (entry.problem?.theirs?.cover && entry.cover === entry.problem.theirs.cover) {
      const old = await ask(store("covers").get(entry.cover));
      if (old) store("covers").put(kept(entry.problem.theirs, [], { ...old, mine: null }));
    }
  });
  tell("queue");
  tell("covers");
}

/**
 * Answers a question: a new action with a new id takes the photos along. `changes` go into its body; `fresh` are photos
 * `{id, role, bytes}` that were taken since.
 */
export async function answer(id, changes, fresh = []) {
  await write(STORES, async (store) => {
    const old = await ask(store("queue").index("id").get(id));
    if (!isAsking(old)) return;
    const body = { ...old.body, ...changes, answers: old.id };
    body.photos = [...body.photos, ...fresh.map(({ id: photo, role }) => ({ id: photo, role }))];
    const { seq: _, ...rest } = old;
    const entry = {
      ...rest, id: uuid(), kind: body.kind, state: "waiting", tries: 0, problem: null, answered_at: Date.now(),
      cover: body.cover ?? old.cover, token: body.token ?? null, body,
      photos: [...old.photos.filter((photo) => body.photos.some((wanted) => wanted.id === photo.id)),
        ...fresh.map((photo) => ({ id: photo.id, role: photo.role, size: photo.bytes.byteLength }))],
    };
    store("queue").add(entry);
    store("queue").put({ ...old, state: "answered", photos: [], done_at: Date.now() });
    const wanted = new Set(body.photos.map((photo) => photo.id));
    for (const photo of await ask(store("photos").index("action").getAll(id)))
      if (wanted.has(photo.id)) store("photos").put({ ...photo, action: entry.id });
      else store("photos").delete(photo.id);
    for (const { id: photo, role, bytes } of fresh)
      store("photos").put({ id: photo, role, bytes, action: entry.id, started: false, complete: false });
    await unmark(store, old);
    await mark(store, entry);
  });
  tell("queue");
  tell("covers");
}

/** Clears away what was settled long ago, and marks of actions that left without room to say so. */
export async function tidy() {
  await write(["queue"], async (store) => {
    for (const entry of await ask(store("queue").getAll()))
      if (!isOpen(entry) && Date.now() - entry.done_at > SHOWN_MS) store("queue").delete(entry.seq);
  });
  await writeIfRoom(["queue", "covers"], async (store) => {
    const open = new Set((await ask(store("queue").getAll())).filter(isOpen).map((entry) => entry.id));
    const live = (named, id) => (open.has(id) ? named : null);
    for (const cover of await ask(store("covers").getAll())) {
      const mine = live(cover.mine, cover.mine?.action), checked = live(cover.checked, cover.checked);
      const did = (cover.did ?? []).filter((done) => open.has(done.action));
      if (mine !== (cover.mine ?? null) || checked !== (cover.checked ?? null) || did.length !== (cover.did ?? []).length)
        store("covers").put(kept(cover, [], { ...cover, mine, checked, did }));
    }
  });
}
