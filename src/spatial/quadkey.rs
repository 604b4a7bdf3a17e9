//! Tiles and boxes as ranges of quadkeys, for the tables and the snapshot alike: a tile is one
//! range, a box a handful that hold everything in it and a little more.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::domain::Refusal;
use crate::domain::position::{QUADKEY_ZOOM, distance_m, spread, tile_x, tile_y};

/// Most ranges that [`BBox::key_ranges`] answers with.
pub const RANGE_LIMIT: usize = 16;
/// Cells a box is cut into before the nearest ones are joined again to at most [`RANGE_LIMIT`].
const CELL_LIMIT: usize = 64;

/// Quadkeys from `first` to `last`, both included: `quadkey BETWEEN first AND last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyRange {
    pub first: i64,
    pub last: i64,
}

impl KeyRange {
    pub const WORLD: Self = Self { first: 0, last: (1 << (2 * QUADKEY_ZOOM)) - 1 };

    pub fn contains(&self, key: i64) -> bool {
        (self.first..=self.last).contains(&key)
    }
}

/// West, south, east, north in degrees, edges included. West beyond east means that the box
/// crosses the antimeridian. Latitudes up to the poles are fine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BBox {
    west: f64,
    south: f64,
    east: f64,
    north: f64,
}

impl BBox {
    pub const WORLD: Self = Self { west: -180.0, south: -90.0, east: 180.0, north: 90.0 };

    pub fn new(west: f64, south: f64, east: f64, north: f64) -> Result<Self, Refusal> {
        let refuse = |code, read: f64| Err(Refusal::new(code).at("bbox").with("read", read));
        for degrees in [west, south, east, north] {
            if !degrees.is_finite() {
                return refuse("bbox.not_a_number", degrees);
            }
        }
        for lon in [west, east] {
            if lon.abs() > 180.0 {
                return refuse("bbox.longitude", lon);
            }
        }
        for lat in [south, north] {
            if lat.abs() > 90.0 {
                return refuse("bbox.latitude", lat);
            }
        }
        if south > north {
            return Err(Refusal::new("bbox.south_above_north")
                .at("bbox")
                .with("south", south)
                .with("north", north));
        }
        Ok(Self { west, south, east, north })
    }

    /// West, south, east, north in degrees.
    pub fn edges(&self) -> [f64; 4] {
        [self.west, self.south, self.east, self.north]
    }

    /// The same with each edge moved outwards by so many degrees, as far as the globe goes.
    pub fn widened(self, degrees: f64) -> Self {
        let (south, north) = ((self.south - degrees).max(-90.0), (self.north + degrees).min(90.0));
        let (west, east) = (self.west - degrees, self.east + degrees);
        match self.crosses_antimeridian() && west <= east {
            // Its edges met on the other side.
            true => Self { south, north, ..Self::WORLD },
            false => Self { west: west.max(-180.0), south, east: east.min(180.0), north },
        }
    }

    /// The smallest box that is sure to hold every point within `radius_m` meters of a point.
    pub fn around(lon: f64, lat: f64, radius_m: f64) -> Self {
        let angle = radius_m / EARTH_RADIUS_M;
        // Beyond this the haversine loses digits and the box gains nothing.
        if !(angle < 1.2 && lon.is_finite() && lat.abs() <= 90.0) {
            return Self::WORLD;
        }
        // A little wider than the circle, for the rounding of the distance formula.
        let angle = angle.max(0.0) * (1.0 + 1e-9) + 1e-10;
        let (south, north) = (lat - angle.to_degrees(), lat + angle.to_degrees());
        if south <= -90.0 || north >= 90.0 {
            return Self { south: south.max(-90.0), north: north.min(90.0), ..Self::WORLD };
        }
        let half = (angle.sin() / lat.to_radians().cos()).clamp(-1.0, 1.0).asin().to_degrees() + 1e-9;
        let lon = wrap(lon);
        if half >= 179.0 {
            return Self { south, north, ..Self::WORLD };
        }
        Self { west: wrap(lon - half), south, east: wrap(lon + half), north }
    }

    pub fn west(&self) -> f64 {
        self.west
    }

    pub fn south(&self) -> f64 {
        self.south
    }

    pub fn east(&self) -> f64 {
        self.east
    }

    pub fn north(&self) -> f64 {
        self.north
    }

    pub fn crosses_antimeridian(&self) -> bool {
        self.west > self.east
    }

    /// The exact test, on the numbers as stored; the edges belong to the box.
    pub fn contains(&self, lon: f64, lat: f64) -> bool {
        let across = if self.crosses_antimeridian() {
            lon >= self.west || lon <= self.east
        } else {
            lon >= self.west && lon <= self.east
        };
        across && lat >= self.south && lat <= self.north
    }

    /// At most [`RANGE_LIMIT`] ranges in rising order, with gaps between them, that hold the
    /// quadkey of every point in the box. They hold some neighbors too: follow with [`Self::contains`].
    pub fn key_ranges(&self) -> Vec<KeyRange> {
        let last = (1u32 << QUADKEY_ZOOM) - 1;
        // One row more on each side: the latitude goes through sin and atanh, whose rounding may
        // put two neighbors on a tile's edge into rows the wrong way round.
        let rows = tile_y(self.north).saturating_sub(1)..=(tile_y(self.south) + 1).min(last);
        let columns = if self.crosses_antimeridian() {
            [Some(tile_x(self.west)..=last), Some(0..=tile_x(self.east))]
        } else {
            [Some(tile_x(self.west)..=tile_x(self.east)), None]
        };
        let mut ranges = cut_into_cells(&columns.into_iter().flatten().collect::<Vec<_>>(), &rows);
        join_nearest(&mut ranges, RANGE_LIMIT);
        ranges
    }
}

impl FromStr for BBox {
    type Err = Refusal;

    /// `west,south,east,north`, as OGC API – Features writes it.
    fn from_str(text: &str) -> Result<Self, Refusal> {
        let shown = || text.chars().take(80).collect::<String>();
        let parts: Vec<&str> = text.split(',').map(str::trim).collect();
        let &[west, south, east, north] = parts.as_slice() else {
            return Err(Refusal::new("bbox.four_numbers").at("bbox").with("read", shown()));
        };
        let number = |part: &str| {
            part.parse::<f64>().map_err(|_| {
                Refusal::new("bbox.not_a_number")
                    .at("bbox")
                    .with("read", part.chars().take(40).collect::<String>())
            })
        };
        Self::new(number(west)?, number(south)?, number(east)?, number(north)?)
    }
}

impl fmt::Display for BBox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{},{},{}", self.west, self.south, self.east, self.north)
    }
}

/// Address of a Web Mercator tile, `y` counted from the north; zoom 0 to 28.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TileId {
    zoom: u32,
    x: u32,
    y: u32,
}

impl TileId {
    pub const WORLD: Self = Self { zoom: 0, x: 0, y: 0 };

    pub fn new(zoom: u32, x: u32, y: u32) -> Result<Self, Refusal> {
        if zoom > QUADKEY_ZOOM {
            return Err(Refusal::new("tile.zoom").at("z").with("read", zoom).with("max", QUADKEY_ZOOM));
        }
        let last = (1u32 << zoom) - 1;
        for (field, read) in [("x", x), ("y", y)] {
            if read > last {
                return Err(Refusal::new("tile.outside")
                    .at(field)
                    .with("field", field)
                    .with("read", read)
                    .with("zoom", zoom)
                    .with("max", last));
            }
        }
        Ok(Self { zoom, x, y })
    }

    /// Reads the three segments of a tile's address.
    pub fn parse(zoom: &str, x: &str, y: &str) -> Result<Self, Refusal> {
        let number = |field: &'static str, read: &str| {
            read.parse::<u32>().map_err(|_| {
                Refusal::new("tile.not_a_number")
                    .at(field)
                    .with("field", field)
                    .with("read", read.chars().take(40).collect::<String>())
            })
        };
        Self::new(number("z", zoom)?, number("x", x)?, number("y", y)?)
    }

    /// The tile of this zoom (at most 28) that holds a point.
    pub fn at(lon: f64, lat: f64, zoom: u32) -> Self {
        let zoom = zoom.min(QUADKEY_ZOOM);
        let shift = QUADKEY_ZOOM - zoom;
        Self { zoom, x: tile_x(lon) >> shift, y: tile_y(lat) >> shift }
    }

    pub fn zoom(&self) -> u32 {
        self.zoom
    }

    pub fn x(&self) -> u32 {
        self.x
    }

    pub fn y(&self) -> u32 {
        self.y
    }

    /// Exactly the quadkeys of the points in this tile.
    pub fn key_range(&self) -> KeyRange {
        let shift = 2 * (QUADKEY_ZOOM - self.zoom);
        let first = ((spread(self.x) | spread(self.y) << 1) << shift) as i64;
        KeyRange { first, last: first + ((1i64 << shift) - 1) }
    }

    /// The four tiles of the next zoom in quadkey order: north-west, north-east, south-west,
    /// south-east; `None` at zoom 28.
    pub fn children(&self) -> Option<[TileId; 4]> {
        let (zoom, x, y) = (self.zoom + 1, self.x * 2, self.y * 2);
        (zoom <= QUADKEY_ZOOM)
            .then(|| [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(dx, dy)| Self { zoom, x: x + dx, y: y + dy }))
    }

    /// A distance in meters that no point of this tile comes nearer than. The outermost rows of
    /// tiles hold what lies beyond the Mercator square, up to the poles.
    pub fn least_distance_m(&self, lon: f64, lat: f64) -> f64 {
        let BBox { west, mut south, east, mut north } = self.bounds();
        if self.y == 0 {
            north = 90.0;
        }
        if self.y == (1 << self.zoom) - 1 {
            south = -90.0;
        }
        let lon = wrap(lon);
        let nearest_m = if (west..=east).contains(&lon) {
            distance_m((lon, lat), (lon, lat.clamp(south, north)))
        } else {
            // On the nearer of the two edge meridians: at an end, or where the way meets it squarely.
            [west, east].into_iter().fold(f64::INFINITY, |least, edge| {
                let (sin, cos) = lat.to_radians().sin_cos();
                let square = sin.atan2(cos * (edge - lon).to_radians().cos()).to_degrees();
                let ways = [south, north, square.clamp(south, north)];
                ways.into_iter().fold(least, |least, at| least.min(distance_m((lon, lat), (edge, at))))
            })
        };
        // On the far side of the globe the haversine is good to 0.13 m only.
        (nearest_m - 0.2).max(0.0)
    }

    /// The tile's box in degrees, for showing; membership is decided by [`Self::key_range`].
    pub fn bounds(&self) -> BBox {
        let size = f64::from(1u32 << self.zoom);
        let lon = |x: u32| f64::from(x) / size * 360.0 - 180.0;
        let lat =
            |y: u32| (std::f64::consts::PI * (1.0 - 2.0 * f64::from(y) / size)).sinh().atan().to_degrees();
        BBox { west: lon(self.x), south: lat(self.y + 1), east: lon(self.x + 1), north: lat(self.y) }
    }
}

impl fmt::Display for TileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.zoom, self.x, self.y)
    }
}

/// The sphere of `domain::position::distance_m`.
const EARTH_RADIUS_M: f64 = 6_371_008.8;

fn wrap(lon: f64) -> f64 {
    if (-180.0..=180.0).contains(&lon) { lon } else { (lon + 180.0).rem_euclid(360.0) - 180.0 }
}

/// Walks down the tile tree, keeping whole what lies inside and splitting what straddles an edge,
/// one zoom at a time until there are enough cells.
fn cut_into_cells(columns: &[RangeInclusive<u32>], rows: &RangeInclusive<u32>) -> Vec<KeyRange> {
    let touches = |span: &RangeInclusive<u32>, low, high| *span.start() <= high && low <= *span.end();
    let holds = |span: &RangeInclusive<u32>, low, high| *span.start() <= low && high <= *span.end();
    let mut inside: Vec<KeyRange> = Vec::new();
    let mut straddling = vec![TileId::WORLD];
    while !straddling.is_empty() && inside.len() + straddling.len() < CELL_LIMIT {
        let mut next = Vec::with_capacity(straddling.len() * 2);
        for cell in straddling.iter().filter_map(TileId::children).flatten() {
            let shift = QUADKEY_ZOOM - cell.zoom;
            let (west, north) = (cell.x << shift, cell.y << shift);
            let (east, south) = (west + ((1u32 << shift) - 1), north + ((1u32 << shift) - 1));
            if !touches(rows, north, south) || !columns.iter().any(|span| touches(span, west, east)) {
                continue;
            }
            if holds(rows, north, south) && columns.iter().any(|span| holds(span, west, east)) {
                inside.push(cell.key_range());
            } else {
                next.push(cell);
            }
        }
        straddling = next;
    }
    inside.extend(straddling.iter().map(TileId::key_range));
    inside
}

/// Sorts ranges, joins those that touch, then those with the smallest gaps until `limit` are left.
fn join_nearest(ranges: &mut Vec<KeyRange>, limit: usize) {
    ranges.sort_unstable();
    join_gaps_up_to(ranges, 0);
    if ranges.len() > limit {
        let mut gaps: Vec<i64> = ranges.windows(2).map(|pair| pair[1].first - pair[0].last - 1).collect();
        gaps.sort_unstable();
        let widest_joined = gaps[ranges.len() - limit - 1];
        join_gaps_up_to(ranges, widest_joined);
    }
}

fn join_gaps_up_to(ranges: &mut Vec<KeyRange>, gap: i64) {
    ranges.dedup_by(|next, kept| {
        let joined = next.first - kept.last - 1 <= gap;
        if joined {
            kept.last = kept.last.max(next.last);
        }
        joined
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::position::{MERCATOR_MAX_LAT, quadkey};
    use proptest::prelude::*;

    /// Longitudes and latitudes of every kind: anywhere, in one city, on tile edges, at the ends.
    fn lons() -> impl Strategy<Value = f64> {
        prop_oneof![
            -180.0..=180.0,
            118.0..118.001,
            (0u32..=28, any::<u32>())
                .prop_map(|(z, x)| f64::from(x % (1 << z)) / f64::from(1u32 << z) * 360.0 - 180.0),
            prop::sample::select(vec![-180.0, 180.0, 0.0, -0.0, 179.999_999_9, -179.999_999_9]),
        ]
    }

    fn lats() -> impl Strategy<Value = f64> {
        prop_oneof![
            -90.0..=90.0,
            37.0..37.001,
            (0u32..=28, any::<u32>())
                .prop_map(|(z, y)| TileId::new(z, 0, y % (1 << z)).unwrap().bounds().north()),
            prop::sample::select(vec![-90.0, 90.0, 0.0, MERCATOR_MAX_LAT, -MERCATOR_MAX_LAT, 85.06, -85.06]),
        ]
    }

    fn boxes() -> impl Strategy<Value = BBox> {
        let any_box = (lons(), lats(), lons(), lats())
            .prop_map(|(w, a, e, b)| BBox::new(w, a.min(b), e, a.max(b)).unwrap());
        let degenerate = (lons(), lats()).prop_map(|(lon, lat)| BBox::new(lon, lat, lon, lat).unwrap());
        let city = (lons(), lats(), 0.0..0.01f64, 0.0..0.01f64)
            .prop_map(|(lon, lat, w, h)| BBox::new(lon, lat, wrap(lon + w), (lat + h).min(90.0)).unwrap());
        prop_oneof![4 => any_box, 1 => degenerate, 4 => city, 1 => Just(BBox::WORLD)]
    }

    /// A point of the box, given two fractions; 0 and 1 are its edges.
    fn point_in(bbox: &BBox, across: f64, up: f64) -> (f64, f64) {
        let width =
            if bbox.crosses_antimeridian() { bbox.east - bbox.west + 360.0 } else { bbox.east - bbox.west };
        (
            wrap(bbox.west + across * width),
            (bbox.south + up * (bbox.north - bbox.south)).clamp(bbox.south, bbox.north),
        )
    }

    fn fractions() -> impl Strategy<Value = f64> {
        prop_oneof![Just(0.0), Just(1.0), 0.0..=1.0]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn the_ranges_of_a_box_are_few_and_ordered_and_hold_every_point_of_it(
            bbox in boxes(),
            points in prop::collection::vec((fractions(), fractions()), 1..20),
        ) {
            let ranges = bbox.key_ranges();
            prop_assert!(!ranges.is_empty() && ranges.len() <= RANGE_LIMIT);
            prop_assert!(ranges.windows(2).all(|pair| pair[0].last + 1 < pair[1].first));
            prop_assert!(ranges.iter().all(|range| range.first <= range.last && KeyRange::WORLD.contains(range.last)));
            for (across, up) in points {
                let (lon, lat) = point_in(&bbox, across, up);
                if bbox.contains(lon, lat) {
                    let key = quadkey(lon, lat);
                    prop_assert!(ranges.iter().any(|range| range.contains(key)), "{lon},{lat} not in {bbox}");
                }
            }
        }

        #[test]
        fn a_tile_holds_a_point_exactly_when_its_range_holds_the_quadkey(
            lon in lons(), lat in lats(), zoom in 0u32..=28, x in any::<u32>(), y in any::<u32>(),
        ) {
            let home = TileId::at(lon, lat, zoom);
            prop_assert!(home.key_range().contains(quadkey(lon, lat)));
            let other = TileId::new(zoom, x % (1 << zoom), y % (1 << zoom)).unwrap();
            prop_assert_eq!(other.key_range().contains(quadkey(lon, lat)), other == home);
        }

        #[test]
        fn the_four_children_share_out_the_range_of_a_tile(zoom in 0u32..28, x in any::<u32>(), y in any::<u32>()) {
            let tile = TileId::new(zoom, x % (1 << zoom), y % (1 << zoom)).unwrap();
            let children = tile.children().unwrap().map(|child| child.key_range());
            prop_assert_eq!(children[0].first, tile.key_range().first);
            prop_assert_eq!(children[3].last, tile.key_range().last);
            prop_assert!(children.windows(2).all(|pair| pair[0].last + 1 == pair[1].first));
        }

        #[test]
        fn no_point_of_a_tile_is_nearer_than_its_least_distance(
            from in (lons(), lats()), to in (lons(), lats()), zoom in 0u32..=28,
        ) {
            for lon in [from.0, from.0 + 360.0, from.0 - 360.0] {
                let least = TileId::at(to.0, to.1, zoom).least_distance_m(lon, from.1);
                prop_assert!(least <= distance_m(from, to), "{least} {}", distance_m(from, to));
            }
        }

        #[test]
        fn the_box_around_a_circle_holds_the_circle(
            lon in lons(), lat in lats(), radius in prop_oneof![0.0..100.0, 0.0..30_000_000.0f64],
            to in (lons(), lats()), near in (-0.001..0.001f64, -0.001..0.001f64),
        ) {
            for point in [to, (wrap(lon + near.0), (lat + near.1).clamp(-90.0, 90.0)), (lon, lat)] {
                if distance_m((lon, lat), point) <= radius {
                    prop_assert!(BBox::around(lon, lat, radius).contains(point.0, point.1), "{point:?}");
                }
            }
        }
    }

    #[test]
    fn the_ranges_of_a_city_block_are_hardly_larger_than_the_block() {
        let block = BBox::new(118.5012, 37.4301, 118.5046, 37.4329).unwrap();
        let covered: i64 = block.key_ranges().iter().map(|range| range.last - range.first + 1).sum();
        let columns = i64::from(tile_x(block.east) - tile_x(block.west) + 1);
        let rows = i64::from(tile_y(block.south) - tile_y(block.north) + 1);
        assert!(covered < columns * rows * 3 / 2, "{covered} for {}", columns * rows);
    }

    #[test]
    fn the_world_is_one_range() {
        assert_eq!(BBox::WORLD.key_ranges(), [KeyRange::WORLD]);
        assert_eq!(TileId::new(0, 0, 0).unwrap().key_range(), KeyRange::WORLD);
    }

    #[test]
    fn each_impossible_box_gets_its_own_sentence() {
        for (text, code) in [
            ("1,2,3", "bbox.four_numbers"),
            ("1,2,3,4,5,6", "bbox.four_numbers"),
            ("", "bbox.four_numbers"),
            ("1,2,3,x", "bbox.not_a_number"),
            ("1,2,3,NaN", "bbox.not_a_number"),
            ("1,2,inf,4", "bbox.not_a_number"),
            ("181,2,3,4", "bbox.longitude"),
            ("1,-91,3,4", "bbox.latitude"),
            ("1,5,3,4", "bbox.south_above_north"),
        ] {
            assert_eq!(text.parse::<BBox>().unwrap_err().code, code, "{text}");
        }
        let crossing: BBox = " 179, -1 ,-179,1".parse().unwrap();
        assert!(
            crossing.contains(-179.5, 0.0) && crossing.contains(180.0, 1.0) && !crossing.contains(0.0, 0.0)
        );
    }

    #[test]
    fn each_impossible_tile_gets_its_own_sentence() {
        for (z, x, y, code) in [
            ("29", "0", "0", "tile.zoom"),
            ("3", "8", "0", "tile.outside"),
            ("3", "0", "8", "tile.outside"),
            ("3", "-1", "0", "tile.not_a_number"),
            ("3", "0", "1.mvt", "tile.not_a_number"),
            ("99999999999", "0", "0", "tile.not_a_number"),
        ] {
            assert_eq!(TileId::parse(z, x, y).unwrap_err().code, code, "{z}/{x}/{y}");
        }
        assert!(TileId::new(28, (1 << 28) - 1, (1 << 28) - 1).is_ok());
    }
}
