// Elements made by calls, never from text: what a person or a server wrote is not read as markup.

/** An element with attributes, `on…` listeners and children; null and false are left out. */
export function h(name, given, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(given ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "class") element.className = value;
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Puts children in the place of whatever an element holds. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** A button as large as a glove. */
export const button = (text, onclick, kind = "") => h("button", { type: "button", class: kind, onclick }, text);

/** A link that looks like one. */
export const link = (text, href, kind = "") => h("a", { class: `button ${kind}`, href }, text);

/** A row of choices of which one is taken: `[[value, label, hint]]`. */
export function choices(name, label, options, chosen, onchange) {
  return h("fieldset", { class: "choices" }, h("legend", {}, label),
    options.map(([value, text, hint]) => h("label", { class: "choice" },
      h("input", { type: "radio", name, value, checked: value === chosen, onchange: () => onchange(value) }),
      h("span", {}, text, hint ? h("small", {}, hint) : null))));
}

/** A client-made id; `randomUUID` is missing where the page is not secure. */
export function uuid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 15) | 64;
  bytes[8] = (bytes[8] & 63) | 128;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
