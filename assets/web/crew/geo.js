// Distances and directions on the small piece of earth that a crew walks in a day.

const METERS_PER_DEGREE = 111_195;

/** East and north of a place from another, in meters; good to 0.1 % within some kilometers. */
export function offset(from, to) {
  const shrink = Math.cos(((from.lat + to.lat) / 2) * Math.PI / 180);
  return { east: (to.lon - from.lon) * METERS_PER_DEGREE * shrink, north: (to.lat - from.lat) * METERS_PER_DEGREE };
}

/** Meters between two places. */
export function distance(from, to) {
  const { east, north } = offset(from, to);
  return Math.hypot(east, north);
}

/** Degrees clockwise from north. */
export function bearing(from, to) {
  const { east, north } = offset(from, to);
  return (Math.atan2(east, north) * 180 / Math.PI + 360) % 360;
}

/** One of eight winds, a key of the words. */
export const wind = (degrees) => ["n", "ne", "e", "se", "s", "sw", "w", "nw"][Math.round(degrees / 45) % 8];

/** Whether a place lies in west, south, east, north. */
export const within = (bounds, place) =>
  !bounds || (place.lon >= bounds[0] && place.lat >= bounds[1] && place.lon <= bounds[2] && place.lat <= bounds[3]);
