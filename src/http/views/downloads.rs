//! Links to files of what a list shows.

use super::Page;

/// Addresses and what they are, in this order; a table for people has their words.
pub(super) fn downloads(page: &Page, door: &str, filters: &str, formats: &[&str]) -> Vec<(String, String)> {
    let link = |format: &&str| {
        let words = if *format == "xlsx" { format!("&words={}", page.tag()) } else { String::new() };
        let filters = if filters.is_empty() { String::new() } else { format!("&{filters}") };
        let name = page.t(match *format {
            "xlsx" => "download.xlsx",
            "csv" => "download.csv",
            "gpkg" => "download.gpkg",
            "geojson" => "download.geojson",
            _ => "download.shp",
        });
        (format!("{door}?format={format}{words}{filters}"), name.to_owned())
    };
    formats.iter().map(link).collect()
}
