//! What the targets of the fuzzer do with their bytes. `make test` does the same with the seeds and
//! with everything that was ever found, so that it stays mended.

use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use lidmark::cql2::{Field, Filter, Kind, NoDictionary, Row, Schema, Value};
use lidmark::crs::CrsBook;
use lidmark::domain::area::AreaKind;
use lidmark::domain::code::{Scheme, built_in_schemes};
use lidmark::domain::cover::{CoverClass, CoverState};
use lidmark::domain::ids::CoverId;
use lidmark::domain::quality::Rules;
use lidmark::import::{
    AreaColumns, AreaOrder, Format, Profile, Rows, Source, Told, WantedCrs, find_built_in, look, read_areas,
    read_file, read_way,
};
use lidmark::layers::{CoverReader, CoverSearch};
use lidmark::questions::{MOST_BUFFER_M, MOST_POINTS, MOST_ROUTE_M, Route};
use lidmark::spatial::{AreaIndex, Attributes, Flags, Snapshot, SnapshotRow};
use uuid::Uuid;
use zip::write::SimpleFileOptions;

/// Before the name of each part in the input of [`read_parts`]; its bytes begin on the next line.
const PART: &[u8] = b"@@part ";
/// What a text of a row may come to, in bytes: no reader hands on more.
const LONGEST_VALUE: usize = 64 << 10;

static SCHEMES: LazyLock<Vec<Scheme>> = LazyLock::new(built_in_schemes);
static PROFILE: LazyLock<Arc<Profile>> =
    LazyLock::new(|| Arc::new(find_built_in("census-zh").expect("it comes with the program")));

/// A folder of this process, in memory where there is such a place.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    let above = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let folder = above.join(format!("lidmark-fuzz-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder for the files");
    folder
});

/// Looks at a file of these bytes and reads it to its end, as the import does; answers how many rows
/// were candidates.
pub fn read(format: Format, file_name: &str, bytes: &[u8]) -> u64 {
    let path = FOLDER.join(file_name);
    fs::write(&path, bytes).expect("a file of the input");
    // Weighing the numbers against every system there is takes longer than all the rest.
    let wanted = if bytes.len().is_multiple_of(16) { WantedCrs::Auto } else { WantedCrs::Unsaid };
    read_at(format, file_name, &path, &wanted)
}

/// The same for an archive of parts: [`PART`], a name, a line break and bytes, again and again.
pub fn read_parts(format: Format, file_name: &str, bytes: &[u8]) -> u64 {
    read(format, file_name, &archive_of(bytes))
}

fn read_at(format: Format, file_name: &str, path: &Path, wanted: &WantedCrs) -> u64 {
    // What the name and the first bytes say must never matter for whether it ends well.
    let _ = Format::of_file(path, file_name);
    let mut told = Told::default();
    // Of several layers the first is chosen, as a person would after the refusal.
    for _ in 0..2 {
        let source = Source { format, file_name, scheme: None, told: &told };
        let look = look(&PROFILE, &SCHEMES, &source, path, wanted);
        let profile = look.map_or_else(|_| PROFILE.clone(), |look| look.profile);
        match read_file(&profile, &SCHEMES, &source, path) {
            Ok(rows) => return read_to_end(rows),
            Err(refusal) if refusal.code == "layer.several" && told.layer.is_none() => {
                let names = refusal.params.iter().find(|(name, _)| *name == "fits");
                told.layer = names.and_then(|(_, names)| names.split(", ").next()).map(str::to_owned);
            }
            Err(_) => return 0,
        }
    }
    0
}

fn read_to_end(mut rows: Rows<'_, '_>) -> u64 {
    let (mut read, mut told) = (0_u64, 0_u64);
    for row in rows.by_ref() {
        match row {
            Ok(candidate) => {
                let survey = &candidate.survey;
                let degrees = (survey.position.lon, survey.position.lat);
                assert!(
                    degrees.0.abs() <= 180.0 && degrees.1.abs() <= 90.0,
                    "a place off the earth: {degrees:?}"
                );
                assert!(
                    survey.extra.values().all(|value| value.len() <= LONGEST_VALUE),
                    "a text without end"
                );
                read += 1;
            }
            Err(problem) => {
                assert!(!problem.refusal.code.is_empty());
                told += 1;
            }
        }
    }
    assert!(rows.rows_read() >= read && rows.rows_read() <= read + told, "every row is counted once");
    assert!(rows.next().is_none(), "the end is the end");
    let _ = rows.findings();
    read
}

fn archive_of(bytes: &[u8]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for part in parts_of(bytes) {
        let end = part.iter().position(|byte| *byte == b'\n').unwrap_or(part.len());
        let name = String::from_utf8_lossy(&part[..end]);
        // A name that stands twice is for the target of the archives.
        if archive.start_file(name.trim(), stored).is_ok() {
            archive.write_all(part.get(end + 1..).unwrap_or_default()).expect("memory");
        }
    }
    archive.finish().expect("memory").into_inner()
}

fn parts_of(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let next = |bytes: &[u8]| bytes.windows(PART.len()).position(|window| window == PART);
    while let Some(at) = next(bytes) {
        bytes = &bytes[at + PART.len()..];
        parts.push(&bytes[..next(bytes).unwrap_or(bytes.len())]);
    }
    parts
}

/// Reads a `.prj` or a name, and goes there and back with what was understood.
pub fn understand_system(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let book = CrsBook::built_in();
    let _ = book.with(&text);
    for system in [book.of_prj(&text), book.named(&text)].into_iter().flatten() {
        let [west, south, east, north] = system.area();
        for (lon, lat) in [(west, south), (east, north), ((west + east) / 2.0, (south + north) / 2.0)] {
            if let Some((x, y)) = system.to_grid(lon, lat) {
                let _ = system.to_degrees(x, y);
            }
        }
        for (x, y) in [(0.0, 0.0), (f64::MAX, f64::MIN), (f64::NAN, f64::INFINITY), (500_000.0, 4_000_000.0)]
        {
            let _ = system.to_degrees(x, y);
        }
        let _ = (system.to_string(), system.name().len(), system.code());
    }
}

/// Reads a profile and, if it is one, a small table with it.
pub fn use_profile(bytes: &[u8]) {
    const TABLE: &str = "井盖编号,井盖类别,材质,经度,纬度,普查日期,井深(m)\n\
                         3705020102000017,污水井盖,铸铁,118.59,37.46,2023-05-05,1.2\n,,,,,,\n1,2,3,4,5,6,7\n";
    let Ok(profile) = Profile::from_toml(&String::from_utf8_lossy(bytes)) else { return };
    let path = FOLDER.join("table.csv");
    fs::write(&path, TABLE).expect("a file of the input");
    let source = Source { format: Format::Csv, file_name: "table.csv", scheme: None, told: &Told::default() };
    if let Ok(rows) = read_file(&profile, &SCHEMES, &source, &path) {
        read_to_end(rows);
    }
}

/// Reads outlines in any of their formats and asks them where a few places lie.
pub fn read_outlines(bytes: &[u8]) {
    let order = AreaOrder {
        kind: AreaKind::District,
        columns: AreaColumns {
            code: None,
            name: None,
            name_en: None,
            code_prefix: String::new(),
            code_length: 0,
        },
        told: Told::default(),
        crs: None,
        book: CrsBook::built_in(),
    };
    // The file speaks for itself: by its magic bytes, or as parts for an archive.
    let archive = bytes.starts_with(PART).then(|| archive_of(bytes));
    let path = FOLDER.join("areas");
    fs::write(&path, archive.as_deref().unwrap_or(bytes)).expect("a file of the input");
    let Ok(look) = read_areas(&path, "areas", &order) else { return };
    let shapes = look.areas.iter().map(|area| (area.code.as_str(), &area.shape));
    let mut locator = AreaIndex::new(shapes).into_locator();
    for area in &look.areas {
        let [west, south, east, north] = area.shape.bounds();
        for (lon, lat) in [(west, south), ((west + east) / 2.0, (south + north) / 2.0)] {
            let found = locator.find(lon, lat).map(str::to_owned);
            assert_eq!(found.as_deref(), locator.index().find(lon, lat), "one place, one area");
            let _ = locator.index().is_within_m(&area.code, lon, lat, 30.0);
        }
    }
}

/// A row of which every field is known, in the order of the schema of [`filter`].
struct Known;

impl Row for Known {
    fn value(&self, field: usize) -> Value<'_> {
        match field {
            0 => Value::Point(118.5, 37.4),
            1 => Value::Text("sewage".into()),
            2 => Value::Number(2.5),
            3 => Value::Boolean(true),
            4 => Value::Date(20_513),
            5 => Value::Timestamp(1_774_974_600_000),
            _ => Value::TextList(vec!["a".to_owned(), "b".to_owned()].into()),
        }
    }
}

/// Reads a filter in either encoding, writes it, reads it again and asks it about a row, plainly and prepared.
/// Answers whether it was one.
pub fn filter(bytes: &[u8]) -> bool {
    let field = |name: &str, kind| Field { name: name.to_owned(), kind };
    let schema = Schema::new(vec![
        field("place", Kind::Point),
        field("class", Kind::Text),
        field("depth", Kind::Number),
        field("has_plate", Kind::Boolean),
        field("installed", Kind::Date),
        field("checked", Kind::Timestamp),
        field("marks", Kind::TextList),
    ]);
    let text = String::from_utf8_lossy(bytes);
    let read = [Filter::from_text(&text, &schema, None), Filter::from_json(&text, &schema, None)];
    let mut found = false;
    for filter in read.into_iter().flatten() {
        found = true;
        assert_eq!(Filter::from_text(&filter.to_text(), &schema, None).as_ref(), Ok(&filter));
        assert_eq!(Filter::from_json(&filter.to_json().to_string(), &schema, None).as_ref(), Ok(&filter));
        let plain = filter.test(&Known) == Some(true);
        assert_eq!(filter.prepare(&NoDictionary).matches(&Known), plain);
        if let (true, Some([west, south, east, north])) = (plain, filter.bounds()) {
            assert!((west..=east).contains(&118.5) && (south..=north).contains(&37.4));
        }
    }
    found
}

/// Reads a way out of a file and asks what lies beside it, with a cover on each of its first points. Answers whether it was one.
pub fn walk_route(bytes: &[u8]) -> bool {
    let Ok(way) = read_way(bytes, MOST_POINTS) else { return false };
    let Ok(route) = Route::new(&way) else { return false };
    let length_m = route.length_m();
    assert!(length_m > 0.0 && length_m <= MOST_ROUTE_M && route.parts() >= 1);
    let places = way.iter().flatten().take(8).zip(1u128..);
    let covers = places.map(|([lon, lat], number)| SnapshotRow {
        cover: CoverId(Uuid::from_u128(number)),
        lon: *lon,
        lat: *lat,
        class: CoverClass::Sewage,
        state: CoverState::Intact,
        flags: Flags::default(),
        attributes: Attributes::default(),
    });
    let map = Snapshot::build(covers.collect::<Vec<_>>(), 1);
    let reader = CoverReader::new(&map, Rules::built_in(), true);
    let search = CoverSearch::new(&map, &reader, None, None).expect("nothing is asked of them");
    for buffer_m in [1.0, MOST_BUFFER_M] {
        let Ok(passed) = route.passes(&search, buffer_m) else { continue };
        assert!(passed.is_sorted_by(|one, next| one.along_m <= next.along_m));
        let beside = passed
            .iter()
            .all(|one| one.offset_m <= buffer_m && (0.0..=length_m * 1.001).contains(&one.along_m));
        assert!(beside && passed.len() <= map.len());
    }
    true
}
