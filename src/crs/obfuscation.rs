//! GCJ-02 and BD-09: degrees as Chinese online maps shift them, and back. Only ever taken on a
//! declaration; numbers do not show it. The formulas are public knowledge; the way back is our own
//! iteration. Outside the mainland nothing is shifted.

use std::f64::consts::PI;

/// Krassovsky's ellipsoid, on which the shift in meters becomes degrees.
const A: f64 = 6_378_245.0;
const E2: f64 = 0.006_693_421_622_965_943;

/// WGS 84 (or CGCS2000) longitude and latitude to GCJ-02.
pub fn wgs84_to_gcj02(lon: f64, lat: f64) -> (f64, f64) {
    if !is_mainland(lon, lat) {
        return (lon, lat);
    }
    let (x, y) = (lon - 105.0, lat - 35.0);
    let waves = |of: f64, at: [(f64, f64); 2]| -> f64 {
        at.iter().map(|(height, length)| height * (of * PI / length).sin()).sum::<f64>() * 2.0 / 3.0
    };
    let root = 0.1 * x.abs().sqrt();
    let common = 0.1 * x * y + root + waves(x, [(20.0, 1.0 / 6.0), (20.0, 0.5)]);
    let east = 300.0 + x + 2.0 * y + 0.1 * x * x + common;
    let east = east + waves(x, [(20.0, 1.0), (40.0, 3.0)]) + waves(x, [(150.0, 12.0), (300.0, 30.0)]);
    let north = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + common + root;
    let north = north + waves(y, [(20.0, 1.0), (40.0, 3.0)]) + waves(y, [(160.0, 12.0), (320.0, 30.0)]);
    let (sin, cos) = lat.to_radians().sin_cos();
    let bent = 1.0 - E2 * sin * sin;
    let lon_shift = (east / (A / bent.sqrt() * cos)).to_degrees();
    let lat_shift = (north / (A * (1.0 - E2) / (bent * bent.sqrt()))).to_degrees();
    (lon + lon_shift, lat + lat_shift)
}

/// GCJ-02 back to WGS 84 longitude and latitude, to 1e-10 degrees.
pub fn gcj02_to_wgs84(lon: f64, lat: f64) -> (f64, f64) {
    undo(wgs84_to_gcj02, lon, lat)
}

/// GCJ-02 to BD-09.
pub fn gcj02_to_bd09(lon: f64, lat: f64) -> (f64, f64) {
    if !is_mainland(lon, lat) {
        return (lon, lat);
    }
    let radius = lon.hypot(lat) + 0.000_02 * (lat * PI * 3000.0 / 180.0).sin();
    let angle = lat.atan2(lon) + 0.000_003 * (lon * PI * 3000.0 / 180.0).cos();
    (radius * angle.cos() + 0.0065, radius * angle.sin() + 0.006)
}

/// BD-09 back to GCJ-02, to 1e-10 degrees.
pub fn bd09_to_gcj02(lon: f64, lat: f64) -> (f64, f64) {
    undo(gcj02_to_bd09, lon, lat)
}

/// Finds what `shift` brings to this place. Both shifts move neighbours almost alike, so each step
/// leaves a small part of the error.
fn undo(shift: fn(f64, f64) -> (f64, f64), lon: f64, lat: f64) -> (f64, f64) {
    let (mut from_lon, mut from_lat) = (lon, lat);
    for _ in 0..30 {
        let (to_lon, to_lat) = shift(from_lon, from_lat);
        let (lon_off, lat_off) = (to_lon - lon, to_lat - lat);
        if lon_off.abs().max(lat_off.abs()) < 1e-12 {
            break;
        }
        from_lon -= lon_off;
        from_lat -= lat_off;
    }
    (from_lon, from_lat)
}

/// Whether a place lies on the mainland or off its coast, where maps are shifted. Hong Kong, Macao
/// and Taiwan are not. The outline is a coarse one of our own: within some ten kilometers of the
/// land border, exact to some hundred meters at the Shenzhen river and the gate of Macao.
fn is_mainland(lon: f64, lat: f64) -> bool {
    if !(73.0..=136.0).contains(&lon) || !(17.5..=54.0).contains(&lat) {
        return false;
    }
    let mut inside = false;
    let mut before = OUTLINE[OUTLINE.len() - 1];
    for corner in OUTLINE {
        let ((x1, y1), (x2, y2)) = (before, *corner);
        if (y1 > lat) != (y2 > lat) && lon < (x2 - x1) * (lat - y1) / (y2 - y1) + x1 {
            inside = !inside;
        }
        before = *corner;
    }
    inside
}

/// From the Pamir eastwards along the northern border, down the coast, back along the southern.
#[rustfmt::skip]
const OUTLINE: &[(f64, f64)] = &[
    (73.4, 39.4), (73.8, 40.0), (76.2, 40.5), (78.3, 41.2), (80.2, 42.1), (80.2, 43.1), (80.7, 43.2), (80.3, 44.9),
    (82.5, 45.3), (82.3, 45.6), (83.0, 47.2), (85.5, 47.1), (85.7, 48.4), (87.0, 49.2), (88.0, 49.2), (90.0, 47.9),
    (91.0, 46.6), (91.0, 45.3), (95.3, 44.3), (96.4, 42.8), (101.8, 42.5), (105.0, 41.6), (107.5, 42.4), (110.0, 42.7),
    (111.9, 43.8), (112.0, 45.0), (114.0, 44.9), (119.7, 46.7), (118.0, 47.8), (115.5, 47.7), (116.0, 48.8), (116.7, 49.8), (117.8, 49.52),
    (119.3, 50.2), (119.3, 50.5), (120.1, 51.6), (120.1, 52.6), (120.9, 53.3), (123.6, 53.56), (125.7, 53.1), (127.4, 51.0),
    (127.6, 49.9), (129.5, 49.4), (130.7, 48.9), (131.0, 47.8), (132.6, 47.85), (134.1, 48.4), (134.7, 48.42), (134.8, 47.7), (133.6, 46.3),
    (133.1, 45.1), (131.8, 45.3), (131.05, 44.8), (131.22, 44.4), (131.3, 43.4), (131.2, 42.9), (130.6, 42.4), (130.2, 42.9), (129.7, 42.4),
    (128.0, 42.0), (128.1, 41.4), (126.9, 41.7), (126.0, 40.9), (124.4, 40.1), (124.2, 39.7), (124.0, 38.7), (123.3, 36.5),
    (121.5, 33.5), (123.2, 31.0), (123.3, 29.5), (121.3, 26.9), (120.2, 25.6), (119.5, 24.9), (118.6, 24.1), (117.9, 23.4),
    (116.8, 22.8), (115.5, 22.4), (114.62, 22.35), (114.48, 22.45), (114.40, 22.575), (114.29, 22.56), (114.24, 22.552),
    (114.225, 22.545), (114.17, 22.557), (114.15, 22.547), (114.115, 22.532), (114.07, 22.515), (114.03, 22.507), (113.98, 22.493),
    (113.94, 22.463), (113.87, 22.42), (113.80, 22.30), (113.70, 22.22), (113.60, 22.205), (113.566, 22.213), (113.549, 22.215),
    (113.535, 22.21), (113.531, 22.16), (113.543, 22.13), (113.55, 22.08), (113.62, 21.9), (112.5, 21.4), (110.9, 20.5),
    (111.6, 19.0), (109.6, 17.8), (108.3, 18.6), (108.3, 20.5), (108.0, 21.5), (107.0, 21.9), (106.68, 21.96), (106.6, 22.6), (106.6, 22.9),
    (105.4, 23.3), (104.8, 22.8), (103.95, 22.52), (102.5, 22.7), (101.7, 22.5), (101.6, 21.3), (101.1, 21.6), (100.1, 21.5),
    (99.2, 22.1), (99.4, 23.0), (98.8, 23.2), (97.6, 23.9), (97.7, 24.8), (98.6, 25.9), (98.6, 27.5), (97.4, 28.3),
    (95.4, 29.0), (91.6, 27.8), (90.5, 28.05), (89.6, 28.15), (89.1, 27.6), (88.95, 27.3), (88.8, 28.0), (86.0, 27.95), (84.0, 28.9), (82.0, 30.3), (81.0, 30.2),
    (79.0, 31.3), (78.7, 32.6), (79.3, 33.0), (78.8, 34.3), (78.0, 35.5), (76.0, 36.0), (74.5, 37.1), (74.9, 37.6),
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Golden values of the public formulas, from a source of their own (shared/domain.md).
    #[test]
    fn known_places_are_shifted_as_the_maps_shift_them() {
        for (wgs, gcj, bd) in [
            ((118.59, 37.46), (118.595555, 37.460589), (118.602104, 37.466492)),
            ((118.53, 37.89), (118.535733, 37.890692), (118.542180, 37.896791)),
            ((118.26, 37.49), (118.265881, 37.490776), (118.272497, 37.496440)),
            ((118.41, 37.05), (118.416002, 37.050740), (118.422448, 37.056844)),
        ] {
            let found = wgs84_to_gcj02(wgs.0, wgs.1);
            assert!((found.0 - gcj.0).abs() < 6e-7 && (found.1 - gcj.1).abs() < 6e-7, "{found:?}");
            let found = gcj02_to_bd09(found.0, found.1);
            assert!((found.0 - bd.0).abs() < 6e-7 && (found.1 - bd.1).abs() < 6e-7, "{found:?}");
        }
    }

    #[test]
    fn only_the_mainland_is_shifted() {
        for (name, lon, lat) in [
            ("Hong Kong", 114.17, 22.28),
            ("Sheung Shui", 114.128, 22.501),
            ("Yuen Long", 114.03, 22.445),
            ("Sai Kung", 114.27, 22.38),
            ("Macao", 113.543, 22.19),
            ("Taipei", 121.52, 25.04),
            ("Penghu", 119.57, 23.57),
            ("Seoul", 126.98, 37.57),
            ("Pyongyang", 125.75, 39.03),
            ("Hanoi", 105.85, 21.03),
            ("Ulaanbaatar", 106.92, 47.92),
            ("Vladivostok", 131.89, 43.12),
            ("Khabarovsk", 135.07, 48.48),
            ("Blagoveshchensk", 127.54, 50.27),
            ("Almaty", 76.93, 43.25),
            ("Bishkek", 74.6, 42.87),
            ("Kathmandu", 85.32, 27.71),
            ("Thimphu", 89.64, 27.47),
            ("Vientiane", 102.6, 17.97),
            ("Naha", 127.68, 26.21),
            ("Boston", -71.06, 42.36),
        ] {
            assert_eq!(wgs84_to_gcj02(lon, lat), (lon, lat), "{name} was shifted");
            assert_eq!(gcj02_to_bd09(lon, lat), (lon, lat), "{name} was shifted");
        }
        for (name, lon, lat) in [
            ("Beijing", 116.4, 39.9),
            ("Shanghai", 121.47, 31.23),
            ("Zhoushan", 122.2, 29.98),
            ("Dalian", 121.61, 38.91),
            ("Weihai", 122.12, 37.51),
            ("Dandong", 124.35, 40.12),
            ("Yanji", 129.5, 42.9),
            ("Suifenhe", 131.15, 44.4),
            ("Heihe", 127.49, 50.24),
            ("Fuyuan", 134.3, 48.36),
            ("Mohe", 122.54, 52.97),
            ("Manzhouli", 117.44, 49.58),
            ("Erenhot", 111.96, 43.65),
            ("Altay", 88.14, 47.85),
            ("Yining", 81.32, 43.92),
            ("Kashgar", 75.99, 39.47),
            ("Lhasa", 91.1, 29.65),
            ("Ruili", 97.85, 24.01),
            ("Jinghong", 100.8, 22.01),
            ("Hekou in Yunnan", 103.93, 22.6),
            ("Pingxiang", 106.75, 22.1),
            ("Dongxing", 107.97, 21.6),
            ("Haikou", 110.35, 20.02),
            ("Sanya", 109.51, 18.25),
            ("Zhuhai", 113.553, 22.224),
            ("Hengqin", 113.52, 22.13),
            ("Shekou", 113.91, 22.485),
            ("Futian", 114.055, 22.53),
            ("Luohu", 114.12, 22.54),
            ("Yantian", 114.25, 22.565),
            ("Xiamen", 118.09, 24.48),
            ("Fuzhou", 119.3, 26.08),
        ] {
            let (to_lon, to_lat) = wgs84_to_gcj02(lon, lat);
            let apart = crate::domain::position::distance_m((lon, lat), (to_lon, to_lat));
            assert!((50.0..1000.0).contains(&apart), "{name} was moved by {apart} m");
        }
    }

    proptest! {
        #[test]
        fn there_and_back_is_the_same_place(lon in 100.0..120.0, lat in 27.0..41.0) {
            prop_assume!(is_mainland(lon, lat));
            let gcj = wgs84_to_gcj02(lon, lat);
            let bd = gcj02_to_bd09(gcj.0, gcj.1);
            let back = bd09_to_gcj02(bd.0, bd.1);
            prop_assert!((back.0 - gcj.0).abs() < 1e-8 && (back.1 - gcj.1).abs() < 1e-8);
            let back = gcj02_to_wgs84(gcj.0, gcj.1);
            prop_assert!((back.0 - lon).abs() < 1e-8 && (back.1 - lat).abs() < 1e-8);
        }

        #[test]
        fn any_two_numbers_give_two_numbers(lon in -1e9..1e9f64, lat in -1e9..1e9f64) {
            for place in [gcj02_to_wgs84(lon, lat), bd09_to_gcj02(lon, lat)] {
                prop_assert!(place.0.is_finite() && place.1.is_finite());
            }
        }
    }
}
