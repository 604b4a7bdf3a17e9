//! Samples made from known places, read back without being told how.

use proptest::prelude::*;

use super::*;

const DONGYING: Area = [118.0, 36.9, 119.3, 38.2];
const CAMBRIDGE: Area = [-71.17, 42.34, -71.06, 42.41];

/// A street grid of 121 points around a place.
fn street(lon: f64, lat: f64) -> Vec<(f64, f64)> {
    (0..121).map(|at| (lon + f64::from(at % 11) * 1e-3, lat + f64::from(at / 11) * 1e-3)).collect()
}

fn written(code: u32, axes: Axes, places: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let crs = CrsBook::built_in().find(code).unwrap();
    let in_order = |(lon, lat): &(f64, f64)| {
        let (east, north) = crs.to_grid(*lon, *lat).unwrap();
        axes.sort(east, north)
    };
    places.iter().map(in_order).collect()
}

fn look(points: &[(f64, f64)], declared: Option<u32>, region: Option<Area>) -> Detection {
    let book = CrsBook::built_in();
    let declared = declared.map(|code| book.find(code).unwrap());
    detect(points, declared.as_ref(), region, &book)
}

fn codes(detection: &Detection) -> Vec<u32> {
    detection.plausible.iter().filter_map(|plausible| plausible.reading.crs.code()).collect()
}

/// The reading that was decided on.
fn decided(detection: &Detection) -> (u32, Axes, Vec<&'static str>) {
    let plausible = detection.decided().unwrap_or_else(|refusal| panic!("{refusal}"));
    let evidence = plausible.evidence.iter().map(Evidence::code).collect();
    (plausible.reading.crs.code().unwrap(), plausible.reading.axes, evidence)
}

#[test]
fn an_easting_with_its_zone_is_decided_by_itself() {
    let places = street(118.59, 37.46);
    for code in [4527, 4528, 4498] {
        for axes in Axes::ALL {
            let detection = look(&written(code, axes, &places), None, None);
            let (found, order, evidence) = decided(&detection);
            assert_eq!((found, order), (code, axes));
            assert!(evidence.contains(&"easting_zone_prefix"), "{evidence:?}");
            assert_eq!(evidence.contains(&"axes_swapped"), axes == Axes::NorthEast);
            assert!(!evidence.contains(&"datum_within"));
        }
    }
    let detection = look(&written(4527, Axes::NorthEast, &places), None, None);
    let zone = Evidence::EastingZonePrefix { digits: 8, zone: 39 };
    assert!(detection.decided().unwrap().evidence.contains(&zone));
}

#[test]
fn an_easting_without_its_zone_is_asked_about() {
    let points = written(4548, Axes::NorthEast, &street(118.59, 37.46));
    // UTM lies 1.6 km away, inside the same region: nobody but the surveyor can know.
    let detection = look(&points, None, Some(DONGYING));
    assert_eq!(codes(&detection), [4548, 32650]);
    let refusal = detection.decided().unwrap_err();
    assert_eq!(refusal.code, "crs.ask");
    for says in ["EPSG:4548", "EPSG:32650", "118.590000, 37.460000"] {
        assert!(refusal.to_string().contains(says), "{refusal}");
    }
    // The 6-degree grid on the same meridian gives the same numbers and is no second reading.
    let same = Evidence::SameNumbers { as_code: 4509, within_m: 0.0 };
    assert!(detection.plausible[0].evidence.contains(&same), "{:?}", detection.plausible[0].evidence);
    assert!(detection.plausible[0].evidence.contains(&Evidence::EastingWithoutZone { digits: 6 }));
    // Without a region every zone is possible.
    let anywhere = look(&points, None, None);
    assert!(codes(&anywhere).len() > 20);
    assert_eq!(anywhere.decided().unwrap_err().code, "crs.ask_zone");
}

#[test]
fn a_declared_system_is_taken_and_its_order_found() {
    let places = street(118.59, 37.46);
    for (code, axes) in [
        (4548, Axes::NorthEast),
        (4548, Axes::EastNorth),
        (4527, Axes::NorthEast),
        (4490, Axes::NorthEast),
        (900_001, Axes::EastNorth),
        (10_426_600, Axes::NorthEast),
    ] {
        let detection = look(&written(code, axes, &places), Some(code), None);
        let (found, order, evidence) = decided(&detection);
        assert_eq!((found, order), (code, axes));
        assert_eq!(evidence[0], "declared");
    }
}

#[test]
fn a_declared_system_that_fits_nothing_stops_with_what_would_fit() {
    let points = written(4528, Axes::EastNorth, &street(118.59, 37.46));
    let refusal = look(&points, Some(4527), None).decided().unwrap_err();
    assert_eq!(refusal.code, "crs.declared_fits_not_but");
    assert!(refusal.to_string().contains("EPSG:4528"), "{refusal}");
    // The zone was left off: the grid on the same meridian is named first, whatever else fits.
    let points = written(4548, Axes::EastNorth, &street(118.59, 37.46));
    assert_eq!(codes(&look(&points, Some(4527), None))[..2], [4548, 32650]);
    let refusal = look(&[(1.0, 1e9)], Some(4527), None).decided().unwrap_err();
    assert_eq!(refusal.code, "crs.declared_fits_not");
}

#[test]
fn degrees_are_told_apart_by_latitude_and_by_region() {
    for (lon, lat, region) in
        [(118.59, 37.46, None), (-72.58, 44.26, None), (10.0, 50.0, Some([9.0, 49.0, 11.0, 51.0]))]
    {
        for axes in Axes::ALL {
            let (code, order, evidence) = {
                let detection = look(&written(4326, axes, &street(lon, lat)), None, region);
                let (code, order, evidence) = decided(&detection);
                (code, order, evidence.join(" "))
            };
            assert_eq!((code, order), (4490, axes), "{lon} {lat}");
            assert!(
                evidence.contains("size_of_degrees degrees") || evidence.contains("degrees_say_no_datum")
            );
            assert_eq!(evidence.contains("shift_not_seen"), lon > 100.0, "{evidence}");
        }
    }
    // In Europe either order is a place where people live.
    let detection = look(&street(10.0, 50.0), None, None);
    assert_eq!(detection.plausible.len(), 2);
    assert_eq!(detection.decided().unwrap_err().code, "crs.ask");
}

#[test]
fn feet_are_seen_where_meters_fall_elsewhere() {
    let points = written(2249, Axes::EastNorth, &street(-71.12, 42.36));
    let (code, _, evidence) = {
        let detection = look(&points, None, Some(CAMBRIDGE));
        let (code, order, evidence) = decided(&detection);
        (code, order, evidence.join(" "))
    };
    assert_eq!(code, 2249);
    assert!(evidence.contains("feet_not_meters") && evidence.contains("datum_within"), "{evidence}");
    // Declared in meters, it is not turned into feet without a word.
    let refusal = look(&points, Some(26986), Some(CAMBRIDGE)).decided().unwrap_err();
    assert_eq!(refusal.code, "crs.declared_fits_not_but");
    assert!(refusal.to_string().contains("EPSG:2249"), "{refusal}");
    let (code, ..) =
        decided(&look(&written(26986, Axes::NorthEast, &street(-71.12, 42.36)), None, Some(CAMBRIDGE)));
    assert_eq!(code, 26986);
}

#[test]
fn a_meridian_of_ones_own_is_proposed_and_never_decided() {
    let points = written(10_426_600, Axes::EastNorth, &street(118.59, 37.46));
    let tight = [118.55, 37.44, 118.64, 37.5];
    let detection = look(&points, None, Some(tight));
    assert_eq!(codes(&detection), [10_426_600]);
    assert_eq!(detection.plausible[0].evidence[0], Evidence::OwnMeridian { degrees: 118.5 });
    assert_eq!(detection.decided().unwrap_err().code, "crs.ask");
}

#[test]
fn two_zones_in_one_file_are_asked_about_and_a_few_bad_rows_are_not() {
    let places = street(118.59, 37.46);
    let mut points = written(4527, Axes::EastNorth, &places[..80]);
    points.extend(written(4528, Axes::EastNorth, &places[80..]));
    let detection = look(&points, None, None);
    assert_eq!(codes(&detection), [4527, 4528]);
    assert_eq!(detection.decided().unwrap_err().code, "crs.ask");

    let mut points = written(4527, Axes::EastNorth, &places);
    points[3] = (0.0, 0.0);
    points[5] = (f64::NAN, 1.0);
    points[7] = (points[7].1, points[7].0);
    points[9] = (1.0, 1.0);
    let detection = look(&points, None, None);
    assert_eq!(detection.points, 119);
    assert_eq!(decided(&detection).0, 4527);
    assert!(detection.decided().unwrap().share < 1.0);
}

#[test]
fn what_fits_nothing_says_so() {
    for points in [vec![(1e9, 1e9)], vec![(-5e7, 12.0), (3.0, -9e8)]] {
        assert_eq!(look(&points, None, None).decided().unwrap_err().code, "crs.nothing_fits");
    }
    for points in [vec![], vec![(0.0, 0.0), (f64::INFINITY, 0.0)]] {
        assert_eq!(look(&points, None, None).decided().unwrap_err().code, "crs.no_points");
        assert_eq!(look(&points, Some(4527), None).decided().unwrap_err().code, "crs.no_points");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_true_reading_is_always_among_those_listed(
        at in 0..5usize, across in 0.2..0.8f64, up in 0.2..0.8f64, turned in any::<bool>(),
    ) {
        let family: [&[u32]; 5] = [&[4527, 4528, 4533, 4513], &[4548, 4549, 4540], &[4498, 4491, 4509], &[32650, 32719, 3857], &[26986, 2249, 32145, 5646]];
        let axes = if turned { Axes::NorthEast } else { Axes::EastNorth };
        for code in family[at] {
            let [west, south, east, north] = CrsBook::built_in().find(*code).unwrap().area();
            let (south, north) = (south.max(CITIES.0), north.min(CITIES.1));
            let (lon, lat) = (west + (east - west) * across, south + (north - south) * up);
            let region = [lon - 0.2, lat - 0.2, lon + 0.2, lat + 0.2];
            let points = written(*code, axes, &street(lon, lat));
            let detection = look(&points, None, Some(region));
            let listed = detection.plausible.iter().any(|plausible| {
                let same = plausible.reading.crs.code() == Some(*code)
                    || plausible.evidence.iter().any(|evidence| matches!(evidence, Evidence::SameNumbers { as_code, .. } if as_code == code));
                same && plausible.reading.axes == axes
            });
            prop_assert!(listed, "{code} {axes:?} at {lon} {lat}: {:?}", codes(&detection));
            // Whoever declares it is understood in either order.
            let detection = look(&points, Some(*code), Some(region));
            prop_assert_eq!(detection.decided().map(|plausible| plausible.reading.axes).ok(), Some(axes));
        }
    }

    #[test]
    fn no_sample_is_a_panic(points in prop::collection::vec((prop::num::f64::ANY, prop::num::f64::ANY), 0..4)) {
        let _ = look(&points, None, None).decided();
        let _ = look(&points, Some(4527), Some(DONGYING)).decided();
    }
}
