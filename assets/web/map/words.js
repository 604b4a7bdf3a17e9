// The catalogue's words for this page, in one of its languages.

let words = {};
let language = "zh-CN";

/** Reads the words of a language. Throws where the server does not hand them out. */
export async function loadWords(wanted) {
  const answer = await fetch("/map/words.json?lang=" + encodeURIComponent(wanted));
  if (!answer.ok) throw new Error("words: " + answer.status);
  words = (await answer.json()).words;
  language = wanted;
}

export const spoken = () => language;

/** A text of the `[map]` part with its places filled. */
export const t = (key, values = {}) =>
  (words["map." + key] ?? key).replace(/\{(\w+)\}/g, (place, name) => (name in values ? String(values[name]) : place));

/** The shown word for a stored one; what no list knows is shown as it is. */
export const word = (list, stored) => words[`${list}.${stored}`] ?? String(stored);

/** The stored words of a list, in the order of the catalogue. */
export const listed = (list) => Object.keys(words).filter((key) => key.startsWith(list + ".")).map((key) => key.slice(list.length + 1));

/** A whole number with its thousands. */
export const count = (number) => Number(number).toLocaleString(language);

/** Meters as engineers say them. */
export function meters(length) {
  if (length < 10) return `${length.toFixed(2)}\u00a0m`;
  return length < 10_000 ? `${length.toLocaleString(language, { maximumFractionDigits: 1 })}\u00a0m` : `${(length / 1000).toLocaleString(language, { maximumFractionDigits: 2 })}\u00a0km`;
}

/** Square meters; hectares and square kilometers where they are many. */
export function squareMeters(area) {
  const shown = (number, unit) => `${number.toLocaleString(language, { maximumFractionDigits: 2 })}\u00a0${unit}`;
  if (area < 10_000) return shown(area, "m²");
  return area < 1e6 ? shown(area / 1e4, "ha") : shown(area / 1e6, "km²");
}
