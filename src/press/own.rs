//! Labels that people make in the browser, on their way into the data folder: as files like those that a
//! person writes there, whole or not at all.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use super::PressError;
use super::labels::find_palette;
use crate::domain::Refusal;
use crate::domain::cover::CoverClass;
use crate::domain::plate_batch::PrinterRecord;
use crate::plates::Face;

/// Keeps a face as one of the city's own; one of the same id is replaced, and batches that were ordered
/// with it keep it as it was. Refuses the id of a face that comes with the program.
pub fn keep_face(data: &Path, face: &Face) -> Result<(), PressError> {
    if Face::built_in().iter().any(|known| known.id == face.id) {
        return Err(Refusal::new("designer.built_in").at("id").with("read", &face.id).into());
    }
    write_whole(&data.join("faces"), &format!("{}.toml", face.id), &face.to_toml())
}

/// Takes other colors for a class from now on.
pub fn keep_colors(data: &Path, class: CoverClass, colors: [&str; 2]) -> Result<(), PressError> {
    let palette = find_palette(data)?.with(class, colors)?;
    write_whole(data, "colors.toml", &palette.to_toml())
}

/// Keeps what was measured of a printer; one of the same name is replaced.
pub fn keep_printer(data: &Path, printer: &PrinterRecord) -> Result<(), PressError> {
    let PrinterRecord { name, offset_x, offset_y, scale } = printer;
    let long = name.chars().count() > 40 || name.chars().any(char::is_control);
    if name.trim().is_empty() || long {
        return Err(Refusal::new("calibration.name").at("name").into());
    }
    // Names are for people, in any script; those of files are not.
    let file: String = name.bytes().map(|byte| format!("{byte:02x}")).collect();
    let text = format!(
        "name = {}\noffset_x = {offset_x}\noffset_y = {offset_y}\nscale = {scale}\n",
        toml::Value::String(name.clone())
    );
    write_whole(&data.join("printers"), &format!("{file}.toml"), &text)
}

fn write_whole(folder: &Path, name: &str, text: &str) -> Result<(), PressError> {
    let path = folder.join(name);
    let trouble = |source| PressError::File { path: path.clone(), source };
    std::fs::create_dir_all(folder).map_err(trouble)?;
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(trouble)?;
    file.write_all(text.as_bytes()).and_then(|()| file.as_file().sync_all()).map_err(trouble)?;
    file.persist(&path).map_err(|error| trouble(error.error))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(trouble)
}
