//! What a workbook holds beside its sheets: their names, the shared texts, the styles of days.

use std::io::Read;

use quick_xml::events::Event;

use super::archive::Archive;
use super::xml::{Xml, attribute, push_reference};
use crate::domain::Refusal;

/// What the table of shared texts may come to, packed.
const MAX_SHARED: usize = 192 << 20;
const MAX_SHARED_COUNT: usize = 12_000_000;
const MAX_SHEETS: usize = 1000;
const MAX_STYLES: usize = 100_000;

pub(super) struct Workbook {
    pub(super) sheets: Vec<Sheet>,
    pub(super) since_1904: bool,
}

pub(super) struct Sheet {
    pub(super) name: String,
    /// Where its XML is in the archive.
    pub(super) entry: String,
    pub(super) hidden: bool,
}

impl Workbook {
    pub(super) fn read(archive: &Archive) -> Result<Self, Refusal> {
        let mut sheets: Vec<(String, String, bool)> = Vec::new();
        let mut since_1904 = false;
        let mut xml = part(archive, "xl/workbook.xml")?
            .ok_or_else(|| Refusal::new("sheet.unreadable").with("reason", "xl/workbook.xml"))?;
        loop {
            match xml.next()? {
                Event::Start(start) => match start.local_name().as_ref() {
                    "workbookPr" => {
                        since_1904 =
                            attribute(&start, "date1904").is_some_and(|is| is == "1" || is == "true");
                    }
                    "sheet" if sheets.len() < MAX_SHEETS => {
                        let hidden = attribute(&start, "state").is_some_and(|state| state != "visible");
                        // `r:id`; the plain `sheetId` has another local name.
                        if let (Some(name), Some(id)) = (attribute(&start, "name"), attribute(&start, "id")) {
                            sheets.push((name, id, hidden));
                        }
                    }
                    _ => {}
                },
                Event::Eof => break,
                _ => {}
            }
        }
        let mut targets = Vec::new();
        if let Some(mut xml) = part(archive, "xl/_rels/workbook.xml.rels")? {
            loop {
                match xml.next()? {
                    Event::Start(start)
                        if start.local_name().as_ref() == "Relationship"
                            && targets.len() < 10 * MAX_SHEETS =>
                    {
                        if let (Some(id), Some(target)) =
                            (attribute(&start, "Id"), attribute(&start, "Target"))
                        {
                            targets.push((id, target));
                        }
                    }
                    Event::Eof => break,
                    _ => {}
                }
            }
        }
        let sheets = sheets
            .into_iter()
            .filter_map(|(name, id, hidden)| {
                let (_, target) = targets.iter().find(|(known, _)| *known == id)?;
                let entry = match target.strip_prefix('/') {
                    Some(absolute) => absolute.to_owned(),
                    None => format!("xl/{target}"),
                };
                Some(Sheet { name, entry, hidden })
            })
            .collect();
        Ok(Self { sheets, since_1904 })
    }
}

fn part(archive: &Archive, name: &str) -> Result<Option<Xml<super::archive::EntryReader>>, Refusal> {
    archive.find(name).map(|entry| Ok(Xml::new(archive.reader(entry)?))).transpose()
}

/// The shared texts, one behind the other.
#[derive(Default)]
pub(super) struct Shared {
    texts: String,
    ends: Vec<u32>,
}

impl Shared {
    pub(super) fn read(archive: &Archive) -> Result<Self, Refusal> {
        let mut shared = Self::default();
        let Some(mut xml) = part(archive, "xl/sharedStrings.xml")? else { return Ok(shared) };
        let (mut taking, mut phonetic) = (false, false);
        loop {
            match xml.next()? {
                Event::Start(start) => match start.local_name().as_ref() {
                    "t" => taking = !phonetic,
                    "rPh" => phonetic = true,
                    _ => {}
                },
                Event::Text(text) if taking => shared.texts.push_str(&text.xml10_content()),
                Event::CData(text) if taking => shared.texts.push_str(&text.xml10_content()),
                Event::GeneralRef(reference) if taking => push_reference(&mut shared.texts, &reference),
                Event::End(end) => match end.local_name().as_ref() {
                    "t" => taking = false,
                    "rPh" => phonetic = false,
                    "si" => shared.ends.push(shared.texts.len() as u32),
                    _ => {}
                },
                Event::Eof => break,
                _ => {}
            }
            if shared.texts.len() > MAX_SHARED || shared.ends.len() > MAX_SHARED_COUNT {
                return Err(Refusal::new("sheet.too_many_texts"));
            }
        }
        Ok(shared)
    }

    pub(super) fn text(&self, at: usize) -> Option<&str> {
        let end = *self.ends.get(at)? as usize;
        let from = at.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        self.texts.get(from..end)
    }
}

/// Whether each cell style shows its numbers as days.
pub(super) fn read_styles(archive: &Archive) -> Result<Vec<bool>, Refusal> {
    let mut formats: Vec<(u32, bool)> = Vec::new();
    let mut styles = Vec::new();
    let Some(mut xml) = part(archive, "xl/styles.xml")? else { return Ok(styles) };
    let mut within = false;
    loop {
        match xml.next()? {
            Event::Start(start) => match start.local_name().as_ref() {
                "numFmt" if formats.len() < MAX_STYLES => {
                    let id = attribute(&start, "numFmtId").and_then(|id| id.parse().ok());
                    if let (Some(id), Some(code)) = (id, attribute(&start, "formatCode")) {
                        formats.push((id, shows_days(&code)));
                    }
                }
                "cellXfs" => within = true,
                "xf" if within && styles.len() < MAX_STYLES => {
                    let id: u32 = attribute(&start, "numFmtId").and_then(|id| id.parse().ok()).unwrap_or(0);
                    let own = formats.iter().find(|(known, _)| *known == id).map(|(_, days)| *days);
                    styles.push(own.unwrap_or(matches!(id, 14..=22 | 27..=36 | 45..=47 | 50..=58)));
                }
                _ => {}
            },
            Event::End(end) if end.local_name().as_ref() == "cellXfs" => within = false,
            Event::Eof => return Ok(styles),
            _ => {}
        }
    }
}

/// Whether a number format such as `yyyy"年"m"月"` has parts of a day in it.
pub(super) fn shows_days(code: &str) -> bool {
    let (mut quoted, mut bracketed, mut escaped) = (false, false, false);
    for character in code.chars() {
        match character {
            _ if escaped => escaped = false,
            '\\' | '_' => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '[' => bracketed = true,
            ']' => bracketed = false,
            _ if bracketed => {}
            'y' | 'Y' | 'd' | 'D' | 'h' | 'H' | 'm' | 'M' | 's' | 'S' => return true,
            // Only the part for positive numbers counts.
            ';' => return false,
            _ => {}
        }
    }
    false
}

/// Whether an archive is a workbook.
pub(super) fn is_workbook(archive: &Archive) -> bool {
    archive.find("xl/workbook.xml").is_some()
}

/// Whether an archive is an OpenDocument spreadsheet.
pub(super) fn is_open_document(archive: &Archive) -> bool {
    archive.find("content.xml").is_some()
        && archive.find("mimetype").and_then(|entry| archive.reader(entry).ok()).is_some_and(|entry| {
            let mut kind = String::new();
            entry.take(100).read_to_string(&mut kind).is_ok() && kind.contains("opendocument.spreadsheet")
        })
}
