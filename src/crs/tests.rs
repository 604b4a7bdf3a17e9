//! Systems there and back, against golden values and against themselves. `cs2cs` itself is asked by
//! `tests/it/crs.rs`.

use proptest::prelude::*;

use super::*;
use crate::domain::position::distance_m;

/// Longitude, latitude, easting, northing, computed with `cs2cs -f %.6f` of PROJ 9.1.1 from degrees of the system's own datum.
const GOLDEN: &[(u32, [f64; 4])] = &[
    (4527, [118.59, 37.46, 39_640_676.164_767, 4_148_750.030_205]),
    (4528, [118.59, 37.46, 40_375_250.337_217, 4_148_496.376_491]),
    (4548, [118.59, 37.46, 640_676.164_767, 4_148_750.030_205]),
    (4549, [118.59, 37.46, 375_250.337_217, 4_148_496.376_491]),
    (4498, [118.59, 37.46, 20_640_676.164_767, 4_148_750.030_205]),
    (4509, [118.59, 37.46, 640_676.164_767, 4_148_750.030_205]),
    (4527, [118.26, 37.49, 39_611_433.267_309, 4_151_638.070_701]),
    (4513, [75.99, 39.47, 25_585_190.703_419, 4_371_151.249_466]),
    (4533, [134.3, 48.36, 45_448_126.866_942, 5_358_694.188_593]),
    (4551, [126.6, 45.7, 546_728.504_981, 5_062_916.521_609]),
    (4491, [75.99, 39.47, 13_585_190.703_419, 4_371_151.249_466]),
    (4512, [134.3, 48.36, 448_126.866_942, 5_358_694.188_593]),
    (3857, [118.59, 37.46, 13_201_378.413_174, 4_503_420.289_516]),
    (32650, [118.59, 37.46, 640_619.894_300, 4_147_090.530_303]),
    (32719, [-70.65, -33.45, 346_642.694_999, 6_297_606.832_481]),
    (26919, [-71.1, 42.37, 327_090.514_726, 4_692_994.191_506]),
    (26986, [-71.1, 42.37, 232_946.484_496, 902_243.595_399]),
    (2249, [-71.1, 42.37, 764_258.591_549, 2_960_110.862_573]),
    (32145, [-72.58, 44.26, 493_611.819_402, 195_532.391_666]),
    (5646, [-72.58, 44.26, 1_619_458.110_856, 641_509.188_325]),
];

#[test]
fn known_points_stand_where_proj_puts_them() {
    let book = CrsBook::built_in();
    for (code, [lon, lat, east, north]) in GOLDEN {
        let crs = book.find(*code).unwrap();
        let (to_east, to_north) = crs.to_grid(*lon, *lat).unwrap();
        let meters = crs.unit().to_meter().unwrap();
        assert!(
            (to_east - east).abs() * meters < 1e-6 && (to_north - north).abs() * meters < 1e-6,
            "EPSG:{code} {to_east} {to_north}"
        );
        let (to_lon, to_lat) = crs.to_degrees(*east, *north).unwrap();
        assert!(
            (to_lon - lon).abs() < 1e-11 && (to_lat - lat).abs() < 1e-11,
            "EPSG:{code} {to_lon} {to_lat}"
        );
    }
}

#[test]
fn a_meridian_of_ones_own_is_a_grid_with_a_code() {
    let crs = Crs::gauss_krueger(GaussKrueger::on(118.5)).unwrap();
    assert_eq!(crs.to_string(), "CM:118.5 CGCS2000 / Gauss-Kruger CM 118.5");
    let (east, north) = crs.to_grid(118.59, 37.46).unwrap();
    assert!((east - 507_962.534).abs() < 1e-3 && (north - 4_147_566.480).abs() < 1e-3);

    let own = GaussKrueger { false_northing_m: -4e6, scale: 1.0001, ..GaussKrueger::on(118.5) };
    let crs = Crs::gauss_krueger(own).unwrap();
    assert_eq!(crs.code(), None);
    let (east, north) = crs.to_grid(118.59, 37.46).unwrap();
    assert!((north - (4_147_566.480 * 1.0001 - 4e6)).abs() < 1e-3, "{north}");
    assert!((east - (500_000.0 + 7_962.534 * 1.0001)).abs() < 1e-3, "{east}");
    for wrong in [
        GaussKrueger::on(200.0),
        GaussKrueger::on(f64::NAN),
        GaussKrueger { scale: 0.0, ..own },
        GaussKrueger { false_easting_m: f64::INFINITY, ..own },
    ] {
        assert_eq!(Crs::gauss_krueger(wrong).unwrap_err().code, "crs.meridian");
    }
}

#[test]
fn a_datum_is_part_of_what_a_system_says_of_itself() {
    let book = CrsBook::built_in();
    let said = |code: u32| {
        let crs = book.find(code).unwrap();
        (crs.datum().name.clone(), crs.datum().within_m)
    };
    assert_eq!(said(4527), ("CGCS2000".into(), 0.0));
    assert_eq!(said(32650), ("WGS 84".into(), 1.0));
    assert_eq!(said(26986), ("NAD83".into(), 2.0));
    assert_eq!(said(4269), ("NAD83".into(), 2.0));
    assert_eq!(book.find(2249).unwrap().to_string(), "EPSG:2249 NAD83 / Massachusetts Mainland (ftUS)");
}

#[test]
fn the_same_grid_in_feet_is_the_one_with_a_code_of_its_own() {
    let book = CrsBook::built_in();
    for (meters, feet) in [(26986, 2249), (32145, 5646)] {
        let crs = book.find(meters).unwrap().in_unit(Unit::UsSurveyFoot).unwrap();
        let named = book.like(crs.definition().unwrap(), crs.datum()).unwrap();
        assert_eq!(named.code(), Some(feet));
    }
    assert!(book.find(4490).unwrap().in_unit(Unit::Foot).is_none());
}

/// Every code that comes with the program and has an easting.
fn projected() -> Vec<Crs> {
    CrsBook::built_in().grids().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_system_brings_a_point_of_its_area_there_and_back(across in 0.0..1.0f64, up in 0.0..1.0f64) {
        for crs in projected() {
            let [west, south, east, north] = crs.area();
            let (lon, lat) = (west + (east - west) * across, south + (north - south) * up);
            let (x, y) = crs.to_grid(lon, lat).unwrap();
            let (to_lon, to_lat) = crs.to_degrees(x, y).unwrap();
            let apart = distance_m((lon, lat), (to_lon, to_lat));
            prop_assert!(apart < 1e-4, "{crs}: {lon} {lat} came back {apart} m off");
        }
    }

    #[test]
    fn no_numbers_are_a_panic(x in prop::num::f64::ANY, y in prop::num::f64::ANY) {
        let book = CrsBook::built_in();
        for code in [4490, 4527, 3857, 32650, 2249, 32145, 900_001, 900_002] {
            let crs = book.find(code).unwrap();
            let _ = crs.to_degrees(x, y);
            let _ = crs.to_grid(x, y);
            let _ = Reading::new(crs).place(x, y);
        }
    }
}
