//! What a workbook holds beside its sheets: their names, the shared texts, the styles of days.

use std::borrow::Cow;
use std::io::Read;

use quick_xml::events::Event;

use super::archive::Archive;
use super::shared_texts::SharedTexts;
use super::xml::{MAX_EVENT, Xml, attribute, push_reference};
use crate::domain::Refusal;

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

/// Reads the table of shared texts.
pub(super) fn read_shared(archive: &Archive) -> Result<SharedTexts, Refusal> {
    let mut shared = SharedTexts::new(archive.folder());
    let Some(mut xml) = part(archive, "xl/sharedStrings.xml")? else { return Ok(shared) };
    let (mut taking, mut phonetic) = (false, false);
    let mut text = String::new();
    loop {
        match xml.next()? {
            Event::Start(start) => match start.local_name().as_ref() {
                "t" => taking = !phonetic,
                "rPh" => phonetic = true,
                _ => {}
            },
            Event::Text(part) if taking => text.push_str(&part.xml10_content()),
            Event::CData(part) if taking => text.push_str(&part.xml10_content()),
            Event::GeneralRef(reference) if taking => push_reference(&mut text, &reference),
            Event::End(end) => match end.local_name().as_ref() {
                "t" => taking = false,
                "rPh" => phonetic = false,
                "si" => {
                    shared.push(&unescaped(&text))?;
                    text.clear();
                }
                _ => {}
            },
            Event::Eof => return Ok(shared),
            _ => {}
        }
        if text.len() > MAX_EVENT {
            return Err(Refusal::new("xml.too_long"));
        }
    }
}

/// Signs that XML cannot hold are written by their number, as `_x000D_` in workbooks.
pub(super) fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains("_x") {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("_x") {
        let sign = rest
            .get(at + 2..at + 7)
            .and_then(|escape| escape.strip_suffix('_'))
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .and_then(char::from_u32);
        plain.push_str(&rest[..at]);
        match sign {
            Some(sign) => {
                plain.push(sign);
                rest = &rest[at + 7..];
            }
            None => {
                plain.push_str("_x");
                rest = &rest[at + 2..];
            }
        }
    }
    plain.push_str(rest);
    Cow::Owned(plain)
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
                    styles.push(own.unwrap_or_else(|| is_date_format(id)));
                }
                _ => {}
            },
            Event::End(end) if end.local_name().as_ref() == "cellXfs" => within = false,
            Event::Eof => return Ok(styles),
            _ => {}
        }
    }
}

/// Whether a number format that every spreadsheet has shows days; some are those of East Asia.
pub(super) fn is_date_format(id: u32) -> bool {
    matches!(id, 14..=22 | 27..=36 | 45..=47 | 50..=58)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_by_their_number_are_read_and_what_only_looks_like_it_stays() {
        for (text, plain) in [
            ("黄河路_x000D_\n南侧", "黄河路\r\n南侧"),
            ("a_x0041_b_x005F_x0041_", "aAb_x0041_"),
            ("_x00G1_ _x12 _x井井_", "_x00G1_ _x12 _x井井_"),
            ("max_x", "max_x"),
        ] {
            assert_eq!(unescaped(text), plain);
        }
    }
}
