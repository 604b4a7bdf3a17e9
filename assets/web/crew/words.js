// The catalogue's words for this page. They come with the shell, so that they are there without a network.

const LANGUAGES = ["zh-CN", "en"];
let words = {};
let language = LANGUAGES[0];

/** The language chosen on this phone; Chinese where none was. */
export function chosenLanguage() {
  try {
    const chosen = localStorage.getItem("lidmark-crew-language");
    return LANGUAGES.includes(chosen) ? chosen : LANGUAGES[0];
  } catch { return LANGUAGES[0]; }
}

/** Reads the words of a language. Throws where neither cache nor network has them. */
export async function loadWords(wanted = chosenLanguage()) {
  const answer = await fetch("/crew/words.json?lang=" + wanted);
  if (!answer.ok) throw new Error("words: " + answer.status);
  words = (await answer.json()).words;
  language = wanted;
  document.documentElement.lang = wanted;
  document.title = t("title");
}

/** Chooses a language for this page and, by their cookie, for the others. */
export async function chooseLanguage(wanted) {
  await loadWords(wanted);
  try { localStorage.setItem("lidmark-crew-language", wanted); } catch { /* then it is Chinese again next time */ }
  document.cookie = `lang=${wanted}; Path=/; Max-Age=31536000; SameSite=Lax`;
}

export const spoken = () => language;
export const otherLanguage = () => LANGUAGES.find((other) => other !== language);

const filled = (text, values) => text.replace(/\{(\w+)\}/g, (place, name) => (name in values ? String(values[name]) : place));

/** A text of the `[crew]` part with its places filled; a figure and its unit stay on one line. */
export const t = (key, values = {}) => filled(words["crew." + key] ?? key, values).replace(/± | (?=(?:m|MB)(?!\w))/g, (gap) => gap.trim() + "\u00a0");

/** The shown word for a stored one. */
export const word = (list, stored) => words[`${list}.${stored}`] ?? String(stored);

/** The same as it stands on a button. */
export const label = (list, stored) => word(list, stored).replace(/^\p{Ll}/u, (first) => first.toUpperCase());

/** The sentence of a refusal that this phone can make by itself. */
export const refusal = (code, values) => filled(words["refusal." + code] ?? code, values);

/** A moment of today as 14:05, another day with its date. */
export function clock(at) {
  const moment = new Date(at), today = new Date().toDateString() === moment.toDateString();
  const time = moment.toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit", hour12: false });
  return today ? time : `${moment.toLocaleDateString(language, { month: "numeric", day: "numeric" })} ${time}`;
}

/** Meters as a crew says them. */
export function meters(distance) {
  if (distance === null || distance === undefined || Number.isNaN(distance)) return "";
  if (distance < 10) return `${distance.toFixed(1)}\u00a0m`;
  return distance < 1000 ? `${Math.round(distance)}\u00a0m` : `${(distance / 1000).toFixed(1)}\u00a0km`;
}

/** The stored words of a list, in the order of the catalogue. */
export const listed = (list) => Object.keys(words)
  .filter((key) => key.startsWith(list + "."))
  .map((key) => key.slice(list.length + 1));
