//! Reference systems against PROJ itself: a thousand points of each system, there and back.

use std::io::Write;
use std::process::{Command, Stdio};

use lidmark::crs::{Crs, CrsBook, Evidence};
use lidmark::messages::{Catalogue, Language};

use crate::support::{have, skip_or_fail};

const POINTS: usize = 1000;
/// What a millimeter is in degrees of latitude.
const MILLIMETER: f64 = 1e-3 / 111_320.0;

/// Points that fill an area evenly, without a pattern that a grid could hide behind.
fn places(crs: &Crs) -> Vec<(f64, f64)> {
    let [west, south, east, north] = crs.area();
    (1..=POINTS)
        .map(|at| {
            let (across, up) = (at as f64 * 0.754_877_666_246_7, at as f64 * 0.569_840_290_998_05);
            (west + (east - west) * across.fract(), south + (north - south) * up.fract())
        })
        .collect()
}

/// What `cs2cs` makes of pairs of numbers.
fn cs2cs(arguments: &[&str], pairs: impl Iterator<Item = (f64, f64)>) -> Vec<(f64, f64)> {
    let mut child = Command::new("cs2cs")
        .args(["-f", "%.12f"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("cs2cs can be started");
    let text: String = pairs.map(|(a, b)| format!("{a:.12} {b:.12}\n")).collect();
    let mut input = child.stdin.take().unwrap();
    // Fed from beside, so that neither side waits for the other.
    let feeder = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap().unwrap();
    assert!(output.status.success(), "cs2cs {arguments:?}");
    let read = |line: &str| {
        let mut numbers = line.split_whitespace().map(|number| number.parse().unwrap());
        (numbers.next().unwrap(), numbers.next().unwrap())
    };
    String::from_utf8(output.stdout).unwrap().lines().map(read).collect()
}

fn turned((a, b): (f64, f64)) -> (f64, f64) {
    (b, a)
}

/// The worst distance from PROJ in millimeters, there and back.
fn worst_mm(crs: &Crs, code: u32) -> f64 {
    let degrees = match crs.datum().name.as_str() {
        "CGCS2000" => "EPSG:4490",
        "NAD83" => "EPSG:4269",
        _ => "EPSG:4326",
    };
    let grid = format!("EPSG:{code}");
    // By EPSG's own order, north comes first in Gauss-Krüger and in degrees.
    let north_first = (4491..=4554).contains(&code);
    let in_order = |pair| if north_first { turned(pair) } else { pair };
    let places = places(crs);
    let theirs = cs2cs(&[degrees, &grid], places.iter().copied().map(turned));
    let meters = crs.unit().to_meter().unwrap();
    let mut worst = 0.0_f64;
    for ((lon, lat), there) in places.iter().zip(&theirs) {
        let (east, north) = in_order(*there);
        let (our_east, our_north) = crs.to_grid(*lon, *lat).unwrap();
        let (de, dn) = ((our_east - east) * meters, (our_north - north) * meters);
        worst = worst.max(de.hypot(dn) * 1e3);
    }
    let back = cs2cs(&[&grid, degrees], theirs.iter().copied());
    for (there, (lat, lon)) in theirs.iter().zip(&back) {
        let (east, north) = in_order(*there);
        let (our_lon, our_lat) = crs.to_degrees(east, north).unwrap();
        worst = worst.max(((our_lon - lon) / MILLIMETER).hypot((our_lat - lat) / MILLIMETER));
    }
    worst
}

#[test]
fn every_system_agrees_with_proj_within_a_millimeter() {
    if !have("cs2cs") {
        skip_or_fail("cs2cs (package proj-bin)");
        return;
    }
    let book = CrsBook::built_in();
    let codes = (4491..=4554)
        .chain([3857, 26986, 2249, 32145, 5646, 26918, 26919])
        .chain([32601, 32618, 32619, 32649, 32650, 32651, 32660, 32719, 32756]);
    for code in codes {
        let worst = worst_mm(&book.find(code).unwrap(), code);
        assert!(worst <= 1.0, "EPSG:{code} is {worst} mm from PROJ");
    }
}

#[test]
fn a_grid_and_a_transformation_of_the_citys_own_agree_with_proj_too() {
    if !have("cs2cs") {
        skip_or_fail("cs2cs (package proj-bin)");
        return;
    }
    let own = r#"
        [[system]]
        code = 910001
        name = "1954 北京坐标系，本市七参数"
        proj = "+proj=tmerc +lat_0=0 +lon_0=117 +k=1 +x_0=500000 +y_0=0 +ellps=krass +towgs84=15.8,-154.4,-82.3,0.1,-0.2,0.3,1.2 +units=m"
        datum = "Beijing 1954"
        within_m = 0.5
        area = [117.5, 36.5, 119.5, 38.5]
    "#;
    let book = CrsBook::built_in().with(own).unwrap();
    for crs in [book.find(910_001).unwrap(), book.named("CM:118.5").unwrap()] {
        let degrees = ["+proj=longlat", "+ellps=GRS80", "+towgs84=0,0,0"];
        let grid: Vec<&str> = crs.proj_string().unwrap().split(' ').collect();
        let arguments: Vec<&str> = degrees.into_iter().chain(["+to"]).chain(grid).collect();
        let places = places(&crs);
        let theirs = cs2cs(&arguments, places.iter().copied());
        for ((lon, lat), (east, north)) in places.iter().zip(&theirs) {
            let ours = crs.to_grid(*lon, *lat).unwrap();
            let apart = (ours.0 - east).hypot(ours.1 - north);
            assert!(apart < 1e-3, "{crs} is {apart} m from PROJ at {lon} {lat}");
            let back = crs.to_degrees(*east, *north).unwrap();
            let apart = ((back.0 - lon) / MILLIMETER).hypot((back.1 - lat) / MILLIMETER);
            assert!(apart < 1.0, "{crs} comes back {apart} mm off at {lon} {lat}");
        }
    }
}

#[test]
fn every_observation_has_its_sentence() {
    for language in Language::ALL {
        let catalogue = Catalogue::of(language);
        for code in Evidence::CODES {
            assert!(catalogue.keys().any(|key| key == format!("evidence.{code}")), "{code} in {language:?}");
        }
        for code in [
            "crs.ask",
            "crs.ask_zone",
            "crs.declared_fits_not",
            "crs.declared_fits_not_but",
            "crs.nothing_fits",
            "position.zero",
            "position.axes_swapped",
            "position.outside_system",
        ] {
            assert!(catalogue.keys().any(|key| key == format!("refusal.{code}")), "{code} in {language:?}");
        }
    }
}
