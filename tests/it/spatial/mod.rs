//! The snapshot and the tiles drawn from it, as `http` puts them together.

use std::collections::{BTreeMap, BTreeSet};

use lidmark::domain::cover::{CoverClass, CoverState};
use lidmark::domain::ids::CoverId;
use lidmark::spatial::{Attributes, Change, Chosen, Flags, LiveSnapshot, Snapshot, SnapshotRow, TileId};
use lidmark::tiles::{CellCount, CoverPoint, EXTENT, TileAddress, encode_counts, encode_covers};
use uuid::Uuid;

fn row(number: u32) -> SnapshotRow {
    SnapshotRow {
        cover: CoverId(Uuid::from_u128(u128::from(number))),
        lon: 118.5 + f64::from(number * 7919 % 1000) * 1e-4,
        lat: 37.4 + f64::from(number * 104_729 % 1000) * 1e-4,
        class: CoverClass::ALL[number as usize % CoverClass::ALL.len()],
        state: CoverState::ALL[number as usize % CoverState::ALL.len()],
        flags: Flags { has_plate: number.is_multiple_of(3), open_case: number.is_multiple_of(11) },
        attributes: Attributes::default(),
    }
}

fn draw(snapshot: &Snapshot, tile: TileId) -> Vec<u8> {
    let address = TileAddress { zoom: tile.zoom(), x: tile.x(), y: tile.y() };
    let points = Chosen::new(snapshot, None).dots_in_tile(tile).map(|dot| CoverPoint {
        quadkey: dot.quadkey,
        id: None,
        class: dot.class,
        state: dot.state,
        has_plate: dot.flags.has_plate,
        open_case: dot.flags.open_case,
    });
    encode_covers(address, points)
}

#[test]
fn every_cover_is_drawn_once_at_every_zoom() {
    let snapshot = Snapshot::build((0..2000).map(row), 1);
    for zoom in [0, 7, 13, 16, 19, 28] {
        let tiles: BTreeSet<(u32, u32)> = snapshot
            .rows()
            .map(|row| TileId::at(row.lon, row.lat, zoom))
            .map(|tile| (tile.x(), tile.y()))
            .collect();
        let mut drawn: BTreeMap<String, usize> = BTreeMap::new();
        for (x, y) in tiles {
            for feature in decode(&draw(&snapshot, TileId::new(zoom, x, y).unwrap())) {
                assert!(feature.x < EXTENT && feature.y < EXTENT);
                *drawn.entry(feature.tags["class"].clone()).or_default() += 1;
                assert_eq!(feature.tags.len(), 4);
            }
        }
        let tally = snapshot.tally();
        for class in CoverClass::ALL {
            assert_eq!(
                drawn.get(class.as_str()).copied().unwrap_or(0),
                tally.of_class(*class),
                "zoom {zoom}"
            );
        }
    }
}

#[test]
fn two_servers_draw_the_same_bytes_however_the_covers_got_there() {
    let at_once = Snapshot::build((0..3000).map(row), 9);
    let live = LiveSnapshot::new(Snapshot::build((0..1000).map(row), 1));
    for step in 0u32..40 {
        let changes = (0..50).map(|at| Change::Put(row(1000 + step * 50 + at)));
        assert!(live.apply(changes, 2 + i64::from(step)));
    }
    for zoom in 0..=18 {
        let tile = TileId::at(118.55, 37.45, zoom);
        assert_eq!(draw(&at_once, tile), draw(&live.load(), tile), "zoom {zoom}");
        assert_eq!(at_once.grid_in_tile(tile, 64), live.load().grid_in_tile(tile, 64));
    }
}

/// Over several segments of full size: changes everywhere, a district that doubles, and one that is given up.
#[test]
fn a_large_city_takes_82_bytes_a_cover_and_shares_what_did_not_change() {
    const CITY: u32 = 150_000;
    let named = |number: u32| CoverId(Uuid::from_u128(u128::from(number)));
    let place = |number: u32| SnapshotRow {
        cover: named(number),
        lon: 118.0 + f64::from(number) * 1e-5,
        lat: 37.4,
        ..row(number % 1000)
    };
    let at_once = Snapshot::build((0..CITY).map(place), 1);
    let bytes = at_once.heap_bytes();
    assert!((81 * CITY as usize..82 * CITY as usize).contains(&bytes), "{bytes}");

    let live = LiveSnapshot::new(at_once);
    let before = live.load();
    let arrivals = |number: u32| SnapshotRow { cover: named(CITY + number), ..place(number) };
    assert!(live.apply((0..40_000).map(|number| Change::Put(arrivals(number))), 2));
    let beside = live.load().bytes_beside(&before);
    assert!(beside < 100 * 120_000, "the far end of the city is not copied: {beside}");
    assert!(live.apply(
        (0..CITY).step_by(29).map(|number| Change::Put(SnapshotRow { lat: 37.5, ..place(number) })),
        3
    ));
    assert!(live.apply((100_000..CITY).map(|number| Change::Remove(place(number).cover)), 4));

    let wanted = (0..100_000)
        .map(|number| SnapshotRow { lat: if number % 29 == 0 { 37.5 } else { 37.4 }, ..place(number) });
    let wanted = Snapshot::build(wanted.chain((0..40_000).map(arrivals)), 4);
    let now = live.load();
    assert!(now.rows().eq(wanted.rows()));
    assert!(now.in_id_order(None).eq(wanted.in_id_order(None)));
    assert!((0..CITY).all(|number| now.find(place(number).cover).is_some() == (number < 100_000)));
    assert_eq!(now.tally(), wanted.tally());
}

#[test]
fn a_low_zoom_counts_what_the_high_zooms_draw() {
    let snapshot = Snapshot::build((0..2000).map(row), 1);
    let tile = TileId::at(118.55, 37.45, 8);
    let cells = snapshot.grid_in_tile(tile, 64);
    let bytes = encode_counts(
        64,
        cells.iter().map(|cell| CellCount { column: cell.column, row: cell.row, count: cell.count as u64 }),
    );
    let counted: usize =
        decode(&bytes).iter().map(|feature| feature.tags["count"].parse::<usize>().unwrap()).sum();
    assert_eq!(counted, snapshot.count_in_tile(tile));
}

/// What a map program reads from a tile.
struct Feature {
    x: u32,
    y: u32,
    tags: BTreeMap<String, String>,
}

/// A reader of vector tiles written from the specification, sharing nothing with the writer.
fn decode(tile: &[u8]) -> Vec<Feature> {
    let mut features = Vec::new();
    for (field, layer) in fields(tile) {
        assert_eq!(field, 3);
        let (mut keys, mut values, mut raw) = (Vec::new(), Vec::new(), Vec::new());
        for (field, part) in fields(layer.bytes()) {
            match field {
                1 => assert_eq!(part.bytes(), b"covers"),
                2 => raw.push(part.bytes().to_vec()),
                3 => keys.push(String::from_utf8(part.bytes().to_vec()).unwrap()),
                4 => values.push(match fields(part.bytes()).remove(0) {
                    (1, text) => String::from_utf8(text.bytes().to_vec()).unwrap(),
                    (_, Part::Number(number)) => number.to_string(),
                    other => panic!("{other:?}"),
                }),
                5 => assert_eq!(part, Part::Number(u64::from(EXTENT))),
                15 => assert_eq!(part, Part::Number(2)),
                other => panic!("field {other} of a layer"),
            }
        }
        for feature in raw {
            let mut decoded = Feature { x: 0, y: 0, tags: BTreeMap::new() };
            for (field, part) in fields(&feature) {
                match field {
                    2 => {
                        for pair in numbers(part.bytes()).chunks(2) {
                            decoded
                                .tags
                                .insert(keys[pair[0] as usize].clone(), values[pair[1] as usize].clone());
                        }
                    }
                    3 => assert_eq!(part, Part::Number(1)),
                    4 => {
                        let geometry = numbers(part.bytes());
                        assert_eq!((geometry.len(), geometry[0]), (3, 9));
                        (decoded.x, decoded.y) = ((geometry[1] / 2) as u32, (geometry[2] / 2) as u32);
                    }
                    other => panic!("field {other} of a feature"),
                }
            }
            features.push(decoded);
        }
    }
    features
}

#[derive(Debug, PartialEq)]
enum Part<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Part<'a> {
    fn bytes(&self) -> &'a [u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Number(number) => panic!("{number} where bytes were due"),
        }
    }
}

fn fields(mut message: &[u8]) -> Vec<(u64, Part<'_>)> {
    let mut found = Vec::new();
    while !message.is_empty() {
        let key = number(&mut message);
        let value = number(&mut message);
        let part = match key & 7 {
            0 => Part::Number(value),
            2 => {
                let (bytes, rest) = message.split_at(value as usize);
                message = rest;
                Part::Bytes(bytes)
            }
            other => panic!("wire type {other}"),
        };
        found.push((key >> 3, part));
    }
    found
}

fn numbers(mut packed: &[u8]) -> Vec<u64> {
    std::iter::from_fn(|| (!packed.is_empty()).then(|| number(&mut packed))).collect()
}

fn number(message: &mut &[u8]) -> u64 {
    let length = message.iter().take_while(|byte| **byte >= 0x80).count() + 1;
    let (bytes, rest) = message.split_at(length);
    *message = rest;
    bytes.iter().rev().fold(0, |value, byte| value << 7 | u64::from(byte & 0x7F))
}
