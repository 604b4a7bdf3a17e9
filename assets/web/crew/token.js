// A plate's token as src/domain/token.rs reads it: 11 characters and a check character of Crockford's base32.

const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const CHARS = 12;

/** Multiplication by α in GF(2⁵) modulo x⁵ + x² + 1. */
const timesAlpha = (value) => ((value << 1) & 32 ? (value << 1) ^ 0b100101 : value << 1);

function times(left, right) {
  let product = 0;
  for (; right !== 0; right >>= 1, left = timesAlpha(left)) if (right & 1) product ^= left;
  return product;
}

function checkDigit(digits) {
  let weight = 1, sum = 0;
  for (const digit of [...digits].reverse()) {
    weight = timesAlpha(weight);
    sum ^= times(weight, digit);
  }
  return sum;
}

const digitOf = (character) => {
  // ASCII letters alone: a dotless ı or a long ſ is no letter of ours, whatever its capital is.
  const upper = /[a-z]/.test(character) ? character.toUpperCase() : character;
  return ALPHABET.indexOf(upper === "I" || upper === "L" ? "1" : upper === "O" ? "0" : upper);
};

/** What was typed → `{token}`, or `{code, values}` of the refusal: any case, I L O for 1 1 0, hyphens and spaces between groups. */
export function readToken(text) {
  const read = [...text].slice(0, 40).join("");
  const digits = [];
  for (const character of text) {
    if (character === "-" || character === " ") continue;
    const digit = character.length === 1 ? digitOf(character) : -1;
    if (digit < 0) return { code: "token.character", values: { read, character } };
    digits.push(digit);
  }
  if (digits.length !== CHARS) return { code: "token.length", values: { read, count: digits.length } };
  if (checkDigit(digits.slice(0, -1)) !== digits[CHARS - 1]) return { code: "token.check_character", values: { read } };
  return { token: digits.map((digit) => ALPHABET[digit]).join("") };
}

/** `7K3Q-9XW2-M4AB` */
export const grouped = (token) => token.match(/.{1,4}/g).join("-");

/**
 * What a symbol says → `{token}` of a plate of ours, `{foreign}` = where it leads instead, or the refusal of its token.
 * `hosts`: the host that plates are made for and the one this page came from.
 */
export function readSymbol(text, hosts) {
  const plate = /^https?:\/\/([^/]+)\/c\/([^/?#]+)$/i.exec(text.trim());
  if (!plate) return /^[0-9a-z -]{12,14}$/i.test(text.trim()) ? readToken(text.trim()) : { foreign: text.slice(0, 80) };
  const ours = hosts.some((host) => host && host.toLowerCase() === plate[1].toLowerCase());
  return ours ? readToken(plate[2]) : { foreign: plate[1].slice(0, 80) };
}
