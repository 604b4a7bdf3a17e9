//! What the map costs with a million covers. `cargo bench --bench spatial`

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use lidmark::domain::cover::{CoverClass, CoverState};
use lidmark::domain::ids::CoverId;
use lidmark::spatial::{BBox, Change, Flags, LiveSnapshot, Snapshot, SnapshotRow, TileId};
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
    }
}

fn draw(snapshot: &Snapshot, tile: TileId) -> Vec<u8> {
    let points = snapshot.in_tile(tile).map(|row| CoverPoint {
        lon: row.lon,
        lat: row.lat,
        id: None,
        class: row.class,
        state: row.state,
        has_plate: row.flags.has_plate,
        open_case: row.flags.open_case,
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

criterion_group!(benches, spatial);
criterion_main!(benches);
