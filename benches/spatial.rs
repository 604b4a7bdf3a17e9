//! What the map costs with a million covers. `cargo bench --bench spatial`

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use lidmark::cql2::{Dictionary, Field, Filter, Kind, Row, Schema, Value};
use lidmark::domain::area::AreaShape;
use lidmark::domain::cover::{CoverClass, CoverState};
use lidmark::domain::ids::CoverId;
use lidmark::questions::{MOST_STOPS, Population, REPLICATES, ScanSettings, plan_tour, scan_hot_spots};
use lidmark::spatial::{
    AreaIndex, Attributes, BBox, Change, Chosen, Flags, LiveSnapshot, Snapshot, SnapshotRow, TileId,
};
use lidmark::tiles::{CellCount, CoverPoint, TileAddress, encode_counts, encode_covers};
use std::hint::black_box;
use std::time::Duration;
use uuid::Uuid;

const COVERS: u32 = 1_000_000;

/// Covers of a city of 40 × 40 km, in the order of their making rather than of their places.
fn row(number: u32) -> SnapshotRow {
    let mixed = u64::from(number).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let fraction = |bits: u64| (bits & 0x3F_FFFF) as f64 / f64::from(1u32 << 22);
    SnapshotRow {
        cover: CoverId(Uuid::from_u128((u128::from(number) << 80) | u128::from(mixed))),
        lon: 118.4 + fraction(mixed >> 40) * 0.45,
        lat: 37.3 + fraction(mixed >> 16) * 0.36,
        class: CoverClass::ALL[mixed as usize % CoverClass::ALL.len()],
        state: CoverState::ALL[mixed as usize % CoverState::ALL.len()],
        flags: Flags { has_plate: number.is_multiple_of(3), open_case: number.is_multiple_of(50) },
        attributes: Attributes::default(),
    }
}

fn draw(snapshot: &Snapshot, tile: TileId) -> Vec<u8> {
    let points = Chosen::new(snapshot, None).dots_in_tile(tile).map(|dot| CoverPoint {
        quadkey: dot.quadkey,
        id: None,
        class: dot.class,
        state: dot.state,
        has_plate: dot.flags.has_plate,
        open_case: dot.flags.open_case,
    });
    encode_covers(TileAddress { zoom: tile.zoom(), x: tile.x(), y: tile.y() }, points)
}

fn spatial(criterion: &mut Criterion) {
    let rows: Vec<SnapshotRow> = (0..COVERS).map(row).collect();
    let mut group = criterion.benchmark_group("a million covers");
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(3));
    group.bench_function("build, in order of making", |bencher| {
        bencher.iter(|| Snapshot::build(rows.iter().copied(), 1));
    });
    let snapshot = Snapshot::build(rows.iter().copied(), 1);
    let sorted: Vec<SnapshotRow> = snapshot.rows().collect();
    group.bench_function("build, in order of quadkey", |bencher| {
        bencher.iter(|| Snapshot::build(sorted.iter().copied(), 1));
    });
    drop(sorted);
    group.bench_function("walk all rows", |bencher| {
        bencher.iter(|| snapshot.rows().map(|row| row.lat).sum::<f64>())
    });
    group.bench_function("tally all", |bencher| bencher.iter(|| snapshot.tally()));

    let (lon, lat) = (118.62, 37.48);
    group.sample_size(40);
    for zoom in [12, 14, 16] {
        let tile = TileId::at(lon, lat, zoom);
        let count = snapshot.count_in_tile(tile);
        group.bench_function(format!("tile z{zoom}, {count} covers: count"), |bencher| {
            bencher.iter(|| snapshot.count_in_tile(black_box(tile)));
        });
        group.bench_function(format!("tile z{zoom}, {count} covers: rows"), |bencher| {
            bencher.iter(|| snapshot.in_tile(black_box(tile)).map(|row| row.lon).sum::<f64>());
        });
        group.bench_function(format!("tile z{zoom}, {count} covers: draw"), |bencher| {
            bencher.iter(|| draw(&snapshot, black_box(tile)));
        });
    }
    for zoom in [4, 8, 10] {
        let tile = TileId::at(lon, lat, zoom);
        group.bench_function(format!("tile z{zoom}: grid of 64 x 64, draw"), |bencher| {
            bencher.iter(|| {
                let cells = snapshot.grid_in_tile(black_box(tile), 64).into_iter();
                encode_counts(
                    64,
                    cells.map(|cell| CellCount {
                        column: cell.column,
                        row: cell.row,
                        count: cell.count as u64,
                    }),
                )
            });
        });
    }
    for (name, side) in [("200 m", 0.002), ("2 km", 0.02)] {
        let bbox = BBox::new(lon, lat, lon + side, lat + side).expect("a small box in the city");
        let count = snapshot.in_bbox(bbox).count();
        group.bench_function(format!("box of {name}, {count} covers"), |bencher| {
            bencher.iter(|| snapshot.in_bbox(black_box(bbox)).map(|row| row.lon).sum::<f64>());
        });
    }
    group.bench_function("nearest 1 within 10 m", |bencher| {
        bencher.iter(|| snapshot.nearest(lon, lat, 1, 10.0))
    });
    group.bench_function("nearest 10", |bencher| bencher.iter(|| snapshot.nearest(lon, lat, 10, 1000.0)));
    group.bench_function("nearest 10, 100 km outside", |bencher| {
        bencher.iter(|| snapshot.nearest(lon + 1.5, lat, 10, f64::INFINITY));
    });
    group.bench_function("find by id", |bencher| {
        bencher.iter(|| snapshot.find(black_box(rows[777_777].cover)))
    });

    group.sample_size(20);
    let moved = |from: u32, many: u32| {
        (from..from + many).map(|number| Change::Put(SnapshotRow { lat: 37.31, ..row(number) }))
    };
    group.bench_function("apply one change", |bencher| {
        bencher.iter(|| snapshot.with_changes(moved(7, 1), 2));
    });
    let patched = snapshot.with_changes(moved(0, 7_000), 2);
    group.bench_function("apply one change after 7 000", |bencher| {
        bencher.iter(|| patched.with_changes(moved(500_000, 1), 3));
    });
    group.bench_function("apply 20 000 changes and pack", |bencher| {
        bencher.iter_batched(|| (), |()| snapshot.with_changes(moved(0, 20_000), 2), BatchSize::PerIteration);
    });
    let live = LiveSnapshot::new(patched);
    group.bench_function("load the newest", |bencher| bencher.iter(|| live.load()));
    group.finish();
}

/// Districts of a city side by side with borders of two thousand corners each, wound like rivers, one of them with
/// holes that others fill, and a part far off.
fn districts() -> Vec<(String, AreaShape)> {
    const CORNERS: usize = 2000;
    let edge = |at: usize, across: bool| -> Vec<[f64; 2]> {
        let corners = 0..=CORNERS;
        corners
            .map(|corner| {
                let along = corner as f64 / CORNERS as f64;
                let wound = if at == 0 || at == 4 { 0.0 } else { (along * 40.0).sin() * 0.01 };
                // Ends meet where the borders of the other direction begin.
                let wound = wound * (along * 4.0 * std::f64::consts::PI).sin().abs();
                match across {
                    true => [118.4 + along * 0.45, 37.3 + at as f64 * 0.09 + wound],
                    false => [118.4 + at as f64 * 0.1125 + wound, 37.3 + along * 0.36],
                }
            })
            .collect()
    };
    let piece = |line: &[[f64; 2]], from: usize| line[from * CORNERS / 4..=(from + 1) * CORNERS / 4].to_vec();
    let mut districts = Vec::new();
    for row in 0..4 {
        for column in 0..4 {
            let mut ring = piece(&edge(row, true), column);
            ring.extend(piece(&edge(column + 1, false), row));
            ring.extend(piece(&edge(row + 1, true), column).into_iter().rev());
            ring.extend(piece(&edge(column, false), row).into_iter().rev());
            ring.dedup();
            if ring.first() != ring.last() {
                ring.push(ring[0]);
            }
            let shape = AreaShape::new(vec![vec![ring]]).expect("a closed ring");
            districts.push((format!("3705{row}{column}"), shape));
        }
    }
    districts
}

/// A day's tour of as many stops as one may have, over a city and over one district.
fn tours(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("a tour of 500 stops");
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(3));
    for (name, share) in [("over a city", 1.0), ("over a district", 0.1)] {
        let place = |number: u32| {
            let row = row(number);
            (118.4 + (row.lon - 118.4) * share, 37.3 + (row.lat - 37.3) * share)
        };
        let stops: Vec<(f64, f64)> = (0..MOST_STOPS as u32).map(place).collect();
        group.bench_function(name, |bencher| {
            bencher.iter(|| plan_tour(Some((118.62, 37.48)), black_box(&stops), true).length_m);
        });
    }
    group.finish();
}

/// The scan for hot spots over a million covers, of which so many are cases.
fn hot_spots(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hot spots among a million covers");
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(3));
    for every in [1000, 50] {
        let one = |number: u32| {
            let row = row(number);
            Population { lon: row.lon, lat: row.lat, is_case: number.is_multiple_of(every) }
        };
        let population: Vec<Population> = (0..COVERS).map(one).collect();
        let settings = ScanSettings { most_m: 1000.0, replicates: REPLICATES, seed: 1 };
        group.bench_function(format!("{} cases", COVERS / every), |bencher| {
            bencher.iter(|| scan_hot_spots(black_box(&population).iter().copied(), settings).best_p);
        });
    }
    group.finish();
}

fn districts_of_covers(criterion: &mut Criterion) {
    let districts = districts();
    let places: Vec<(f64, f64)> = (0..COVERS).map(row).map(|row| (row.lon, row.lat)).collect();
    let index = || AreaIndex::new(districts.iter().map(|(code, shape)| (code.as_str(), shape)));
    let mut group = criterion.benchmark_group("16 districts of 2 000 corners");
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(3));
    group.bench_function("a million covers, by cells", |bencher| {
        bencher.iter(|| {
            let mut locator = index().into_locator();
            places.iter().filter(|(lon, lat)| locator.find(*lon, *lat).is_some()).count()
        });
    });
    let whole = index();
    group.bench_function("ten thousand covers, every polygon in turn", |bencher| {
        bencher
            .iter(|| places[..10_000].iter().filter(|(lon, lat)| whole.find(*lon, *lat).is_some()).count());
    });
    group.finish();
}

const CLASSES: [&str; 4] = ["sewage", "storm", "power", "water"];
const LOAD_CLASSES: [&str; 6] = ["A15", "B125", "C250", "D400", "E600", "F900"];

/// What a filter reads of a cover, with words by their numbers.
struct FilterRow {
    place: (f64, f64),
    class: u8,
    load_class: u8,
    depth: f32,
    code: String,
}

impl FilterRow {
    fn new(number: u32) -> Self {
        let at = row(number);
        let mixed = number.wrapping_mul(0x9E37_79B9);
        Self {
            place: (at.lon, at.lat),
            class: (mixed >> 8) as u8 % 4,
            load_class: (mixed >> 16) as u8 % 6,
            depth: (mixed >> 20) as f32 / 512.0,
            code: format!("3705020110{number:06}"),
        }
    }
}

impl Row for FilterRow {
    fn value(&self, field: usize) -> Value<'_> {
        match field {
            0 => Value::Point(self.place.0, self.place.1),
            1 => Value::Text(CLASSES[usize::from(self.class)].into()),
            2 => Value::Text(LOAD_CLASSES[usize::from(self.load_class)].into()),
            3 => Value::Number(f64::from(self.depth)),
            _ => Value::Text(self.code.as_str().into()),
        }
    }

    fn term(&self, field: usize) -> Option<u32> {
        match field {
            1 => Some(u32::from(self.class)),
            2 => Some(u32::from(self.load_class)),
            _ => None,
        }
    }
}

struct Words;

impl Dictionary for Words {
    fn terms(&self, field: usize) -> Option<usize> {
        match field {
            1 => Some(CLASSES.len()),
            2 => Some(LOAD_CLASSES.len()),
            _ => None,
        }
    }

    fn term(&self, field: usize, number: u32) -> Value<'_> {
        let words: &[&str] = if field == 1 { &CLASSES } else { &LOAD_CLASSES };
        Value::Text(words[number as usize].into())
    }
}

/// A filter from its text to its answer over all covers.
fn filters_on_covers(criterion: &mut Criterion) {
    let field = |name: &str, kind| Field { name: name.to_owned(), kind };
    let schema = Schema::new(vec![
        field("position", Kind::Point),
        field("class", Kind::Text),
        field("load_class", Kind::Text),
        field("depth", Kind::Number),
        field("code", Kind::Text),
    ]);
    let rows: Vec<FilterRow> = (0..COVERS).map(FilterRow::new).collect();
    let outline: Vec<String> = (0..=500)
        .map(|corner| {
            let angle = f64::from(corner % 500) / 500.0 * std::f64::consts::TAU;
            let reach = 0.12 + 0.03 * (angle * 9.0).sin();
            format!("{:.6} {:.6}", 118.62 + reach * angle.cos(), 37.48 + reach * angle.sin())
        })
        .collect();
    let mut group = criterion.benchmark_group("filter a million covers");
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(3));
    for (name, text) in [
        ("two words", "load_class IN ('D400') AND class='sewage'".to_owned()),
        ("folded words or a number", "CASEI(class) LIKE CASEI('SE%') OR depth * 2 > 15".to_owned()),
        ("part of a code", "code LIKE '%77%'".to_owned()),
        ("outline of 500 corners", format!("S_INTERSECTS(position, POLYGON(({})))", outline.join(", "))),
        ("200 m along a line", format!("S_DWITHIN(position, LINESTRING({}), 200)", outline[..50].join(", "))),
        ("200 m around a point", "S_DWITHIN(position, POINT(118.62 37.48), 200)".to_owned()),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let filter = Filter::from_text(&text, &schema, None).expect("it fits the schema");
                let prepared = filter.prepare(&Words);
                rows.iter().filter(|row| prepared.matches(*row)).count()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, spatial, districts_of_covers, filters_on_covers, tours, hot_spots);
criterion_main!(benches);
