//! `.prj` files as programs write them.

use super::*;

fn read(text: &str) -> Result<Crs, Refusal> {
    CrsBook::built_in().of_prj(text)
}

const GCS: &str = r#"GEOGCS["GCS_China_Geodetic_Coordinate_System_2000",DATUM["D_China_2000",SPHEROID["CGCS2000",6378137.0,298.257222101]],PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]]"#;

/// A Gauss-Krüger grid as ESRI's programs write it.
fn esri(name: &str, geographic: &str, easting: f64, meridian: f64) -> String {
    format!(
        r#"PROJCS["{name}",{geographic},PROJECTION["Gauss_Kruger"],PARAMETER["False_Easting",{easting}],PARAMETER["False_Northing",0.0],PARAMETER["Central_Meridian",{meridian}],PARAMETER["Scale_Factor",1.0],PARAMETER["Latitude_Of_Origin",0.0],UNIT["Meter",1.0]]"#
    )
}

const MASSACHUSETTS_FEET: &str = r#"PROJCS["NAD_1983_StatePlane_Massachusetts_Mainland_FIPS_2001_Feet",GEOGCS["GCS_North_American_1983",DATUM["D_North_American_1983",SPHEROID["GRS_1980",6378137.0,298.257222101]],PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]],PROJECTION["Lambert_Conformal_Conic"],PARAMETER["False_Easting",656166.667],PARAMETER["False_Northing",2460625.0],PARAMETER["Central_Meridian",-71.5],PARAMETER["Standard_Parallel_1",41.7166666666667],PARAMETER["Standard_Parallel_2",42.6833333333333],PARAMETER["Latitude_Of_Origin",41.0],UNIT["Foot_US",0.3048006096012192]]"#;

#[test]
fn a_prj_without_a_code_finds_the_code_it_could_have_had() {
    for (text, code) in [
        (esri("CGCS2000_3_Degree_GK_Zone_39", GCS, 39_500_000.0, 117.0), 4527),
        (esri("CGCS2000_3_Degree_GK_CM_117E", GCS, 500_000.0, 117.0), 4548),
        (esri("CGCS2000_3_Degree_GK_CM_120E", GCS, 500_000.0, 120.0), 4549),
        (esri("CGCS2000_GK_Zone_20", GCS, 20_500_000.0, 117.0), 4498),
        // No national zone has these meridians.
        (esri("CGCS2000_3_Degree_GK_CM_118E", GCS, 500_000.0, 118.0), 10_424_800),
        (esri("User_Defined", GCS, 500_000.0, 118.5), 10_426_600),
        (GCS.to_owned(), 4490),
        (MASSACHUSETTS_FEET.to_owned(), 2249),
        (
            MASSACHUSETTS_FEET
                .replace("656166.667", "200000.0")
                .replace("2460625.0", "750000.0")
                .replace(r#"["Foot_US",0.3048006096012192]"#, r#"["Meter",1.0]"#),
            26986,
        ),
    ] {
        let crs = read(&text).unwrap_or_else(|refusal| panic!("{refusal}: {text}"));
        assert_eq!(crs.code(), Some(code), "{text}");
    }
}

/// The second edition of OGC's text, as PROJ 9 writes it, with a meridian, a unit and a name of choice.
fn second_edition(meridian: f64, unit: &str, id: &str) -> String {
    format!(
        r#"PROJCRS["城市坐标系",BASEGEOGCRS["China Geodetic Coordinate System 2000",DATUM["China 2000",ELLIPSOID["CGCS2000",6378137,298.257222101,LENGTHUNIT["metre",1]]],PRIMEM["Greenwich",0,ANGLEUNIT["degree",0.0174532925199433]]],CONVERSION["x",METHOD["Transverse Mercator",ID["EPSG",9807]],PARAMETER["Latitude of natural origin",0,ANGLEUNIT["degree",0.0174532925199433]],PARAMETER["Longitude of natural origin",{meridian},ANGLEUNIT["degree",0.0174532925199433]],PARAMETER["Scale factor at natural origin",1,SCALEUNIT["unity",1]],PARAMETER["False easting",500000,LENGTHUNIT["metre",1]],PARAMETER["False northing",0,LENGTHUNIT["metre",1]]],CS[Cartesian,2],AXIS["northing (X)",north,ORDER[1],LENGTHUNIT[{unit}]],AXIS["easting (Y)",east,ORDER[2],LENGTHUNIT[{unit}]]{id}]"#
    )
}

#[test]
fn the_second_edition_is_read_too() {
    let code = |text: &str| read(text).unwrap().code();
    assert_eq!(code(&second_edition(117.0, "\"metre\",1", "")), Some(4548));
    assert_eq!(code(&second_edition(118.5, "\"metre\",1", "")), Some(10_426_600));
    // The same numbers as 3-degree CM 117E; the code it brings is kept.
    assert_eq!(code(&second_edition(117.0, "\"metre\",1", ",ID[\"EPSG\",4509]")), Some(4509));
    // A false easting in meters under axes in feet: a grid without a code.
    let feet = read(&second_edition(117.0, "\"foot\",0.3048", "")).unwrap();
    assert_eq!((feet.code(), feet.unit()), (None, super::super::Unit::Foot));
    let (east, _) = feet.to_grid(117.0, 37.0).unwrap();
    assert!((east - 500_000.0 / 0.3048).abs() < 1e-6);
    assert_eq!(feet.name(), "城市坐标系");
}

#[test]
fn wound_around_or_lettered_otherwise_it_is_the_same() {
    let plane = esri("x", GCS, 500_000.0, 120.0);
    let wound = format!(
        "\u{FEFF}COMPD_CS[\"x + height\",{plane},VERT_CS[\"1985\",VERT_DATUM[\"1985\",2005],UNIT[\"metre\",1]]]\r\n\0"
    );
    assert_eq!(read(&wound).unwrap().code(), Some(4549));
    let bound = format!("BOUNDCRS[SOURCECRS[{plane}],TARGETCRS[{GCS}]]");
    assert_eq!(read(&bound).unwrap().code(), Some(4549));
    assert_eq!(read(&plane.replace('[', "(").replace(']', ")")).unwrap().code(), Some(4549));
    assert_eq!(read(&plane.replace("D_China_2000", "CGCS2000")).unwrap().code(), Some(4549));
    assert_eq!(read("EPSG:4527\n").unwrap().code(), Some(4527));
}

#[test]
fn web_mercator_is_known_by_every_name() {
    let wgs = r#"GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]]"#;
    let head = format!("PROJCS[\"WGS 84 / Pseudo-Mercator\",{wgs},");
    let offsets =
        r#"PARAMETER["false_easting",0],PARAMETER["false_northing",0],PARAMETER["central_meridian",0]"#;
    for rest in [
        format!(
            "PROJECTION[\"Mercator_Auxiliary_Sphere\"],{offsets},PARAMETER[\"Auxiliary_Sphere_Type\",0.0],UNIT[\"Meter\",1]]"
        ),
        format!("PROJECTION[\"Mercator_1SP\"],{offsets},UNIT[\"metre\",1],AUTHORITY[\"EPSG\",\"3857\"]]"),
        format!(
            "PROJECTION[\"Mercator_1SP\"],{offsets},UNIT[\"metre\",1],EXTENSION[\"PROJ4\",\"+proj=merc +a=6378137 +b=6378137 +lon_0=0\"]]"
        ),
    ] {
        assert_eq!(read(&format!("{head}{rest}")).unwrap().code(), Some(3857), "{rest}");
    }
    assert_eq!(read(wgs).unwrap().code(), Some(4326));
}

#[test]
fn what_cannot_be_believed_is_refused_with_the_reason() {
    let plane = esri("x", GCS, 500_000.0, 117.0);
    let old = |name: &str, axis: &str| {
        GCS.replace("China_Geodetic_Coordinate_System_2000", name)
            .replace("D_China_2000", &format!("D_{name}"))
            .replace("6378137.0,298.257222101", axis)
    };
    let xian = old("Xian_1980", "6378140.0,298.257");
    let beijing = old("Beijing_1954", "6378245.0,298.3");
    let nameless = old("Unknown", "6378245.0,298.3");
    for (text, code, says) in [
        (xian.clone(), "crs.transformation_needed", "Xian_1980"),
        (beijing, "crs.transformation_needed", "Beijing_1954"),
        (nameless, "crs.transformation_needed", "Unknown"),
        (
            esri("Xian_1980_3_Degree_GK_Zone_39", &xian, 39_500_000.0, 117.0),
            "crs.transformation_needed",
            "Xian",
        ),
        (esri("Xian_1980_GK_Zone_20", GCS, 20_500_000.0, 117.0), "crs.transformation_needed", "China_2000"),
        (old("Somewhere", "6378137.0,298.257222101"), "crs.datum_unknown", "Somewhere"),
        (GCS.replace("Greenwich\",0.0", "Paris\",2.337"), "crs.datum_unknown", "China"),
        (GCS.replace("6378137.0", "6370000.0"), "crs.datum_unknown", "China"),
        (plane.replace("Gauss_Kruger", "Cassini"), "crs.projection_unsupported", "Cassini"),
        (plane.replace("Scale_Factor", "Azimuth"), "crs.projection_unsupported", "Azimuth"),
        (plane.replace("\"Meter\",1.0", "\"Meter\",0"), "crs.unit_unknown", "Meter"),
        (plane.replace("0.0174532925199433", "0.015707963267949"), "crs.unit_unknown", "Degree"),
        (plane.replace("1.0]]", "1.0],AUTHORITY[\"EPSG\",\"4527\"]]"), "crs.prj_contradicts", "4527"),
        ("LOCAL_CS[\"Ground\",UNIT[\"Meter\",1.0]]".into(), "crs.prj_unreadable", "Ground"),
        ("no text at all".into(), "crs.prj_unreadable", "no text"),
        (String::new(), "crs.prj_unreadable", ""),
    ] {
        let refusal = read(&text).unwrap_err();
        assert_eq!(refusal.code, code, "{text}");
        assert!(refusal.to_string().contains(says), "{refusal} does not say {says}");
    }
}

#[test]
fn a_place_called_like_an_old_datum_is_not_taken_for_it() {
    assert_eq!(read(&esri("Xiangyang_local_grid", GCS, 500_000.0, 112.0)).unwrap().code(), Some(10_403_200));
    assert_eq!(read(&esri("Beijing_local_grid", GCS, 500_000.0, 117.0)).unwrap().code(), Some(4548));
}
