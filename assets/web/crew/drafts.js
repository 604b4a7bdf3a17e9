// What is being typed and photographed and not confirmed yet. A phone that is short of memory ends the page while its
// camera is open; the form is as it was when it comes back.

import { ask, read, write, writeIfRoom } from "./db.js";

const KEPT_MS = 24 * 3_600_000;

/** The draft of a form, with `kept` = when it was left, or a new one from `fresh`. */
export async function openDraft(key, fresh) {
  const old = await read(["drafts"], (store) => ask(store("drafts").get(key)));
  return old && Date.now() - old.at < KEPT_MS ? { ...old, kept: old.at } : { key, at: Date.now(), photos: [], ...fresh };
}

/** Keeps a draft; `false` where the phone has no room. */
export const keepDraft = (draft) => writeIfRoom(["drafts"], (store) => ask(store("drafts").put({ ...draft, at: Date.now() })));

export const dropDraft = (key) => write(["drafts"], (store) => ask(store("drafts").delete(key)));
