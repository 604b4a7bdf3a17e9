// Where the phone is: one watch for the whole page, and a measured position from the average of several fixes.

import { distance, within } from "./geo.js";

/** How long a crew waits for the wanted accuracy before it is asked. */
export const PATIENCE_MS = 30_000;
const LEAST_FIXES = 3;
const MOST_FIXES = 30;

const watchers = new Set();
let watch = null;
/** The newest fix: `{lon, lat, accuracy_m, heading, at}`; null = none yet. */
export let here = null;

/** A fix of the browser's, or null for one that is none: (0, 0) is a receiver that has seen no satellite. */
function fixOf({ coords, timestamp }) {
  const { longitude: lon, latitude: lat, accuracy } = coords;
  if (![lon, lat, accuracy].every(Number.isFinite) || (Math.abs(lon) < 1e-4 && Math.abs(lat) < 1e-4)) return null;
  const heading = Number.isFinite(coords.heading) && coords.speed > 0.5 ? coords.heading : null;
  return { lon, lat, accuracy_m: Math.max(accuracy, 0.1), heading, at: timestamp || Date.now() };
}

/**
 * `listener` gets each fix, or a word instead: `denied`, `missing`, `silent`. `anew` = none from before, which may be of where the
 * phone was then. Gives the way to stop.
 */
export function follow(listener, { anew = false } = {}) {
  if (!navigator.geolocation) {
    listener(null, "missing");
    return () => {};
  }
  watchers.add(listener);
  if (anew && watch !== null) {
    navigator.geolocation.clearWatch(watch);
    watch = null;
  }
  if (!anew && here && Date.now() - here.at < 10_000) listener(here, null);
  watch ??= navigator.geolocation.watchPosition((read) => {
    const fix = fixOf(read);
    if (!fix) return;
    here = fix;
    watchers.forEach((told) => told(fix, null));
  }, (error) => {
    const why = error.code === 1 ? "denied" : "silent";
    watchers.forEach((told) => told(null, why));
  }, { enableHighAccuracy: true, maximumAge: 0, timeout: 20_000 });
  return () => {
    watchers.delete(listener);
    if (watchers.size > 0 || watch === null) return;
    navigator.geolocation.clearWatch(watch);
    watch = null;
  };
}

/**
 * The mean of fixes weighted by 1/accuracy². Its accuracy is that of a typical fix, not less by their number: errors of
 * fixes that are seconds apart come from the same sky and do not cancel out.
 */
export function mean(fixes) {
  let weights = 0, lon = 0, lat = 0;
  for (const fix of fixes) {
    const weight = 1 / fix.accuracy_m ** 2;
    weights += weight;
    lon += weight * fix.lon;
    lat += weight * fix.lat;
  }
  const accuracy = Math.sqrt(fixes.length / weights);
  return {
    lon: Number((lon / weights).toFixed(8)), lat: Number((lat / weights).toFixed(8)),
    accuracy_m: Number(accuracy.toFixed(1)), fixes: fixes.length, taken_at: fixes[fixes.length - 1].at,
  };
}

/**
 * Measures until the gate is reached with several fixes, or until patience ends. `tell` gets
 * `{state: "measuring" | "reached" | "short" | "none" | "denied" | "outside", position}`; gives the way to stop.
 * `short` and `none` are questions to the crew: nothing is assumed.
 */
export function measure({ gate_m, bounds, patience_ms = PATIENCE_MS }, tell) {
  let fixes = [], ended = false, stop = () => {};
  const end = (state) => {
    if (ended) return;
    ended = true;
    clearTimeout(timer);
    stop();
    tell({ state, position: fixes.length ? mean(fixes) : null });
  };
  const timer = setTimeout(() => {
    if (fixes.length === 0) return end("none");
    const position = mean(fixes);
    end(!within(bounds, position) ? "outside" : position.accuracy_m <= gate_m ? "reached" : "short");
  }, patience_ms);
  stop = follow((fix, why) => {
    if (ended) return;
    if (why === "denied" || why === "missing") return end("denied");
    if (!fix) return;
    // Who walks on is somewhere else: the average begins anew.
    if (fixes.length && distance(mean(fixes), fix) > 3 * (mean(fixes).accuracy_m + fix.accuracy_m)) fixes = [];
    fixes = [...fixes.filter((known) => known.at !== fix.at), fix].slice(-MOST_FIXES);
    const position = mean(fixes);
    if (fixes.length >= LEAST_FIXES && position.accuracy_m <= gate_m && within(bounds, position)) return end("reached");
    tell({ state: "measuring", position });
  }, { anew: true });
  if (ended) stop();
  return () => { ended = true; clearTimeout(timer); stop(); };
}
