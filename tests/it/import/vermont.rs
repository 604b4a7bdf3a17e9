use std::collections::BTreeMap;

use lidmark::demo::{vermont, vermont_districts, vermont_files};
use lidmark::domain::code::built_in_schemes;
use lidmark::domain::cover::{Candidate, CoverClass, CoverState};
use lidmark::import::{Format, Problem, Source, Told, find_built_in, read_rows};

/// Candidates and problems of one file, read as a stream.
fn read(file: vermont::VermontFile) -> (Vec<Candidate>, Vec<Problem>, u64) {
    let profile = find_built_in("vermont-manholes").unwrap();
    let schemes = built_in_schemes();
    let source =
        Source { format: Format::GeoJson, file_name: file.file_name, scheme: None, told: &Told::default() };
    let mut rows = read_rows(&profile, &schemes, &source, file.reader()).unwrap();
    let (mut candidates, mut problems) = (Vec::new(), Vec::new());
    for row in rows.by_ref() {
        match row {
            Ok(candidate) => candidates.push(candidate),
            Err(problem) => problems.push(problem),
        }
    }
    (candidates, problems, rows.rows_read())
}

#[test]
fn every_point_of_vermont_is_accounted_for() {
    let list = include_str!("../../../assets/demo/vermont-manholes/FILES.csv");
    let expected: BTreeMap<&str, usize> = list
        .lines()
        .skip(1)
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            (cells[0], cells[3].parse().unwrap())
        })
        .collect();
    let (mut candidates, mut problems) = (0, 0);
    let mut classes: BTreeMap<CoverClass, u32> = BTreeMap::new();
    let mut states: BTreeMap<CoverState, u32> = BTreeMap::new();
    let mut refused: BTreeMap<(&'static str, String), u32> = BTreeMap::new();
    for file in vermont_files() {
        let (good, bad, counted) = read(file);
        assert_eq!(good.len() + bad.len(), expected[file.file_name], "{}", file.file_name);
        assert_eq!(counted as usize, expected[file.file_name], "{}", file.file_name);
        let mut lines: Vec<u64> =
            good.iter().map(|row| row.line).chain(bad.iter().map(|row| row.line)).collect();
        lines.sort_unstable();
        assert!(lines.into_iter().eq(1..=counted), "each feature once, in {}", file.file_name);
        for row in &good {
            assert_eq!(row.survey.district, file.district);
            *classes.entry(row.survey.class).or_default() += 1;
            *states.entry(row.survey.state).or_default() += 1;
        }
        for row in &bad {
            *refused.entry((row.refusal.code, row.read.clone())).or_default() += 1;
        }
        candidates += good.len();
        problems += bad.len();
    }
    assert_eq!(candidates + problems, 17_091);
    let counts: Vec<(CoverClass, u32)> = classes.into_iter().collect();
    assert_eq!(
        counts,
        [
            (CoverClass::Sewage, 15_121),
            (CoverClass::Storm, 14),
            (CoverClass::StormGrate, 1_552),
            (CoverClass::Combined, 193),
            (CoverClass::Unidentified, 167),
        ]
    );
    assert_eq!(
        states.into_iter().collect::<Vec<_>>(),
        [(CoverState::Intact, 16_951), (CoverState::Abandoned, 73), (CoverState::Planned, 23)]
    );
    // Ends of pipes and a remark on a map: nothing that a plate could go on.
    assert!(refused.keys().all(|(code, _)| *code == "class.not_a_cover"));
    let refused: Vec<(&str, u32)> =
        refused.iter().map(|((_, read), count)| (read.as_str(), *count)).collect();
    assert_eq!(
        refused,
        [("27", 1), ("Combined sewer outfall", 35), ("Information point", 1), ("Known CSO Outfalls", 7),]
    );
    assert_eq!((candidates, problems), (17_047, 44));
}

#[test]
fn no_name_of_a_person_gets_past_the_profile() {
    for file in vermont_files() {
        for candidate in read(file).0 {
            for (column, text) in &candidate.survey.extra {
                assert!(!column.eq_ignore_ascii_case("creator"), "{}", file.file_name);
                for name in ["AINLEY", "PEASE", "DAVIDA", "JIMP", "Bond", "VTANR"] {
                    assert!(!text.contains(name), "{} {column}: {text}", file.file_name);
                }
            }
        }
    }
}

#[test]
fn what_the_profile_translates_is_also_kept_as_read() {
    let stowe = vermont_files().find(|file| file.town == "Stowe").unwrap();
    let (candidates, ..) = read(stowe);
    let first = &candidates[0];
    assert_eq!(first.survey.class, CoverClass::Sewage);
    assert_eq!(first.survey.state, CoverState::Planned);
    assert_eq!(first.survey.owner.as_deref(), Some("Stowe Public Works (demo)"));
    assert_eq!(first.survey.position.surveyed_at.unwrap().to_rfc3339(), "2017-03-06T00:00:00Z");
    assert_eq!((first.survey.position.lon, first.survey.position.raw.epsg), (-72.69546197499994, 4326));
    let extra: Vec<(&str, &str)> =
        first.survey.extra.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    assert_eq!(
        extra,
        [
            ("object_id", "1"),
            ("object_id_state", "138250"),
            ("source", "Act 250 Permit Plans"),
            ("system", "Wastewater"),
            ("type", "Sewer manhole"),
        ]
    );
}

#[test]
fn towns_districts_and_parties_belong_together() {
    let districts = vermont_districts();
    assert_eq!(districts.len(), 16);
    assert_eq!((districts[0].code.as_str(), districts[0].name_zh.as_str()), ("001", "巴里"));
    let parties: Vec<String> = vermont::parties().into_iter().map(|party| party.name).collect();
    for file in vermont_files() {
        let (candidates, ..) = read(file);
        assert!(parties.contains(candidates[0].survey.owner.as_ref().unwrap()), "{}", file.file_name);
    }
}
