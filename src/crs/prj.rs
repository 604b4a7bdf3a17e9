//! `.prj` → system. Names differ with every program, so the parameters decide; a code is believed
//! when the parameters agree with it. Datums that need a local transformation are refused.

use super::book::shown;
use super::definition::Definition;
use super::epsg::{CHINA_LATITUDES, HALF_WIDTH_3, strip};
use super::wkt::Node;
use super::{Area, Crs, CrsBook, Datum};
use crate::domain::Refusal;

const PROJECTED: &[&str] = &["PROJCS", "PROJCRS", "PROJECTEDCRS"];
const GEOGRAPHIC: &[&str] =
    &["GEOGCS", "GEOGCRS", "GEOGRAPHICCRS", "GEODCRS", "GEODETICCRS", "BASEGEOGCRS", "BASEGEODCRS"];

pub(super) fn read(text: &str, book: &CrsBook) -> Result<Crs, Refusal> {
    let unreadable = || Refusal::new("crs.prj_unreadable").at("crs").with("read", shown(text));
    let plain = text.trim().trim_matches('\0');
    if plain.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("EPSG:")) {
        return book.named(plain);
    }
    let root = Node::parse(text).ok_or_else(unreadable)?;
    let system = horizontal(&root).ok_or_else(unreadable)?;
    let geographic = if PROJECTED.contains(&system.keyword.as_str()) {
        system.child(GEOGRAPHIC).ok_or_else(unreadable)?
    } else {
        system
    };
    let datum = read_datum(system, geographic)?;
    let crs = if std::ptr::eq(system, geographic) {
        let code = match datum.name.as_str() {
            "CGCS2000" => 4490,
            "NAD83" => 4269,
            _ => 4326,
        };
        book.find(code)?
    } else {
        projected(system, geographic, datum, book)?
    };
    // A code that says something else than the parameters: neither is believed.
    if let Some(declared) = system.epsg().filter(|code| Some(*code) != crs.code())
        && let Ok(known) = book.find(declared)
    {
        let same = match (known.definition(), crs.definition()) {
            (Some(a), Some(b)) => a.is_same(b),
            (None, None) => known.datum() == crs.datum(),
            _ => false,
        };
        return if same { Ok(known) } else { Err(contradiction(&known, &crs)) };
    }
    Ok(crs)
}

fn contradiction(known: &Crs, crs: &Crs) -> Refusal {
    let says = crs.proj_string().map_or_else(|| crs.to_string(), str::to_owned);
    Refusal::new("crs.prj_contradicts").at("crs").with("code", known).with("read", says)
}

/// The system in the plane, out of what may be wound around it.
fn horizontal(node: &Node) -> Option<&Node> {
    match node.keyword.as_str() {
        "COMPD_CS" | "COMPOUNDCRS" => node.nodes().find_map(horizontal),
        "BOUNDCRS" => node.child(&["SOURCECRS"])?.nodes().find_map(horizontal),
        keyword if PROJECTED.contains(&keyword) || GEOGRAPHIC.contains(&keyword) => Some(node),
        _ => None,
    }
}

/// Letters and digits of a name, without the prefixes that programs put before it.
fn plain(name: &str) -> String {
    let plain: String = name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    plain.strip_prefix("gcs").map_or(plain.clone(), str::to_owned)
}

fn read_datum(system: &Node, geographic: &Node) -> Result<Datum, Refusal> {
    let node = geographic.child(&["DATUM", "GEODETICDATUM", "TRF", "ENSEMBLE"]);
    let name = node.map_or("", Node::name);
    let names = [name, geographic.name(), system.name()].map(plain);
    let any = |words: &[&str]| names.iter().any(|name| words.iter().any(|word| name.contains(word)));
    let ellipsoid = node.and_then(|node| node.child(&["SPHEROID", "ELLIPSOID"]));
    let axes = ellipsoid.map(|ellipsoid| {
        let mut numbers = ellipsoid.items.iter().filter_map(|item| match item {
            super::wkt::Item::Number(number) => Some(*number),
            _ => None,
        });
        (numbers.next().unwrap_or(0.0), numbers.next().unwrap_or(0.0))
    });
    let is = |axis: f64| axes.is_some_and(|(a, _)| (a - axis).abs() < 0.6);
    // Krassovsky 1940 and IAG 1975 are the ellipsoids of the two old Chinese datums.
    let local = any(&[
        "beijing1954",
        "beijing54",
        "newbeijing",
        "1954北京",
        "北京54",
        "北京1954",
        "pulkovo",
        "xian1980",
        "xian80",
        "1980西安",
        "西安80",
        "西安1980",
        "nad27",
        "northamerican1927",
    ]);
    if local || is(6_378_245.0) || is(6_378_140.0) {
        let read = if name.is_empty() { geographic.name() } else { name };
        return Err(Refusal::new("crs.transformation_needed").at("crs").with("read", shown(read)));
    }
    let unknown = || {
        Refusal::new("crs.datum_unknown")
            .at("crs")
            .with("read", shown(if name.is_empty() { geographic.name() } else { name }))
    };
    let like_grs80 = axes
        .is_none_or(|(a, flattening)| (a - 6_378_137.0).abs() < 0.6 && (flattening - 298.257).abs() < 0.01);
    let greenwich =
        geographic.child(&["PRIMEM", "PRIMEMERIDIAN"]).and_then(Node::number).is_none_or(|east| east == 0.0);
    if !like_grs80 || !greenwich {
        return Err(unknown());
    }
    // The datum's own name speaks before the names around it.
    for name in &names {
        let any = |words: &[&str]| words.iter().any(|word| name.contains(word));
        if any(&["cgcs2000", "china2000", "chinageodeticcoordinatesystem2000", "国家大地"]) {
            return Ok(Datum::cgcs2000());
        }
        if any(&["wgs84", "wgs1984", "worldgeodeticsystem1984"]) {
            return Ok(Datum::wgs84());
        }
        if any(&["nad83", "nad1983", "northamerican1983", "northamericandatum1983"]) {
            return Ok(Datum::nad83());
        }
    }
    Err(unknown())
}

/// Parameters of a projection under the names that PROJ gives them, by every name in use.
const PARAMETERS: &[(&str, &[&str])] = &[
    ("lat_0", &["latitudeoforigin", "latitudeofnaturalorigin", "latitudeoffalseorigin", "latitudeofcenter"]),
    (
        "lon_0",
        &[
            "centralmeridian",
            "longitudeofnaturalorigin",
            "longitudeoffalseorigin",
            "longitudeoforigin",
            "longitudeofcenter",
        ],
    ),
    ("lat_1", &["standardparallel1", "latitudeof1ststandardparallel"]),
    ("lat_2", &["standardparallel2", "latitudeof2ndstandardparallel"]),
    ("k_0", &["scalefactor", "scalefactoratnaturalorigin"]),
    ("x_0", &["falseeasting", "eastingatfalseorigin"]),
    ("y_0", &["falsenorthing", "northingatfalseorigin"]),
];

fn projected(system: &Node, geographic: &Node, datum: Datum, book: &CrsBook) -> Result<Crs, Refusal> {
    let conversion = system.child(&["CONVERSION", "DERIVINGCONVERSION"]).unwrap_or(system);
    let method = conversion.child(&["PROJECTION", "METHOD"]).map_or("", Node::name);
    let unsupported =
        |read: &str| Refusal::new("crs.projection_unsupported").at("crs").with("read", shown(read));
    let unit_unknown =
        |node: &Node| Refusal::new("crs.unit_unknown").at("crs").with("read", shown(node.name()));

    let angular = geographic.child(&["UNIT", "ANGLEUNIT"]).or_else(|| {
        geographic.child(&["PRIMEM", "PRIMEMERIDIAN"]).and_then(|node| node.child(&["ANGLEUNIT", "UNIT"]))
    });
    if let Some(unit) = angular
        && unit.number().is_some_and(|factor| (factor - 1f64.to_radians()).abs() > 1e-9)
    {
        return Err(unit_unknown(unit));
    }
    let length = ["UNIT", "LENGTHUNIT"];
    let unit = system
        .child(&length)
        .or_else(|| system.child(&["AXIS"]).and_then(|axis| axis.child(&length)))
        .or_else(|| system.child(&["CS"]).and_then(|cs| cs.child(&length)));
    let to_meter = match unit {
        Some(unit) => unit.number().filter(|factor| *factor > 0.0).ok_or_else(|| unit_unknown(unit))?,
        None => 1.0,
    };

    let mut said: Vec<(&str, f64)> = Vec::new();
    for node in conversion.nodes().filter(|node| node.keyword == "PARAMETER") {
        let name = plain(node.name());
        let Some((ours, _)) = PARAMETERS.iter().find(|(_, names)| names.contains(&name.as_str())) else {
            // ESRI's choice of sphere for Web Mercator; 0 = as everybody does.
            if name == "auxiliaryspheretype" {
                continue;
            }
            return Err(unsupported(node.name()));
        };
        let value = node.number().ok_or_else(|| unsupported(node.name()))?;
        let own_unit = node.child(&["LENGTHUNIT", "UNIT"]).and_then(Node::number);
        let value = match *ours {
            "x_0" | "y_0" => value * own_unit.unwrap_or(to_meter),
            _ => value,
        };
        said.push((ours, value));
    }
    let value = |name: &str, otherwise: f64| {
        said.iter().find(|(said, _)| *said == name).map_or(otherwise, |(_, value)| *value)
    };
    let (x_0, y_0) = (value("x_0", 0.0), value("y_0", 0.0));
    let mut text = match plain(method).as_str() {
        "transversemercator" | "gausskruger" | "gausskrüger" => {
            let (lat_0, lon_0, k_0) = (value("lat_0", 0.0), value("lon_0", 0.0), value("k_0", 1.0));
            format!("+proj=tmerc +lat_0={lat_0} +lon_0={lon_0} +k={k_0} +x_0={x_0} +y_0={y_0} +ellps=GRS80")
        }
        "lambertconformalconic"
        | "lambertconformalconic2sp"
        | "lambertconicconformal2sp"
        | "lambertconformalconic1sp"
        | "lambertconicconformal1sp" => {
            let (lat_0, lon_0) = (value("lat_0", 0.0), value("lon_0", 0.0));
            let lat_1 = value("lat_1", lat_0);
            let (lat_2, k_0) = (value("lat_2", lat_1), value("k_0", 1.0));
            format!(
                "+proj=lcc +lat_0={lat_0} +lon_0={lon_0} +lat_1={lat_1} +lat_2={lat_2} +k_0={k_0} +x_0={x_0} +y_0={y_0} +ellps=GRS80"
            )
        }
        "mercatorauxiliarysphere" | "popularvisualisationpseudomercator" if value("lat_1", 0.0) == 0.0 => {
            let lon_0 = value("lon_0", 0.0);
            format!("+proj=merc +a=6378137 +b=6378137 +lon_0={lon_0} +x_0={x_0} +y_0={y_0}")
        }
        // The first edition has no name for Web Mercator: its code or PROJ's extension tells.
        "mercator1sp" if system.epsg() == Some(3857) || is_web_mercator(system) => return book.find(3857),
        _ => return Err(unsupported(method)),
    };
    text.push_str(&format!(" +to_meter={to_meter} +no_defs"));
    let definition = Definition::parse(&text).map_err(|reason| unsupported(&reason))?;
    if let Some(known) = book.like(&definition, &datum) {
        return Ok(known);
    }
    let code = definition.meridian_code().filter(|_| datum == Datum::cgcs2000());
    if let Some(code) = code {
        return book.find(code);
    }
    let area: Area = match datum.within_m {
        0.0 => strip(value("lon_0", 0.0), HALF_WIDTH_3, CHINA_LATITUDES),
        _ => strip(value("lon_0", 0.0), 10.0, (-80.0, 84.0)),
    };
    let name = shown(system.name());
    Crs::projected(None, name, datum, area, definition).ok_or_else(|| unsupported(method))
}

fn is_web_mercator(system: &Node) -> bool {
    let Some(extension) = system.child(&["EXTENSION"]) else { return false };
    extension.items.iter().any(|item| {
        matches!(item, super::wkt::Item::Text(text) if text.contains("+proj=merc") && text.contains("+b=6378137"))
    })
}

#[cfg(test)]
mod tests;
