// What the server answered, as sentences, as rows of a list and as shapes for the map.

import { circle, distance } from "./geometry.js";
import { count, meters, t, word } from "./words.js";

const point = (number, { lon, lat }) => ({ type: "Feature", properties: { number: String(number) }, geometry: { type: "Point", coordinates: [lon, lat] } });
const shape = (type, coordinates) => ({ type: "Feature", properties: {}, geometry: { type, coordinates } });
const figure = (number, digits = 1) => Number(number).toLocaleString(undefined, { maximumFractionDigits: digits });
const same = (fields) => t("same_in", { list: fields.map((name) => t("facet_" + name)).join("、") });
const titleOf = (cover) => [cover.code, word("class", cover.class)].join(" · ");

const across = ([west, south, east, north]) => Math.max(distance([west, south], [east, south]), distance([west, south], [west, north]));

/** A row: its words, and where it lies. */
const coverRow = (number, cover, ...lines) => ({ number, title: titleOf(cover), lines: [...lines, [cover.district, cover.road].filter(Boolean).join(" · ")], lon: cover.lon, lat: cover.lat });

const ANSWERS = {
  nearest: ({ covers }) => ({
    said: [t("found_covers", { count: count(covers.length) })],
    rows: covers.map((cover, at) => coverRow(at + 1, cover, t("direction", { length: meters(cover.distance_m), bearing: figure(cover.bearing) }))),
  }),
  route: ({ covers, matched, length_m }) => ({
    said: [t("found_along", { count: count(matched), length: meters(length_m) })],
    rows: covers.map((cover, at) => coverRow(at + 1, cover,
      t("along_way", { along: meters(cover.along_m), offset: meters(cover.offset_m), side: t("side_" + cover.side) }), cover.passes > 1 ? t("passes", { count: cover.passes }) : "")),
  }),
  alike: ({ covers }) => ({
    said: [t("found_covers", { count: count(covers.length) })],
    rows: covers.map((cover, at) => coverRow(at + 1, cover, t("similar", { share: figure(cover.similarity * 100, 0) }), same(cover.shares))),
  }),
  duplicates: ({ groups, matched }) => ({
    said: [t("found_groups", { count: count(matched) })],
    rows: groups.map(({ group, covers, distance_m, next_m, shares }) => ({
      number: group, title: covers.map((cover) => cover.code).join(" / "),
      lines: [t("apart_m", { length: meters(distance_m) }), next_m === null ? t("next_none") : t("next_at", { length: meters(next_m) }), same(shares)],
      lon: covers[0].lon, lat: covers[0].lat,
    })),
  }),
  density: ({ districts, roads, matched }) => ({
    said: [t("found_roads", { count: count(matched) })],
    groups: [
      { title: t("districts_of"), rows: districts.map((one) => ({
        title: one.name ?? one.district,
        lines: [t("found_covers", { count: count(one.covers) }), one.per_km2 === null ? "" : t("a_square_km", { figure: figure(one.per_km2) }), one.per_road_km === null ? "" : t("a_km", { figure: figure(one.per_road_km) })],
      })) },
      { title: t("roads_of"), rows: roads.map((road, at) => ({
        number: at + 1, title: road.road, lines: [t("a_km", { figure: figure(road.per_km) }), t("road_line", { length: meters(road.length_m), count: count(road.covers) }), road.district], bounds: road.bounds,
      })) },
    ],
    features: roads.map((road) => shape("MultiLineString", road.lines)),
  }),
  hotspots: ({ clusters, covers, counted, best_p, recurring_covers }) => ({
    said: [
      t("found_hot", { covers: count(covers), counted: count(counted), count: clusters.length }), recurring_covers ? t("found_recurring", { count: count(recurring_covers) }) : "",
      clusters.length ? "" : best_p === null ? t("found_too_few") : t("found_no_hot", { p: figure(best_p, 3) }),
    ],
    rows: clusters.map((one, at) => ({
      number: at + 1, title: t("hot_place", { number: at + 1, size: meters(across(one.bounds)) }),
      lines: [t("hot_line", { counted: count(one.counted), expected: figure(one.expected, 2), p: figure(one.p, 3) }), one.relative_risk === null ? "" : t("hot_risk", { risk: figure(one.relative_risk) }),
        one.recurring_covers ? t("found_recurring", { count: count(one.recurring_covers) }) : ""],
      lon: one.lon, lat: one.lat, bounds: one.bounds,
    })),
    features: clusters.flatMap((one) => [shape("MultiPolygon", one.outline), ...one.radius_m ? [shape("LineString", circle([one.lon, one.lat], one.radius_m))] : []]),
  }),
  tour: ({ start, legs, total_m, nearest_neighbor_m, left_off, missing }) => ({
    said: [
      t("found_tour", { count: count(legs.filter((leg) => leg.stop).length), length: meters(total_m) }), nearest_neighbor_m - total_m > 1 ? t("found_tour_saved", { saved: meters(nearest_neighbor_m - total_m) }) : "",
      left_off ? t("found_left_off", { count: count(left_off) }) : "", missing.length ? t("found_missing", { list: missing.join(", ") }) : "",
    ],
    rows: legs.map((leg) => ({
      number: leg.stop || "", title: leg.stop ? [leg.code, ...leg.cases].filter(Boolean).join(" · ") : t("tour_home"),
      lines: [t("leg", { length: meters(leg.leg_m) }), (leg.tasks ?? []).map((task) => word("task_kind", task.kind)).join(" · "), leg.road ?? ""], lon: leg.lon, lat: leg.lat,
    })),
    features: legs.length ? [shape("LineString", [...start ? [start] : [], ...legs.map(({ lon, lat }) => [lon, lat])])] : [],
  }),
};

/** An answer in words and shapes: `said`, `groups` of rows each with a title or none, `features`. */
export function tellAnswer(kind, answer) {
  const told = ANSWERS[kind](answer);
  const groups = told.groups ?? [{ title: null, rows: told.rows }];
  const rows = groups.flatMap((group) => group.rows);
  const points = rows.filter(({ number, lon }) => number && typeof lon === "number").map((row) => point(row.number, row));
  const features = [...told.features ?? [], ...points].filter(({ geometry }) => geometry.type !== "LineString" || geometry.coordinates.length > 1);
  return { said: told.said.filter(Boolean), groups, features };
}
