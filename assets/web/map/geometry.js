// Lengths and areas on the ellipsoid of CGCS2000, good to a few parts in ten thousand for what fits on a screen of a city.

const A = 6_378_137, E2 = 0.006_694_380_022_9;
const RAD = Math.PI / 180;

/** Meters a degree takes eastwards and northwards at a latitude. */
export function perDegree(lat) {
  const bent = 1 - E2 * Math.sin(lat * RAD) ** 2;
  return { east: RAD * A * Math.cos(lat * RAD) / Math.sqrt(bent), north: RAD * A * (1 - E2) / (bent * Math.sqrt(bent)) };
}

/** Meters between two places `[lon, lat]`. */
export function distance([lon, lat], [lon2, lat2]) {
  const at = perDegree((lat + lat2) / 2);
  return Math.hypot((lon2 - lon) * at.east, (lat2 - lat) * at.north);
}

/** West, south, east, north as the server takes them: within the world, though a map goes round and round. */
export function boxText([west, south, east, north]) {
  const onGlobe = (lon) => ((((lon + 180) % 360) + 360) % 360) - 180;
  const box = east - west >= 360 ? [-180, south, 180, north] : [onGlobe(west), south, onGlobe(east), north];
  return box.map((degree) => Number(degree.toFixed(6))).join(",");
}

/** Meters along a line. */
export const lengthOf = (points) => points.slice(1).reduce((sum, point, at) => sum + distance(points[at], point), 0);

/** Square meters inside a ring that need not be closed. */
export function areaOf(points) {
  if (points.length < 3) return 0;
  const middle = points.reduce((sum, [, lat]) => sum + lat, 0) / points.length;
  const [lon0, lat0] = points[0];
  const at = perDegree(middle);
  const flat = points.map(([lon, lat]) => [(lon - lon0) * at.east, (lat - lat0) * at.north]);
  const twice = flat.reduce((sum, [x, y], index) => {
    const [x2, y2] = flat[(index + 1) % flat.length];
    return sum + x * y2 - x2 * y;
  }, 0);
  return Math.abs(twice) / 2;
}

/** A ring of places around one, at a distance in meters. */
export function circle([lon, lat], meters) {
  const at = perDegree(lat);
  return Array.from({ length: 73 }, (_, step) => {
    const angle = step * 5 * RAD;
    return [lon + meters * Math.cos(angle) / at.east, lat + meters * Math.sin(angle) / at.north];
  });
}

/** The corners of a box between two places. */
export const boxRing = ([west, south], [east, north]) => [[west, south], [east, south], [east, north], [west, north], [west, south]];
