//! Covers along a way, in its order. Between two points the way runs straight in degrees (RFC 7946 §3.1.1); it is cut into
//! pieces of at most 250 m, each of which is flat. Lengths along it are sums of geodesics, an offset is the geodesic to the
//! nearest point of it: both are good to 2 mm within 50 m of the way and to 2 cm at its widest corridor.
//!
//! A cover may be passed more than once. A pass begins where the way comes within the corridor of the cover and ends where
//! it leaves it; the cover is listed once, at the nearest point of its *first* pass, because that is where whoever walks
//! meets it, and with the number of its passes.

use std::collections::HashMap;

use crate::domain::Refusal;
use crate::domain::ids::CoverId;
use crate::domain::position::check_degrees;
use crate::layers::CoverSearch;
use crate::spatial::{BBox, SnapshotRow, geodesic_m, meters_per_degree};

/// Points of a way, its length, and how far beside it covers may lie.
pub const MOST_POINTS: usize = 100_000;
pub const MOST_ROUTE_M: f64 = 1_000_000.0;
pub const MOST_BUFFER_M: f64 = 500.0;

const PIECE_M: f64 = 250.0;
/// Pieces are looked at together while they lie within so many degrees.
const GROUP_DEGREES: f64 = 0.003;
/// Comparisons of a piece with a cover: a second or two.
const MOST_WORK: usize = 150_000_000;
/// Nearer than that a cover lies on the way.
const ON_M: f64 = 0.01;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Left,
    Right,
    On,
}

impl Side {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Right => "right",
            Self::On => "on",
        }
    }
}

/// A cover beside the way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Passed {
    pub row: SnapshotRow,
    /// From the beginning of the way to the nearest point of the first pass.
    pub along_m: f64,
    pub offset_m: f64,
    /// As seen by whoever walks.
    pub side: Side,
    /// How often the way comes by.
    pub passes: u32,
    /// The nearest point of the way in degrees.
    pub foot: (f64, f64),
}

/// A way that was checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    pieces: Vec<Piece>,
    length_m: f64,
    parts: usize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Piece {
    from: (f64, f64),
    to: (f64, f64),
    /// Meters per degree.
    scale: (f64, f64),
    /// The same in meters eastwards and northwards.
    step: (f64, f64),
    start_m: f64,
    length_m: f64,
    /// Whether it goes on where the piece before ends.
    goes_on: bool,
}

impl Route {
    /// A way of one or several parts; what lies between two parts is not walked. Refuses what is no way, too long, or crosses
    /// the antimeridian, where a straight line in degrees would run around the globe.
    pub fn new(parts: &[Vec<[f64; 2]>]) -> Result<Self, Refusal> {
        let points: usize = parts.iter().map(Vec::len).sum();
        if points > MOST_POINTS {
            return Err(Refusal::new("route.too_many_points")
                .with("count", points)
                .with("most", MOST_POINTS));
        }
        let mut route = Self { pieces: Vec::new(), length_m: 0.0, parts: 0 };
        for (at, part) in parts.iter().enumerate() {
            let mut goes_on = false;
            for (nth, point) in part.iter().enumerate() {
                let told = |refusal: Refusal| refusal.at("route").with("part", at + 1).with("point", nth + 1);
                check_degrees(point[0], point[1]).map_err(told)?;
                let Some(before) = nth.checked_sub(1).and_then(|before| part.get(before)) else { continue };
                if (point[0] - before[0]).abs() > 180.0 {
                    return Err(told(Refusal::new("route.antimeridian")));
                }
                goes_on |= route.walk((before[0], before[1]), (point[0], point[1]), goes_on)?;
            }
            route.parts += usize::from(goes_on);
        }
        if route.pieces.is_empty() {
            return Err(Refusal::new("route.no_line"));
        }
        Ok(route)
    }

    /// Adds a straight stretch; whether there is one, for two equal points are none.
    fn walk(&mut self, from: (f64, f64), to: (f64, f64), goes_on: bool) -> Result<bool, Refusal> {
        let whole_m = geodesic_m(from, to);
        if !whole_m.is_finite() || self.length_m + whole_m > MOST_ROUTE_M {
            let refusal = Refusal::new("route.too_long").at("route");
            return Err(refusal.with("most", MOST_ROUTE_M / 1000.0));
        }
        if whole_m == 0.0 {
            return Ok(false);
        }
        let many = (whole_m / PIECE_M).ceil().max(1.0);
        let between = |share: f64| (from.0 + (to.0 - from.0) * share, from.1 + (to.1 - from.1) * share);
        for at in 0..many as u32 {
            let (start, end) = (between(f64::from(at) / many), between((f64::from(at) + 1.0) / many));
            let scale = meters_per_degree((start.1 + end.1) / 2.0);
            let length_m = geodesic_m(start, end);
            self.pieces.push(Piece {
                from: start,
                to: end,
                scale,
                step: ((end.0 - start.0) * scale.0, (end.1 - start.1) * scale.1),
                start_m: self.length_m,
                length_m,
                goes_on: goes_on || at > 0,
            });
            self.length_m += length_m;
        }
        Ok(true)
    }

    pub fn length_m(&self) -> f64 {
        self.length_m
    }

    /// Parts that have a length.
    pub fn parts(&self) -> usize {
        self.parts
    }

    /// The covers of a search within `buffer_m` meters of the way, in its order. Refuses where there would be too much to compare.
    pub fn passes(&self, search: &CoverSearch<'_>, buffer_m: f64) -> Result<Vec<Passed>, Refusal> {
        let mut seen: HashMap<CoverId, Passing> = HashMap::new();
        let mut work = 0;
        let mut first = 0;
        while first < self.pieces.len() {
            let (behind, bounds) = self.group(first);
            let bbox = around(bounds, buffer_m)?;
            for row in search.rows_in(bbox) {
                work += behind - first;
                if work > MOST_WORK {
                    return Err(Refusal::new("route.too_much").at("buffer_m"));
                }
                for at in first..behind {
                    let (offset_m, share) = self.pieces[at].nearest((row.lon, row.lat));
                    if offset_m <= buffer_m {
                        let passing = seen.entry(row.cover).or_insert_with(|| Passing::of(row));
                        passing.meet(self, at, offset_m, share, buffer_m);
                    }
                }
            }
            first = behind;
        }
        let mut passed: Vec<Passed> = seen.into_values().map(|passing| self.tell(&passing)).collect();
        passed.sort_by(|one, other| {
            one.along_m.total_cmp(&other.along_m).then(one.row.cover.cmp(&other.row.cover))
        });
        Ok(passed)
    }

    /// The end of the pieces that are looked at together, and west, south, east, north of them.
    fn group(&self, first: usize) -> (usize, [f64; 4]) {
        let mut bounds = [f64::MAX, f64::MAX, f64::MIN, f64::MIN];
        let mut behind = first;
        while let Some(piece) = self.pieces.get(behind) {
            let mut wider = bounds;
            for (lon, lat) in [piece.from, piece.to] {
                let [west, south, east, north] = wider;
                wider = [west.min(lon), south.min(lat), east.max(lon), north.max(lat)];
            }
            let is_wide = wider[2] - wider[0] > GROUP_DEGREES || wider[3] - wider[1] > GROUP_DEGREES;
            if is_wide && behind > first {
                break;
            }
            (bounds, behind) = (wider, behind + 1);
        }
        (behind, bounds)
    }

    fn tell(&self, passing: &Passing) -> Passed {
        let (piece, place) = (&self.pieces[passing.piece], (passing.row.lon, passing.row.lat));
        let foot = piece.at(passing.share);
        let offset_m = geodesic_m(place, foot);
        Passed {
            row: passing.row,
            along_m: piece.start_m + passing.share * piece.length_m,
            offset_m,
            side: if offset_m < ON_M { Side::On } else { self.side(passing.piece, passing.share, place) },
            passes: passing.passes,
            foot,
        }
    }

    /// On which side of the way a place lies whose foot is on a piece. At a corner the way goes as the bisector does: seen
    /// from a place outside of it, one of the two pieces may lie on the wrong side.
    fn side(&self, at: usize, share: f64, place: (f64, f64)) -> Side {
        let piece = &self.pieces[at];
        let mut way = unit(piece.step);
        let neighbor = match share {
            0.0 if piece.goes_on => at.checked_sub(1).and_then(|before| self.pieces.get(before)),
            1.0 => self.pieces.get(at + 1).filter(|next| next.goes_on),
            _ => None,
        };
        if let Some(neighbor) = neighbor {
            let other = unit(neighbor.step);
            let sum = (way.0 + other.0, way.1 + other.1);
            // Where the way turns on its heel, both directions are as good.
            if sum.0.hypot(sum.1) > 1e-9 {
                way = sum;
            }
        }
        let foot = piece.at(share);
        let beside = ((place.0 - foot.0) * piece.scale.0, (place.1 - foot.1) * piece.scale.1);
        let turn = way.0 * beside.1 - way.1 * beside.0;
        if turn >= 0.0 { Side::Left } else { Side::Right }
    }
}

impl Piece {
    /// How far a place lies from it in meters, and at which share of it, 0 to 1, it is nearest.
    fn nearest(&self, (lon, lat): (f64, f64)) -> (f64, f64) {
        let (x, y) = ((lon - self.from.0) * self.scale.0, (lat - self.from.1) * self.scale.1);
        let (along, across) = self.step;
        let share = ((x * along + y * across) / (along * along + across * across)).clamp(0.0, 1.0);
        let share = if share.is_nan() { 0.0 } else { share };
        ((x - along * share).hypot(y - across * share), share)
    }

    fn at(&self, share: f64) -> (f64, f64) {
        (self.from.0 + (self.to.0 - self.from.0) * share, self.from.1 + (self.to.1 - self.from.1) * share)
    }
}

/// What is known of a cover while the way is walked.
struct Passing {
    row: SnapshotRow,
    passes: u32,
    /// The last piece that came by.
    last: usize,
    /// The nearest point of the first pass.
    offset_m: f64,
    piece: usize,
    share: f64,
}

impl Passing {
    fn of(row: SnapshotRow) -> Self {
        Self { row, passes: 0, last: 0, offset_m: f64::INFINITY, piece: 0, share: 0.0 }
    }

    fn meet(&mut self, route: &Route, at: usize, offset_m: f64, share: f64, buffer_m: f64) {
        let piece = &route.pieces[at];
        // It is the same pass where the point between the two pieces lies within the corridor as well.
        let goes_on = self.passes > 0 && at == self.last + 1 && piece.goes_on && {
            let (x, y) = (
                (self.row.lon - piece.from.0) * piece.scale.0,
                (self.row.lat - piece.from.1) * piece.scale.1,
            );
            x.hypot(y) <= buffer_m
        };
        self.passes += u32::from(!goes_on);
        self.last = at;
        if self.passes == 1 && offset_m < self.offset_m {
            (self.offset_m, self.piece, self.share) = (offset_m, at, share);
        }
    }
}

fn unit((x, y): (f64, f64)) -> (f64, f64) {
    let length = x.hypot(y);
    if length > 0.0 { (x / length, y / length) } else { (0.0, 0.0) }
}

/// A box that surely holds what lies so near to another one; it may reach over the antimeridian.
fn around([west, south, east, north]: [f64; 4], buffer_m: f64) -> Result<BBox, Refusal> {
    let widest = south.abs().max(north.abs()).min(89.0);
    let (degree_east, degree_north) = meters_per_degree(widest);
    let (aside, above) =
        (1.01 * buffer_m / degree_east.max(1.0) + 1e-6, 1.01 * buffer_m / degree_north.min(110_000.0) + 1e-6);
    let wrap = |lon: f64| {
        if lon < -180.0 {
            lon + 360.0
        } else if lon > 180.0 {
            lon - 360.0
        } else {
            lon
        }
    };
    BBox::new(wrap(west - aside), (south - above).max(-90.0), wrap(east + aside), (north + above).min(90.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests_support::{at, city};
    use super::*;
    use crate::domain::quality::Rules;
    use crate::layers::CoverReader;

    fn passed(rows: Vec<SnapshotRow>, parts: &[Vec<[f64; 2]>], buffer_m: f64) -> Vec<Passed> {
        let (map, rules) = (city(rows), Rules::default());
        let reader = CoverReader::new(&map, &rules, true);
        let search = CoverSearch::new(&map, &reader, None, None).unwrap();
        Route::new(parts).unwrap().passes(&search, buffer_m).unwrap()
    }

    fn told(passed: &[Passed]) -> Vec<(u128, f64, f64, Side, u32)> {
        let round = |number: f64| (number * 100.0).round() / 100.0;
        passed
            .iter()
            .map(|one| {
                (one.row.cover.0.as_u128(), round(one.along_m), round(one.offset_m), one.side, one.passes)
            })
            .collect()
    }

    #[test]
    fn covers_come_in_the_order_of_the_way_with_their_side() {
        let (east, north) = meters_per_degree(37.0);
        let place = |x: f64, y: f64| (118.0 + x / east, 37.0 + y / north);
        let row = |number, x, y| {
            let (lon, lat) = place(x, y);
            at(number, lon, lat)
        };
        let point = |x, y| {
            let (lon, lat) = place(x, y);
            [lon, lat]
        };
        let rows = vec![
            row(1, 300.0, 5.0),
            row(2, 100.0, -8.0),
            row(3, 500.0, 0.0),
            row(4, 100.0, 30.0),
            row(5, 1007.0, 7.0),
            row(6, 993.0, 400.0),
        ];
        // Eastwards for 1 km, then north.
        let way = [vec![point(0.0, 0.0), point(1000.0, 0.0), point(1000.0, 500.0)]];
        let found = told(&passed(rows, &way, 20.0));
        let sides: Vec<_> =
            found.iter().map(|(number, .., side, passes)| (*number, *side, *passes)).collect();
        assert_eq!(
            sides,
            [
                (2, Side::Right, 1),
                (1, Side::Left, 1),
                (3, Side::On, 1),
                (5, Side::Right, 1),
                (6, Side::Left, 1)
            ]
        );
        for ((_, along, offset, ..), (wanted, beside)) in
            found.iter().zip([(100.0, 8.0), (300.0, 5.0), (500.0, 0.0), (1007.0, 7.0), (1400.0, 7.0)])
        {
            assert!(
                (along - wanted).abs() < 0.03 && (offset - beside).abs() < 0.02,
                "{along} {offset} for {wanted} {beside}"
            );
        }
    }

    #[test]
    fn a_cover_outside_of_a_sharp_corner_lies_outside() {
        let (east, north) = meters_per_degree(37.0);
        let point = |x: f64, y: f64| [118.0 + x / east, 37.0 + y / north];
        // East, then sharply back to the north-west: the corner points east, left is inside.
        let way = [vec![point(0.0, 0.0), point(100.0, 0.0), point(0.0, 60.0)]];
        for (y, number) in [(4.0, 1), (-4.0, 2), (0.5, 3)] {
            let [lon, lat] = point(108.0, y);
            let found = passed(vec![at(number, lon, lat)], &way, 20.0);
            assert_eq!((found[0].side, found[0].passes), (Side::Right, 1), "{y}");
        }
    }

    #[test]
    fn a_way_that_comes_back_lists_a_cover_once_at_its_first_pass() {
        let (east, north) = meters_per_degree(37.0);
        let point = |x: f64, y: f64| [118.0 + x / east, 37.0 + y / north];
        let [lon, lat] = point(200.0, 6.0);
        // Out on one side, back nearer to it on the other.
        let way = [vec![point(0.0, 0.0), point(600.0, 0.0), point(600.0, 8.0), point(0.0, 8.0)]];
        let found = told(&passed(vec![at(1, lon, lat)], &way, 20.0));
        assert_eq!(found.len(), 1);
        let (_, along, offset, side, passes) = found[0];
        assert!((along - 200.0).abs() < 0.01 && (offset - 6.0).abs() < 0.01, "{found:?}");
        assert_eq!((side, passes), (Side::Left, 2));
        // Two parts are two passes, and what lies between is not walked.
        let parts = [vec![point(0.0, 0.0), point(190.0, 0.0)], vec![point(210.0, 0.0), point(400.0, 0.0)]];
        assert_eq!(told(&passed(vec![at(1, lon, lat)], &parts, 20.0))[0].4, 2);
    }

    #[test]
    fn what_is_no_way_is_refused_with_its_reason() {
        let code = |parts: &[Vec<[f64; 2]>]| Route::new(parts).unwrap_err().code;
        assert_eq!(code(&[]), "route.no_line");
        assert_eq!(code(&[vec![[118.0, 37.0]], vec![[118.0, 37.0], [118.0, 37.0]]]), "route.no_line");
        assert_eq!(code(&[vec![[118.0, 37.0]; MOST_POINTS + 1]]), "route.too_many_points");
        assert_eq!(code(&[vec![[179.9, 37.0], [-179.9, 37.0]]]), "route.antimeridian");
        assert_eq!(code(&[vec![[118.0, 37.0], [37.0, 118.0]]]), "position.swapped");
        assert_eq!(code(&[vec![[640_676.0, 4_148_750.0], [1.0, 1.0]]]), "position.beyond_globe");
        assert_eq!(code(&[vec![[118.0, 37.0], [f64::NAN, 37.0]]]), "position.not_a_number");
        assert_eq!(code(&[vec![[100.0, 30.0], [120.0, 30.0]]]), "route.too_long");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        /// As asking each cover about each point of the way, sampled every meter.
        #[test]
        fn covers_are_those_that_lie_near_enough_to_some_point(
            corners in proptest::collection::vec((0.0..1500.0f64, 0.0..1500.0f64), 2..7),
            covers in proptest::collection::vec((-50.0..1550.0f64, -50.0..1550.0f64), 0..25), buffer_m in 5.0..120.0f64,
        ) {
            let (east, north) = meters_per_degree(37.0);
            let place = |(x, y): (f64, f64)| (118.0 + x / east, 37.0 + y / north);
            let way: Vec<[f64; 2]> = corners.iter().map(|corner| { let (lon, lat) = place(*corner); [lon, lat] }).collect();
            let rows: Vec<SnapshotRow> = covers.iter().enumerate().map(|(number, cover)| { let (lon, lat) = place(*cover); at(number as u128 + 1, lon, lat) }).collect();
            let found = passed(rows.clone(), std::slice::from_ref(&way), buffer_m);
            for row in rows {
                let mut least = f64::INFINITY;
                for two in way.windows(2) {
                    let steps = (geodesic_m((two[0][0], two[0][1]), (two[1][0], two[1][1])) ).ceil().max(1.0);
                    for step in 0..=steps as u32 {
                        let share = f64::from(step) / steps;
                        let point = (two[0][0] + (two[1][0] - two[0][0]) * share, two[0][1] + (two[1][1] - two[0][1]) * share);
                        let (x, y) = crate::spatial::flat_m((row.lon, row.lat), point);
                        least = least.min(x.hypot(y));
                    }
                }
                let one = found.iter().find(|one| one.row.cover == row.cover);
                if least < buffer_m - 0.05 { prop_assert!(one.is_some(), "{} lies {} m away", row.cover, least); }
                if least > buffer_m + 0.05 { prop_assert!(one.is_none(), "{} lies {} m away", row.cover, least); }
                if let Some(one) = one {
                    prop_assert!(least <= one.offset_m.hypot(0.5) + 0.03 && one.offset_m <= buffer_m + 0.02 && one.passes >= 1);
                    prop_assert!(one.passes > 1 || one.offset_m <= least + 0.1, "{} against {}", one.offset_m, least);
                }
            }
            let order: Vec<f64> = found.iter().map(|one| one.along_m).collect();
            prop_assert!(order.is_sorted(), "{:?}", order);
        }
    }
}
