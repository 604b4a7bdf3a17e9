// Calls to the server. A call either gives an answer of Lidmark's or throws what stands in its way.

import { ask, recall, writeIfRoom } from "./db.js";
import { spoken } from "./words.js";

/** No answer, or none of ours: the network, a login page of somebody's Wi-Fi, a server that is down. */
export class NoAnswer extends Error {
  constructor(wait = 0) {
    super("no answer");
    /** Seconds that the server asks to wait; 0 = it did not say. */
    this.wait = wait;
  }
}

/** The session is over. */
export class LoggedOut extends Error {}

/** A refusal with its sentence: `status` and the problem details. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.code ?? String(status));
    this.status = status;
    this.problem = problem;
  }
}

/** JSON in, JSON out; `timeout` in ms. */
export async function call(path, { method = "GET", body, headers = {}, timeout = 30_000, again = true } = {}) {
  const me = await recall("me");
  const given = { Accept: "application/json", "Accept-Language": spoken(), ...headers };
  if (method !== "GET" && me?.csrf) given["X-CSRF-Token"] = me.csrf;
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), timeout);
  let answer, told;
  try {
    answer = await fetch("/api/v1/crew/" + path, {
      method, body, headers: given, signal: stop.signal, cache: "no-store", credentials: "same-origin",
    });
    told = /json/.test(answer.headers.get("content-type") ?? "") ? await answer.json() : null;
  } catch {
    throw new NoAnswer();
  } finally {
    clearTimeout(timer);
  }
  if (answer.status === 401) throw new LoggedOut();
  if (answer.status >= 500 || answer.status === 429 || told === null)
    throw new NoAnswer(Number(answer.headers.get("retry-after")) || 0);
  if (answer.ok) return told;
  if (answer.status === 403 && told.code === "http.csrf" && again) {
    await loadMe();
    return call(path, { method, body, headers, timeout, again: false });
  }
  throw new Refused(answer.status, told);
}

/** Who is logged in and what the city asks of crews; kept for the day without a network. */
export async function loadMe() {
  const told = await call("me");
  const me = { ...told, clock_off_ms: Date.now() - (told.server_time ?? Date.now()), at: Date.now() };
  await writeIfRoom(["meta"], (store) => ask(store("meta").put(me, "me")));
  return me;
}
