//! Which format a file is in: by its content, and by its name where the content leaves it open.

use std::io::Read;
use std::path::Path;

use super::archive::Archive;
use super::{unreadable, xlsx_parts};
use crate::domain::Refusal;
use crate::domain::names::named_enum;

named_enum! {
    /// The formats that are read.
    Format as "format" {
        /// Also separated by other signs.
        Csv = "csv",
        Xlsx = "xlsx",
        Xls = "xls",
        Ods = "ods",
        /// Also one feature a line, and text sequences.
        GeoJson = "geojson",
        Shapefile = "shapefile",
        GeoPackage = "geopackage",
        Kml = "kml",
        Kmz = "kmz",
        /// Layers of any of the others.
        Zip = "zip",
    }
}

/// What a person would call what fits.
pub(super) const FITS: &str =
    "CSV, TSV, XLSX, XLS, ODS, GeoJSON, Shapefile (ZIP, or .shp beside .dbf), GeoPackage, KML, KMZ";
/// Bytes that are looked at.
const HEAD: usize = 4096;

impl Format {
    /// By the first bytes, else by the name; `None` = a kind that is not read. What is in an archive
    /// only [`Format::of_file`] can see.
    pub fn guess(file_name: &str, head: &[u8]) -> Option<Self> {
        let name = file_name.to_ascii_lowercase();
        let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
        if head.starts_with(b"SQLite format 3\0") {
            return Some(Self::GeoPackage);
        }
        if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
            return Some(match () {
                () if ends(&[".xlsx", ".xlsm"]) => Self::Xlsx,
                () if ends(&[".ods"]) => Self::Ods,
                () if ends(&[".kmz"]) => Self::Kmz,
                () => Self::Zip,
            });
        }
        if head.starts_with(b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1") {
            return Some(Self::Xls);
        }
        if head.starts_with(b"\0\0\x27\x0A") {
            return Some(Self::Shapefile);
        }
        let others: [&[u8]; 9] = [
            b"%PDF",
            b"\x89PNG",
            b"\xFF\xD8\xFF",
            b"GIF8",
            b"Rar!",
            b"7z\xBC\xAF",
            b"\x1F\x8B",
            b"\x7FELF",
            b"{\\rtf",
        ];
        if others.iter().any(|magic| head.starts_with(magic)) {
            return None;
        }
        let unicode = head.starts_with(b"\xFF\xFE") || head.starts_with(b"\xFE\xFF");
        let text = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head).trim_ascii_start();
        if text.starts_with(b"<") {
            let is_kml = text.windows(4).any(|tag| tag == b"<kml") || ends(&[".kml"]);
            return is_kml.then_some(Self::Kml);
        }
        match text.first() {
            Some(b'{' | b'[' | 0x1E) => Some(Self::GeoJson),
            _ if ends(&[".geojson", ".json", ".geojsonl", ".geojsons", ".ndjson"]) => Some(Self::GeoJson),
            _ if ends(&[".kml"]) => Some(Self::Kml),
            _ if ends(&[".csv", ".tsv", ".txt", ".tab"]) => Some(Self::Csv),
            None => None,
            // Zeros are in no text.
            Some(_) => (unicode || !head.contains(&0)).then_some(Self::Csv),
        }
    }

    /// By what is in the file. Refuses a kind that is not read, with the list of what fits.
    pub fn of_file(path: &Path, file_name: &str) -> Result<Self, Refusal> {
        let mut head = Vec::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(HEAD as u64).read_to_end(&mut head))
            .map_err(|error| unreadable(&error))?;
        let format = Self::guess(file_name, &head).ok_or_else(|| {
            Refusal::new("file.kind").with("file", super::shown(file_name)).with("fits", FITS)
        })?;
        if !matches!(format, Self::Xlsx | Self::Ods | Self::Kmz | Self::Zip) {
            return Ok(format);
        }
        let archive = Archive::open(path)?;
        Ok(if xlsx_parts::is_workbook(&archive) {
            Self::Xlsx
        } else if xlsx_parts::is_open_document(&archive) {
            Self::Ods
        } else if archive.find("doc.kml").is_some() {
            Self::Kmz
        } else if format == Self::Kmz {
            format
        } else {
            Self::Zip
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_speaks_before_the_name() {
        for (name, head, expected) in [
            ("covers.csv", &b"SQLite format 3\0\x10"[..], Some(Format::GeoPackage)),
            ("covers.csv", b"PK\x03\x04", Some(Format::Zip)),
            ("covers.xlsx", b"PK\x03\x04", Some(Format::Xlsx)),
            ("covers.csv", b"{\"type\":", Some(Format::GeoJson)),
            ("covers.txt", b"\x1e{\"type\":", Some(Format::GeoJson)),
            ("covers.geojson", b"\0\0\x27\x0a\0", Some(Format::Shapefile)),
            ("covers.xml", b"\xEF\xBB\xBF<?xml version='1.0'?>\n<kml xmlns=", Some(Format::Kml)),
            ("covers.xml", b"<?xml version='1.0'?><gml>", None),
            ("covers.xls", b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", Some(Format::Xls)),
            ("covers.dat", b"a;b;c\n", Some(Format::Csv)),
            ("covers.csv", b"\xFF\xFEa\0,\0", Some(Format::Csv)),
            ("covers.dat", b"\xFF\xFEa\0,\0", Some(Format::Csv)),
            ("covers.dbf", b"\x03\x7b\x01\x01\0\0", None),
            ("covers.pdf", b"%PDF-1.7", None),
            ("covers.csv", b"", Some(Format::Csv)),
            ("covers", b"", None),
        ] {
            assert_eq!(Format::guess(name, head), expected, "{name} {head:?}");
        }
    }
}
