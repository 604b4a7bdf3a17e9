//! `[map]`: what lies below the covers on the engineers' map, and from where it may come.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::domain::Refusal;

/// The ground of the map.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MapSettings {
    pub base: MapBase,
    /// With `xyz`, where the pictures lie, e.g. `https://tiles.example.cn/{z}/{x}/{y}.png`; a WMTS whose matrix set is
    /// that of Web Mercator is written alike, with `{z}` as its matrix, `{x}` as its column and `{y}` as its row.
    /// With `style`, where the style lies.
    pub url: String,
    /// With `pmtiles`, the file, beside the database or absolute.
    pub file: PathBuf,
    /// Key of Tianditu for browsers; every member of staff who opens the map can read it.
    pub key: String,
    /// Who is to be named on the map.
    pub attribution: String,
    /// The finest zoom there are pictures of; they are enlarged beyond that.
    pub max_zoom: u8,
    /// Pixels along a side of a picture: 256 or 512.
    pub tile_size: u16,
    /// Further servers that a style needs for its tiles, letters and symbols, e.g. `https://fonts.example.cn`.
    pub hosts: Vec<String>,
    /// In what the ground is drawn. Degrees of WGS 84 and CGCS2000 are the same to the eye.
    pub coordinates: MapCoordinates,
    /// The city's grid, in which places are told, e.g. `EPSG:4549`; empty = the zone of 3 degrees in which they lie.
    pub crs: String,
}

/// What lies below the covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MapBase {
    /// Nothing from elsewhere: the districts' outlines, and the names of streets as the covers tell them.
    #[default]
    None,
    /// Pictures by zoom, column and row.
    Xyz,
    /// 天地图: its vector map with names, in Web Mercator of CGCS2000.
    Tianditu,
    /// A style of MapLibre.
    Style,
    /// A file of tiles that Lidmark hands out itself.
    Pmtiles,
}

/// The coordinates of the ground.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MapCoordinates {
    #[default]
    Wgs84,
    Cgcs2000,
    Gcj02,
}

impl Default for MapSettings {
    fn default() -> Self {
        Self {
            base: MapBase::None,
            url: String::new(),
            file: PathBuf::new(),
            key: String::new(),
            attribution: String::new(),
            max_zoom: 18,
            tile_size: 256,
            hosts: Vec::new(),
            coordinates: MapCoordinates::Wgs84,
            crs: String::new(),
        }
    }
}

/// Servers of Tianditu, which a browser asks in turn.
const TIANDITU_SERVERS: u8 = 8;

/// Scheme, host and port of an address; `None` for what is no address of the web.
fn origin(address: &str) -> Option<String> {
    let url = Url::parse(address).ok()?;
    (matches!(url.scheme(), "https" | "http") && url.has_host()).then(|| url.origin().ascii_serialization())
}

impl MapSettings {
    /// Every server that the page may ask beside this one; empty unless the city configured any.
    pub fn origins(&self) -> Vec<String> {
        match self.base {
            MapBase::None | MapBase::Pmtiles => Vec::new(),
            MapBase::Tianditu => (0..TIANDITU_SERVERS).map(tianditu_server).collect(),
            MapBase::Xyz => origin(&self.url).into_iter().collect(),
            MapBase::Style => {
                [&self.url].into_iter().chain(&self.hosts).filter_map(|address| origin(address)).collect()
            }
        }
    }

    /// Addresses of a layer of Tianditu, `vec` for the map or `cva` for its names, in Web Mercator (`_w`).
    pub fn tianditu(&self, layer: &str) -> Vec<String> {
        let address = |server| {
            let (host, key) = (tianditu_server(server), &self.key);
            format!(
                "{host}/{layer}_w/wmts?SERVICE=WMTS&REQUEST=GetTile&VERSION=1.0.0&LAYER={layer}&STYLE=default\
                 &TILEMATRIXSET=w&FORMAT=tiles&TILEMATRIX={{z}}&TILEROW={{y}}&TILECOL={{x}}&tk={key}"
            )
        };
        (0..TIANDITU_SERVERS).map(address).collect()
    }

    /// Refuses a ground that could not be drawn, or not where it belongs.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        let wrong = |reason: &str| Err(Refusal::new("config.unusable").with("reason", reason));
        if self.coordinates == MapCoordinates::Gcj02 {
            return wrong(
                "[map] coordinates: a ground in GCJ-02 lies up to 700 m beside the covers; name one in wgs84 or cgcs2000 \
                 (tianditu is), or base = \"none\"",
            );
        }
        let has_address = origin(&self.url).is_some();
        if matches!(self.base, MapBase::Xyz | MapBase::Style) && !has_address {
            return wrong("[map] url says where the ground lies and begins with https://");
        }
        if self.base == MapBase::Xyz && !["{z}", "{x}", "{y}"].iter().all(|part| self.url.contains(part)) {
            return wrong("[map] url has {z}, {x} and {y} in it");
        }
        let is_key = !self.key.is_empty() && self.key.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if self.base == MapBase::Tianditu && !is_key {
            return wrong("[map] key is the key of Tianditu for browsers, letters and digits");
        }
        if self.base == MapBase::Pmtiles && self.file.as_os_str().is_empty() {
            return wrong("[map] file names the file of tiles, e.g. file = \"ground.pmtiles\"");
        }
        if self.hosts.iter().any(|host| origin(host).as_ref() != Some(host)) {
            return wrong("[map] hosts are written like https://fonts.example.cn, without a path");
        }
        if !(1..=24).contains(&self.max_zoom) {
            return wrong("[map] max_zoom lies between 1 and 24");
        }
        if !matches!(self.tile_size, 256 | 512) {
            return wrong("[map] tile_size is 256 or 512");
        }
        Ok(())
    }
}

fn tianditu_server(number: u8) -> String {
    format!("https://t{number}.tianditu.gov.cn")
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn a_ground_is_taken_where_it_can_be_drawn_in_its_place() {
        let map = |text: &str| Config::from_toml(&format!("[map]\n{text}"));
        assert!(Config::from_toml("").unwrap().map.origins().is_empty());
        let xyz =
            map("base = 'xyz'\nurl = 'https://tiles.example.cn:8443/a/{z}/{x}/{y}.png?k=1'").unwrap().map;
        assert_eq!(xyz.origins(), ["https://tiles.example.cn:8443"]);
        let style =
            map("base = 'style'\nurl = 'https://a.example.cn/s.json'\nhosts = ['https://b.example.cn']")
                .unwrap()
                .map;
        assert_eq!(style.origins(), ["https://a.example.cn", "https://b.example.cn"]);
        let tianditu = map("base = 'tianditu'\nkey = 'abc123'\ncoordinates = 'cgcs2000'").unwrap().map;
        assert_eq!((tianditu.origins().len(), tianditu.tianditu("cva").len()), (8, 8));
        assert!(tianditu.tianditu("vec")[3].starts_with("https://t3.tianditu.gov.cn/vec_w/wmts?"));
        for wrong in [
            "base = 'xyz'",
            "base = 'xyz'\nurl = 'https://tiles.example.cn/{z}/{x}.png'",
            "base = 'xyz'\nurl = 'ftp://tiles.example.cn/{z}/{x}/{y}'",
            "base = 'xyz'\nurl = '/tiles/{z}/{x}/{y}'",
            "base = 'tianditu'",
            "base = 'tianditu'\nkey = 'a b; script-src *'",
            "base = 'style'\nurl = 'https://a.example.cn/s.json'\nhosts = ['https://b.example.cn/x']",
            "base = 'style'\nurl = 'https://a.example.cn/s.json'\nhosts = ['*']",
            "base = 'xyz'\nurl = 'https://a.example.cn/{z}/{x}/{y}'\ncoordinates = 'gcj02'",
            "base = 'globe'",
            "base = 'pmtiles'",
            "max_zoom = 99",
            "tile_size = 300",
        ] {
            assert!(map(wrong).is_err(), "{wrong}");
        }
    }
}
