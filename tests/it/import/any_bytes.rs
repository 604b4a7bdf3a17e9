use std::io::Read;

use proptest::prelude::*;

use super::{read_as, read_csv, read_geojson};
use lidmark::demo::dongying;
use lidmark::domain::code::built_in_schemes;
use lidmark::import::{Format, Scope, Source, Told, find_built_in, read_rows};

/// Bytes that look like the format more often than noise would.
fn csv_like() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"district,class,lon,lat\n".to_vec()),
        Just(b"370502,gas,118.5,37.4\n".to_vec()),
        Just(b"\"".to_vec()),
        Just(b",".to_vec()),
        Just(b"\r".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\xEF\xBB\xBF".to_vec()),
        Just(b"\xFF".to_vec()),
        prop::collection::vec(any::<u8>(), 0..8),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn json_like() -> impl Strategy<Value = Vec<u8>> {
    let feature = r#"{"type":"Feature","geometry":{"type":"Point","coordinates":[118.5,37.4]},"properties":{"class":"gas"}}"#;
    let piece = prop_oneof![
        Just(br#"{"type":"FeatureCollection","features":["#.to_vec()),
        Just(feature.as_bytes().to_vec()),
        Just(feature.as_bytes().to_vec()),
        Just(b",".to_vec()),
        Just(b"]}".to_vec()),
        Just(b"{".to_vec()),
        Just(b"}".to_vec()),
        Just(b"[".to_vec()),
        Just(b"]".to_vec()),
        Just(b"\"".to_vec()),
        Just(b"\\".to_vec()),
        Just(b"\n".to_vec()),
        prop::collection::vec(any::<u8>(), 0..8),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// Gives a few bytes at a time.
struct Sips<'d>(&'d [u8], usize);

impl Read for Sips<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let count = self.1.min(self.0.len()).min(out.len());
        out[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

fn check_any(format: Format, bytes: &[u8], sip: usize) -> Result<(), TestCaseError> {
    let profile = find_built_in("lidmark-csv").unwrap();
    let (rows, counted) = read_as(&profile, format, "any", bytes);
    let yielded =
        rows.iter().filter(|row| !matches!(row, Err(problem) if problem.scope == Scope::File)).count();
    prop_assert_eq!(yielded as u64, counted);
    prop_assert!(rows.len() <= bytes.len() + 2, "no row out of nothing");

    let schemes = built_in_schemes();
    let source = Source { format, file_name: "any", scheme: None, told: &Told::default() };
    let sipped: Vec<_> = read_rows(&profile, &schemes, &source, Sips(bytes, sip)).unwrap().collect();
    // A problem shows what was at hand of the bad row, which differs with the sips.
    let bare = |rows: &[super::Row]| super::story(rows);
    prop_assert_eq!(bare(&sipped), bare(&rows));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn any_bytes_as_csv_are_read_to_the_end_and_counted(bytes in csv_like(), sip in 1usize..9) {
        check_any(Format::Csv, &bytes, sip)?;
    }

    #[test]
    fn any_bytes_as_geojson_are_read_to_the_end_and_counted(bytes in json_like(), sip in 1usize..9) {
        check_any(Format::GeoJson, &bytes, sip)?;
    }

    #[test]
    fn a_bad_line_costs_no_other_line(
        bad in prop::collection::vec((0usize..20, "[^\"\r\n]{0,12}"), 0..6),
    ) {
        let mut lines: Vec<String> =
            (0..20).map(|at| format!("k{at},370502,gas,118.5{at:02},37.4")).collect();
        let mut spoiled: Vec<usize> = bad.iter().map(|(at, _)| *at).collect();
        spoiled.sort_unstable();
        spoiled.dedup();
        for (at, text) in &bad {
            // One cell too few, whatever stands in it.
            lines[*at] = format!("{},370502,gas,118.5", text.replace(',', ";").replace('\0', ""));
        }
        let rows = read_csv(format!("source_key,district,class,lon,lat\n{}\n", lines.join("\n")));
        prop_assert_eq!(rows.len(), 20);
        for (at, row) in rows.iter().enumerate() {
            prop_assert_eq!(row.is_err(), spoiled.contains(&at));
        }
    }

    #[test]
    fn a_cut_off_file_keeps_every_whole_row_before_the_cut(count in 1usize..12, cut in 0.0f64..1.0) {
        let feature = |at: usize| format!(
            r#"{{"type":"Feature","properties":{{"class":"gas","key":"[{{{at}"}},"geometry":{{"type":"Point","coordinates":[118.5,37.4]}}}}"#
        );
        let features: Vec<String> = (0..count).map(feature).collect();
        let head = r#"{"bbox":[118,37,119,38],"name":"[a] \"features\":[","type":"FeatureCollection","features":["#;
        let text = format!("{head}{}]}}", features.join(","));
        let cut = head.len() + ((text.len() - head.len()) as f64 * cut) as usize;
        let mut whole = 0;
        let mut at = head.len();
        for feature in &features {
            at += feature.len();
            whole += usize::from(at <= cut);
            at += 1;
        }
        let rows = read_geojson(&text[..cut]);
        prop_assert_eq!(rows.iter().filter(|row| row.is_ok()).count(), whole);
        prop_assert!(rows.iter().any(Result::is_err), "a cut file is told");
    }
}

#[test]
fn the_synthetic_city_comes_back_from_its_csv_as_it_was() {
    let mut bytes = Vec::new();
    dongying::write_csv(3_000, &mut bytes).unwrap();
    let rows: Vec<_> = read_csv(&bytes).into_iter().map(|row| row.unwrap()).collect();
    let city: Vec<_> = dongying::covers(3_000, dongying::SEED).collect();
    assert_eq!(rows.len(), city.len());
    for (row, cover) in rows.iter().zip(&city) {
        assert_eq!(row, cover);
    }
}
