// Questions to the server. One of a kind is under way at a time: a newer one ends the one before.

import { spoken, t } from "./words.js";

const running = new Map();

/** What the server refuses, in its own words. */
export class Refused extends Error {}
/** A newer question took the place of this one. */
export class Superseded extends Error {}

/** The JSON at an address; `kind` names what it is asked for, `sent` is what goes along: method, body, more headers. */
export async function ask(kind, address, sent = {}) {
  running.get(kind)?.abort();
  const stop = new AbortController();
  running.set(kind, stop);
  try {
    const answer = await fetch(address, { ...sent, headers: { Accept: "application/json", "Accept-Language": spoken(), ...sent.headers }, signal: stop.signal });
    if (answer.status === 401) {
      location.href = "/login?next=" + encodeURIComponent("/map?" + location.hash.slice(1));
      throw new Superseded();
    }
    const told = await answer.json();
    if (!answer.ok) throw new Refused(told.detail ?? String(answer.status));
    return told;
  } catch (error) {
    if (stop.signal.aborted) throw new Superseded();
    if (error instanceof Refused || error instanceof Superseded) throw error;
    throw new Refused(t("no_answer"));
  } finally {
    if (running.get(kind) === stop) running.delete(kind);
  }
}

/** Nobody waits for an answer of this kind any more. */
export const abandon = (kind) => running.get(kind)?.abort();

/** `asked` once things have been quiet for some milliseconds. */
export function settled(asked, quiet_ms) {
  let timer = null;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(asked, quiet_ms);
  };
}
