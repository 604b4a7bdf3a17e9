// Days as the server writes them (2026-03-05), on the city's clock: to numbers and back, by days and by months.

const DAY_MS = 86_400_000;

/** Days since 1970-01-01; NaN for what is no day. */
export const dayNumber = (text) => Date.parse(text + "T00:00:00Z") / DAY_MS;

export const dayText = (number) => new Date(number * DAY_MS).toISOString().slice(0, 10);

/** So many days or months on, no farther than the two ends; the 31st goes to the last day of a shorter month. */
export function stepped(text, unit, by, [first, last]) {
  const date = new Date(text + "T00:00:00Z");
  if (unit === "month") {
    const wanted = date.getUTCDate();
    date.setUTCDate(1);
    date.setUTCMonth(date.getUTCMonth() + by);
    const days = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate();
    date.setUTCDate(Math.min(wanted, days));
  } else {
    date.setUTCDate(date.getUTCDate() + by);
  }
  const there = date.toISOString().slice(0, 10);
  return there < first ? first : there > last ? last : there;
}
