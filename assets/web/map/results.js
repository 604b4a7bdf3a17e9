// What the filters leave, from the server: the sums, and the covers page by page. Map, sums and list change together.

import { ask, settled, Superseded } from "./api.js";
import { boxText } from "./geometry.js";
import { filterParameters, listen } from "./state.js";

const PAGE = 200;
/** After a page of the list did not come, it is not asked for again for so long. */
const PAUSE_MS = 10_000;
const listeners = [];

/** `all`: the sums without any filter, for what can be chosen. `sums`: those of the filters. `rows`: covers so far, in order; `next`: whether there are more. `problem`: a sentence. */
export const results = { all: null, sums: null, rows: [], next: null, problem: null, is_waiting: false };

/** Calls `heard()` whenever the results change. */
export const onResults = (heard) => listeners.push(heard);
const tell = () => { for (const heard of listeners) heard(); };

let viewBox = null;
/** The part of the world that the map shows, for the count "in view". */
export function setViewBox(box) {
  viewBox = boxText(box);
  refreshView();
}

const withView = () => {
  const parameters = filterParameters();
  if (viewBox) parameters.set("view", viewBox);
  return parameters;
};

async function refresh() {
  results.is_waiting = true;
  tell();
  const list = filterParameters();
  list.set("limit", PAGE);
  try {
    const [sums, page] = await Promise.all([
      ask("summary", "/api/v1/map/summary?" + withView()), ask("covers", "/api/v1/map/covers?" + list),
    ]);
    Object.assign(results, { sums, rows: page.covers, next: page.next ?? null, problem: null, is_waiting: false });
  } catch (error) {
    if (error instanceof Superseded) return;
    Object.assign(results, { sums: null, rows: [], next: null, problem: error.message, is_waiting: false });
  }
  tell();
}

let pausedUntil = 0;
/** The next page of the list, when somebody comes near its end. */
export async function more() {
  if (!results.next || results.is_waiting || Date.now() < pausedUntil) return;
  const list = filterParameters();
  list.set("limit", PAGE);
  list.set("cursor", results.next);
  const before = results.next;
  try {
    const page = await ask("covers", "/api/v1/map/covers?" + list);
    if (results.next !== before) return;
    results.rows.push(...page.covers);
    results.next = page.next ?? null;
    results.problem = null;
  } catch (error) {
    if (error instanceof Superseded) return;
    results.problem = error.message;
    pausedUntil = Date.now() + PAUSE_MS;
  }
  tell();
}

const refreshView = settled(async () => {
  if (results.is_waiting) return;
  // What failed is tried again where somebody moves on.
  if (results.problem) return refresh();
  try {
    results.sums = await ask("summary", "/api/v1/map/summary?" + withView());
  } catch (error) {
    if (error instanceof Superseded) return;
    results.problem = error.message;
  }
  tell();
}, 250);

const refreshSoon = settled(refresh, 30);
listen((what) => { if (what === "filter") refreshSoon(); });

/** The first questions of a page. */
export async function begin() {
  const all = ask("all", "/api/v1/map/summary").then((sums) => { results.all = sums; }, () => { /* the sums say what is wrong */ });
  await Promise.all([all, refresh()]);
  tell();
}
