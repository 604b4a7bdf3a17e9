// What this phone knows of covers and plates: work packages downloaded ahead, the crew's stock, and what was done
// here and not yet sent (`mine`), which stands over what the server said last.

import { call } from "./api.js";
import { ask, read, write } from "./db.js";
import { tell } from "./signal.js";

/** The package of covers that were surveyed with this phone. */
export const OWN = "own";
/** 抽查: the package of covers on which the lot fell. */
export const DRAWN = "drawn";
/** 任务: the package of covers at which this crew has something to do. */
export const TASKS = "tasks";
/** How old it may be before it is fetched again by itself. */
const DRAWN_FRESH_MS = 30 * 60_000;

/**
 * A cover as the server tells it, with what finds it here. `old` is what was kept of it; `checked` is the look at it that waits
 * here to be sent, `did` the tasks that were done here.
 */
export function kept(cover, packages, old) {
  const plates = cover.plates ?? [];
  const tokens = plates.map((plate) => plate.token);
  if (old?.mine?.token) tokens.push(old.mine.token);
  return {
    ...cover, plates, tokens: [...new Set(tokens)], mine: old?.mine ?? null, checked: old?.checked ?? null, did: old?.did ?? [],
    packages: [...new Set([...(old?.packages ?? []), ...packages, ...(cover.spot_check ? [DRAWN] : [])])],
  };
}

/** A plate on the street: fitted and still speaking for its cover. */
const isFitted = (plate) => plate.state === "installed";
const isBad = (plate) => plate.state === "damaged" || plate.state === "lost";

/** The lot fell on it, and nobody has looked yet, here neither. */
export const isDrawn = (cover) => Boolean(cover.spot_check) && !cover.checked;

/** What is to be done at it, whoever was sent; what was done here waits to be sent. */
export const openTasks = (cover) => (cover.tasks ?? []).filter((task) => !(cover.did ?? []).some((done) => done.task === task.id));

/** Whether this crew was sent here. */
export const isTask = (cover) => cover.packages.includes(TASKS) && openTasks(cover).length > 0;

/** `problem`, `drawn`, `task`, `fitted`, `here` = done with this phone, waiting to be sent, or `planned`. */
export function standing(cover) {
  if (cover.mine?.kind === "fit") return "here";
  if (cover.open_cases > 0 || cover.mine || (cover.plates.some(isBad) && !cover.plates.some(isFitted))) return "problem";
  if (isDrawn(cover)) return "drawn";
  if (isTask(cover)) return "task";
  return cover.plates.some(isFitted) ? "fitted" : "planned";
}

/** Whether there is something to do at it. */
export const isToDo = (cover) => isDrawn(cover) || isTask(cover) || ["planned", "problem"].includes(standing(cover));

/** The plate that a cover wears at a spot, as far as this phone knows. */
export const worn = (cover, spot) => cover.plates.find((plate) => isFitted(plate) && (plate.spot ?? "public") === spot);

/** A plate that was made for this cover and waits to be fitted. */
export const meant = (cover) => cover.plates.find((plate) => ["made", "printed", "issued"].includes(plate.state));

export const allCovers = () => read(["covers"], (store) => ask(store("covers").getAll()));
export const findCover = (id) => read(["covers"], (store) => ask(store("covers").get(id)));
export const findByToken = (token) => read(["covers"], (store) => ask(store("covers").index("tokens").get(token)));
export const findStock = (token) => read(["stock"], (store) => ask(store("stock").get(token)));
export const listStock = () => read(["stock"], (store) => ask(store("stock").getAll()));
export const listPackages = () => read(["packages"], (store) => ask(store("packages").getAll()));

/** What the server has to choose from. */
export const offered = async () => (await call("packages")).packages;

/** Rounded outwards, so that a cover on the edge stays inside; one cover's own box is a point. */
const box = ([west, south, east, north]) =>
  "bbox=" + [west - 1e-6, south - 1e-6, east + 1e-6, north + 1e-6].map((degree) => degree.toFixed(7)).join(",");

/** How the address of a package's covers begins: a piece of the map, or a road of a district. */
function query(wish) {
  if (wish.drawn) return "drawn=true";
  if (wish.tasks) return "tasks=true";
  if (wish.area) return box(wish.bbox);
  const road = wish.road ? "road=" + encodeURIComponent(wish.road) : "no_road=true";
  return `district=${encodeURIComponent(wish.district)}&${road}${wish.bbox ? "&" + box(wish.bbox) : ""}`;
}

export const packageId = (wish) => (wish.drawn ? DRAWN : wish.tasks ? TASKS : wish.area ? "area|" + wish.bbox.join(",") : `${wish.district}|${wish.road ?? ""}`);

/**
 * Fetches all covers of a package and puts them in the place of what was kept of it, at once: a download that
 * breaks off leaves the old one. `progress` gets the number of covers so far.
 */
export async function download(wish, progress = () => {}) {
  const id = packageId(wish), covers = [];
  let after = null, madeAt = Date.now();
  do {
    const page = await call(`packages/covers?${query(wish)}&limit=1000${after ? "&after=" + after : ""}`);
    covers.push(...page.covers);
    madeAt = page.made_at ?? madeAt;
    after = page.next;
    progress(covers.length);
  } while (after);
  await write(["packages", "covers"], async (store) => {
    const all = store("covers"), fresh = new Set(covers.map((cover) => cover.cover));
    for (const old of await ask(all.index("packages").getAll(id)))
      if (!fresh.has(old.cover)) leave(all, id === DRAWN ? { ...old, spot_check: null } : id === TASKS ? { ...old, tasks: [] } : old, id);
    for (const cover of covers) all.put(kept(cover, [id], await ask(all.get(cover.cover))));
    store("packages").put({ ...wish, id, covers: covers.length, made_at: madeAt, fetched_at: Date.now() });
  });
  tell("covers");
  return covers.length;
}

/** Takes a cover out of a package; the last package takes it away, unless something was done to it here. */
function leave(all, cover, id) {
  const packages = cover.packages.filter((other) => other !== id);
  if (packages.length === 0 && !cover.mine && !cover.checked && !cover.did?.length) all.delete(cover.cover);
  else all.put({ ...cover, packages });
}

export async function removePackage(id) {
  await write(["packages", "covers"], async (store) => {
    for (const cover of await ask(store("covers").index("packages").getAll(id))) leave(store("covers"), cover, id);
    store("packages").delete(id);
  });
  tell("covers");
}

/** Fetches what was drawn for spot checks, where that was not done a moment ago. */
export async function refreshDrawn() {
  const known = (await listPackages()).find((wish) => wish.id === DRAWN);
  if (!known || Date.now() - known.fetched_at > DRAWN_FRESH_MS) await download({ drawn: true });
}

/** Fetches what this crew was sent to do, where that was not done a moment ago. */
export async function refreshTasks() {
  const known = (await listPackages()).find((wish) => wish.id === TASKS);
  if (!known || Date.now() - known.fetched_at > DRAWN_FRESH_MS) await download({ tasks: true });
}

/** Fetches the plates that were issued to this crew. */
export async function downloadStock() {
  const plates = [];
  let after = null;
  do {
    const page = await call("stock" + (after ? "?after=" + after : ""));
    plates.push(...page.plates);
    after = page.next;
  } while (after);
  await write(["stock"], (store) => {
    store("stock").clear();
    plates.forEach((plate) => store("stock").put(plate));
  });
  tell("covers");
  return plates.length;
}

/** Asks the server what a plate is that nothing here knows. */
export const askPlate = (token) => call("plates/" + token);

/** Keeps a cover that the server told beside a plate. */
export async function keepCover(cover) {
  await write(["covers"], async (store) => {
    const old = await ask(store("covers").get(cover.cover));
    store("covers").put(kept(cover, old ? [] : [OWN], old));
  });
  tell("covers");
}
