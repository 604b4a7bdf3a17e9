//! Lengths, bearings and areas on the ellipsoid. Geodesics are Karney's (2013), exact to nanometers, on the ellipsoid of
//! WGS 84: that of CGCS2000 has the same equator and poles 0.1 mm nearer to each other.

use geo::{Bearing, Distance, Geodesic, GeodesicArea, LineString, Point, Polygon};

use crate::domain::area::AreaShape;

/// Half the equator's diameter in meters, and the first eccentricity squared (GB/T 18522.2: CGCS2000).
const A: f64 = 6_378_137.0;
const E2: f64 = 0.006_694_380_022_9;

/// A length on the sphere of `domain::position::distance_m` is off by no more than this share of the true one.
pub const SPHERE_ERROR: f64 = 0.006;

/// Meters of the shortest way between two points in degrees.
pub fn geodesic_m(from: (f64, f64), to: (f64, f64)) -> f64 {
    Geodesic.distance(Point::from(from), Point::from(to))
}

/// In which direction the shortest way to another point begins: degrees from north over east, 0 to 360; 0 where it is the same.
pub fn bearing(from: (f64, f64), to: (f64, f64)) -> f64 {
    if from == to { 0.0 } else { Geodesic.bearing(Point::from(from), Point::from(to)).rem_euclid(360.0) }
}

/// Meters of a degree eastwards and northwards at a latitude.
pub fn meters_per_degree(lat: f64) -> (f64, f64) {
    let (sin, cos) = lat.to_radians().sin_cos();
    let bent = 1.0 - E2 * sin * sin;
    let degree = std::f64::consts::PI / 180.0 * A;
    (degree * cos / bent.sqrt(), degree * (1.0 - E2) / (bent * bent.sqrt()))
}

/// From one point to another in meters eastwards and northwards, by the scale in the middle between their latitudes. The
/// length of it is good to a millionth within 10 km, and to a ten-thousandth within 100 km; across the antimeridian as well.
pub fn flat_m(from: (f64, f64), to: (f64, f64)) -> (f64, f64) {
    let (east, north) = meters_per_degree((from.1 + to.1) / 2.0);
    let mut aside = to.0 - from.0;
    if aside.abs() > 180.0 {
        aside -= 360.0 * aside.signum();
    }
    (aside * east, (to.1 - from.1) * north)
}

/// Square meters of an area. Which way its rings turn does not matter.
pub fn area_m2(shape: &AreaShape) -> f64 {
    let ring_m2 = |ring: &Vec<[f64; 2]>| {
        let line: LineString = ring.iter().map(|[lon, lat]| (*lon, *lat)).collect();
        Polygon::new(line, Vec::new()).geodesic_area_signed().abs()
    };
    let part_m2 = |rings: &Vec<Vec<[f64; 2]>>| {
        let mut rings = rings.iter().map(ring_m2);
        rings.next().unwrap_or_default() - rings.sum::<f64>()
    };
    shape.parts().iter().map(part_m2).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::position::distance_m;

    #[test]
    fn a_quarter_of_a_meridian_and_a_degree_of_the_equator_are_as_the_books_say() {
        // GB/T 18522.2 / NIMA TR8350.2: 10 001 965.73 m; a degree of the equator is 111 319.49 m.
        assert!((geodesic_m((118.0, 0.0), (118.0, 90.0)) - 10_001_965.729).abs() < 0.01);
        assert!((geodesic_m((118.0, 0.0), (119.0, 0.0)) - 111_319.491).abs() < 0.001);
        assert!((bearing((118.0, 37.0), (118.0, 38.0))).abs() < 1e-9);
        assert!((bearing((0.0, 0.0), (-1.0, 0.0)) - 270.0).abs() < 1e-9);
        assert_eq!(bearing((118.0, 37.0), (118.0, 37.0)), 0.0);
        assert!((flat_m((179.999, 10.0), (-179.999, 10.0)).0 - 219.27).abs() < 0.1);
    }

    #[test]
    fn an_area_counts_its_holes_whichever_way_they_turn() {
        let square = |west: f64, side: f64| {
            let (south, east) = (37.0, west + side);
            vec![[west, south], [east, south], [east, south + side], [west, south + side], [west, south]]
        };
        let whole = area_m2(&AreaShape::new(vec![vec![square(118.0, 0.1)]]).unwrap());
        assert!((whole / 98.6e6 - 1.0).abs() < 0.005, "{whole}");
        let hole = square(118.0, 0.05);
        let turned: Vec<[f64; 2]> = hole.iter().rev().copied().collect();
        for hole in [hole, turned] {
            let left = area_m2(&AreaShape::new(vec![vec![square(118.0, 0.1), hole]]).unwrap());
            assert!((left / whole - 0.75).abs() < 1e-3, "{left}");
        }
    }

    proptest! {
        #[test]
        fn flat_and_spherical_lengths_are_as_good_as_they_say(
            lon in -180.0..180.0f64, lat in -75.0..75.0f64, east in -0.08..0.08f64, north in -0.08..0.08f64,
        ) {
            let (from, to) = ((lon, lat), (lon + east, lat + north));
            let to = (if to.0 > 180.0 { to.0 - 360.0 } else if to.0 < -180.0 { to.0 + 360.0 } else { to.0 }, to.1);
            let exact = geodesic_m(from, to);
            let (x, y) = flat_m(from, to);
            prop_assert!((x.hypot(y) - exact).abs() <= exact * 1e-5 + 1e-6, "{} {}", x.hypot(y), exact);
            prop_assert!((distance_m(from, to) - exact).abs() <= exact * SPHERE_ERROR + 1e-3);
        }
    }
}
