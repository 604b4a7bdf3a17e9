//! The shell of the engineers' map; everything on it is made by its scripts.

use askama::Template;

use super::{Page, write};

/// What the shell is handed.
pub struct MapView {
    /// Folder of the library, with a slash at its end.
    pub library: String,
    /// What the scripts are told, as JSON.
    pub settings: String,
}

#[derive(Template)]
#[template(path = "map.html")]
struct MapPage<'a> {
    page: Page<'a>,
    library: String,
    settings: String,
}

pub fn map(page: &Page, view: MapView) -> String {
    let MapView { library, settings } = view;
    write(&MapPage { page: *page, library, settings })
}
