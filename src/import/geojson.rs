//! GeoJSON → cells, one feature at a time: a collection, a single feature, or one feature per line.
//! Features are cut out of the stream here (strings and depth), because the reader of the `geojson`
//! crate seeks the first `[`, wherever it stands; numbers are kept as written, so that an id of
//! nineteen digits stays one.

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::io::Read;

use super::csv::read_more;
use super::mapping::{Cell, Flaw, Mapper, Meaning, Point};
use super::{BOM, Problem, Scope, refuse_by_magic, shown, shown_bytes};
use crate::domain::Refusal;
use crate::domain::cover::Candidate;

/// A feature longer than this is a problem; so is a collection with a longer preamble.
const MAX_FEATURE: usize = 1 << 20;

pub(super) struct GeoJsonReader<R> {
    input: R,
    buffer: Vec<u8>,
    /// Where the next unread thing starts in `buffer`.
    start: usize,
    input_ended: bool,
    input_failed: Option<std::io::Error>,
    state: State,
    /// Features met so far; the line of a problem.
    ordinal: u64,
    /// EPSG code that the file declares.
    epsg: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first thing of the file.
    Fresh,
    /// Between things at the top level.
    Top,
    /// Between the elements of `features`.
    Features,
    /// After the `]` of `features`.
    Tail,
    Done,
}

/// What was cut off the stream.
enum Cut {
    /// The next so many bytes from `start`.
    Whole(usize),
    /// The input ended before the thing did.
    Ended,
    TooLong,
    /// A line break inside a string: no thing ends where its braces seem to say.
    Broken,
}

type Item = Result<Candidate, Problem>;

impl<R: Read> GeoJsonReader<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            buffer: Vec::new(),
            start: 0,
            input_ended: false,
            input_failed: None,
            state: State::Fresh,
            ordinal: 0,
            epsg: None,
        }
    }

    pub(super) fn next_row(&mut self, mapper: &Mapper<'_>) -> Option<Item> {
        loop {
            let item = match self.state {
                State::Fresh => self.open(),
                State::Top => self.next_top(mapper),
                State::Features => self.next_feature(mapper),
                State::Tail => self.read_tail(mapper),
                State::Done => {
                    let failed = self.input_failed.take()?;
                    Some(self.of_file("", Refusal::new("file.unreadable").with("reason", failed)))
                }
            };
            if item.is_some() {
                return item;
            }
        }
    }

    fn open(&mut self) -> Option<Item> {
        while self.buffer.len() < 4 && self.fill() {}
        self.state = State::Done;
        if let Some(refusal) = refuse_by_magic(&self.buffer) {
            return Some(self.of_file("", refusal));
        }
        if self.buffer.starts_with(BOM) {
            self.start = BOM.len();
        }
        match self.skip_blanks() {
            Some(b'{') => {
                self.state = State::Top;
                None
            }
            Some(_) => Some(self.of_file(&self.rest_shown(), Refusal::new("geojson.not_an_object"))),
            None if self.input_failed.is_some() => None,
            None => Some(self.of_file("", Refusal::new("file.empty"))),
        }
    }

    fn next_top(&mut self, mapper: &Mapper<'_>) -> Option<Item> {
        match self.skip_blanks() {
            Some(b'{') => {}
            Some(_) => {
                self.state = State::Done;
                return Some(self.of_file(&self.rest_shown(), Refusal::new("json.trailing")));
            }
            None => {
                self.state = State::Done;
                return None;
            }
        }
        match self.cut_top() {
            (Cut::Whole(len), true) => {
                // The members before `features`, closed by hand so that they can be read.
                let mut head = self.buffer[self.start..self.start + len].to_vec();
                head.extend_from_slice(b":[]}");
                self.start += len;
                self.state = State::Features;
                self.skip_blanks(); // the colon's blanks
                self.start += 1;
                self.skip_blanks();
                self.start += 1;
                self.check_collection(&head, mapper)
            }
            (Cut::Whole(len), false) => {
                let range = self.start..self.start + len;
                self.start = range.end;
                if is_feature(&self.buffer[range.clone()]) {
                    self.ordinal += 1;
                    return Some(self.read_feature(range, mapper));
                }
                let kind = serde_json::from_slice::<Top>(&self.buffer[range.clone()]);
                let read = shown_bytes(&self.buffer[range]);
                Some(self.of_file(
                    &read,
                    match kind {
                        Ok(top) if top.kind.as_deref() == Some("FeatureCollection") => {
                            Refusal::new("geojson.no_features")
                        }
                        Ok(top) => {
                            Refusal::new("geojson.type").with("read", shown(&top.kind.unwrap_or_default()))
                        }
                        Err(error) => unreadable(&error),
                    },
                ))
            }
            (cut, _) => {
                let rest = &self.buffer[self.start..];
                let read = shown_bytes(rest);
                let feature = starts_feature(rest);
                if feature {
                    self.ordinal += 1;
                }
                let refusal = refusal_of(&cut);
                // A line that is broken must not take the lines after it along.
                self.seek_feature(State::Top);
                let scope = if feature { Scope::Row } else { Scope::File };
                Some(Err(Problem::new(self.ordinal, scope, &read, refusal)))
            }
        }
    }

    fn next_feature(&mut self, mapper: &Mapper<'_>) -> Option<Item> {
        loop {
            match self.skip_blanks() {
                Some(b',') => self.start += 1,
                Some(b']') => {
                    self.start += 1;
                    self.state = State::Tail;
                    return None;
                }
                Some(b'{') => break,
                Some(_) => {
                    let len = self.stray_len();
                    let read = shown_bytes(&self.buffer[self.start..self.start + len]);
                    self.start += len;
                    self.ordinal += 1;
                    let refusal = Refusal::new("geojson.not_a_feature");
                    return Some(Err(Problem::of_row(self.ordinal, &read, refusal)));
                }
                None => {
                    self.state = State::Done;
                    if self.input_failed.is_some() {
                        return None;
                    }
                    return Some(self.of_file("", Refusal::new("json.truncated")));
                }
            }
        }
        self.ordinal += 1;
        match self.cut_value() {
            Cut::Whole(len) => {
                let range = self.start..self.start + len;
                self.start = range.end;
                Some(self.read_feature(range, mapper))
            }
            cut => {
                let problem =
                    Problem::of_row(self.ordinal, &shown_bytes(&self.buffer[self.start..]), refusal_of(&cut));
                self.seek_feature(State::Features);
                Some(Err(problem))
            }
        }
    }

    fn read_feature(&mut self, range: std::ops::Range<usize>, mapper: &Mapper<'_>) -> Item {
        let line = self.ordinal;
        let text = match std::str::from_utf8(&self.buffer[range.clone()]) {
            Ok(text) => text,
            Err(_) => {
                let read = shown_bytes(&self.buffer[range]);
                return Err(Problem::of_row(line, &read, Refusal::new("text.not_utf8")));
            }
        };
        match serde_json::from_str::<Feature>(text) {
            Ok(feature) => candidate(&feature, line, self.epsg, mapper)
                .map_err(|flaw| flaw.into_problem(line, Scope::Row)),
            Err(error) => {
                let problem = Problem::of_row(line, text, unreadable(&error));
                // Braces that do not match can have swallowed the next features.
                if let Some(at) = find_feature(&self.buffer[range.start + 1..range.end]) {
                    self.start = range.start + 1 + at;
                }
                Err(problem)
            }
        }
    }

    /// After the features: a late `crs` and the end of the object.
    fn read_tail(&mut self, mapper: &Mapper<'_>) -> Option<Item> {
        let mut tail = b"{".to_vec();
        let mut scan = Scan { depth: 1, ..Scan::default() };
        let mut at = self.start;
        loop {
            while let Some(byte) = self.buffer.get(at).copied() {
                at += 1;
                scan.step(byte);
                if scan.depth == 0 {
                    tail.extend_from_slice(&self.buffer[self.start..at]);
                    self.start = at;
                    let tail: Vec<u8> = match tail.iter().position(|byte| *byte == b',') {
                        Some(comma) if tail[1..comma].trim_ascii().is_empty() => {
                            [b"{", &tail[comma + 1..]].concat()
                        }
                        _ => tail,
                    };
                    let item = self.check_collection(&tail, mapper);
                    // The rows are out; what follows the object is read whatever its tail said.
                    self.state = State::Top;
                    return item;
                }
            }
            if tail.len() < MAX_FEATURE {
                tail.extend_from_slice(&self.buffer[self.start..]);
            }
            self.start = self.buffer.len();
            if !self.fill() {
                self.state = State::Done;
                if self.input_failed.is_some() {
                    return None;
                }
                return Some(self.of_file("", Refusal::new("json.truncated")));
            }
            at = self.start;
        }
    }

    /// Looks at the members of a collection beside its features; a file in another reference
    /// system is refused as a whole.
    fn check_collection(&mut self, members: &[u8], mapper: &Mapper<'_>) -> Option<Item> {
        let top: Top = match serde_json::from_slice(members) {
            Ok(top) => top,
            Err(error) => return Some(self.of_file(&shown_bytes(members), unreadable(&error))),
        };
        if let Some(kind) = top.kind.filter(|kind| kind != "FeatureCollection") {
            return Some(self.of_file(&kind, Refusal::new("geojson.type").with("read", shown(&kind))));
        }
        let name = top.crs?.properties?.name?;
        match mapper.crs_of_name(&name) {
            Ok(epsg) => self.epsg = Some(epsg),
            Err(refusal) => {
                self.state = State::Done;
                return Some(self.of_file(&name, refusal));
            }
        }
        None
    }

    fn of_file(&self, read: &str, refusal: Refusal) -> Item {
        Err(Problem::of_file(self.ordinal, read, refusal))
    }

    fn rest_shown(&self) -> String {
        shown_bytes(&self.buffer[self.start..])
    }

    /// Moves `start` to the next byte that is not blank.
    fn skip_blanks(&mut self) -> Option<u8> {
        loop {
            while let Some(byte) = self.buffer.get(self.start) {
                // RS 0x1E separates the texts of a JSON text sequence (RFC 8142).
                if !byte.is_ascii_whitespace() && *byte != 0x1E {
                    return Some(*byte);
                }
                self.start += 1;
            }
            if !self.fill() {
                return None;
            }
        }
    }

    /// Cuts the object at `start`.
    fn cut_value(&mut self) -> Cut {
        let mut scan = Scan::default();
        let mut at = self.start;
        loop {
            while let Some(byte) = self.buffer.get(at).copied() {
                at += 1;
                if scan.step(byte) {
                    return Cut::Broken;
                }
                if scan.depth == 0 {
                    return Cut::Whole(at - self.start);
                }
            }
            if at - self.start > MAX_FEATURE {
                return Cut::TooLong;
            }
            let scanned = at - self.start;
            if !self.fill() {
                return Cut::Ended;
            }
            at = self.start + scanned;
        }
    }

    /// Cuts the object at `start`, or its beginning up to and with the key `features` where an
    /// array follows (`true`). The key must stand at the top: a name may contain the word.
    fn cut_top(&mut self) -> (Cut, bool) {
        let mut scan = Scan::default();
        let mut at = self.start;
        let mut key_start = None;
        // The key `features` ended here, and only a colon may stand between it and the array.
        let mut key_end = None;
        loop {
            while let Some(byte) = self.buffer.get(at).copied() {
                let was_in_text = scan.in_text;
                if scan.step(byte) {
                    return (Cut::Broken, false);
                }
                if scan.in_text && !was_in_text && scan.depth == 1 {
                    key_start = Some(at - self.start);
                } else if was_in_text && !scan.in_text && scan.depth == 1 {
                    let key = key_start.take().map(|from| &self.buffer[self.start + from..=at]);
                    key_end = (key == Some(b"\"features\"")).then_some(at + 1 - self.start);
                } else if let Some(end) = key_end {
                    match byte {
                        b'[' if self.buffer[self.start + end..at].contains(&b':') => {
                            return (Cut::Whole(end), true);
                        }
                        b':' => {}
                        _ if byte.is_ascii_whitespace() => {}
                        _ => key_end = None,
                    }
                }
                at += 1;
                if scan.depth == 0 {
                    return (Cut::Whole(at - self.start), false);
                }
            }
            if at - self.start > MAX_FEATURE {
                return (Cut::TooLong, false);
            }
            let scanned = at - self.start;
            if !self.fill() {
                return (Cut::Ended, false);
            }
            at = self.start + scanned;
        }
    }

    /// Bytes of something that is no object, up to where an element can begin or end.
    fn stray_len(&mut self) -> usize {
        let mut scan = Scan::default();
        let mut len = 0;
        loop {
            while let Some(byte) = self.buffer.get(self.start + len).copied() {
                let outside = !scan.in_text && scan.depth <= 0;
                if len > 0 && outside && matches!(byte, b',' | b']' | b'{') {
                    return len;
                }
                if len > MAX_FEATURE || scan.step(byte) {
                    return len.max(1);
                }
                len += 1;
            }
            if !self.fill() {
                return len;
            }
        }
    }

    /// After something broken at `start`: goes on where the next feature visibly begins.
    fn seek_feature(&mut self, then: State) {
        self.start += 1;
        loop {
            if let Some(at) = find_feature(&self.buffer[self.start.min(self.buffer.len())..]) {
                self.start += at;
                self.state = then;
                return;
            }
            // The beginning of a feature may lie across the edge of what was read.
            self.start = self.start.max(self.buffer.len().saturating_sub(FEATURE_START_MAX));
            if !self.fill() {
                self.start = self.buffer.len();
                self.state = State::Done;
                return;
            }
        }
    }

    fn fill(&mut self) -> bool {
        if self.input_ended {
            return false;
        }
        if self.start > 0 {
            self.buffer.drain(..self.start.min(self.buffer.len()));
            self.start = 0;
        }
        match read_more(&mut self.input, &mut self.buffer) {
            Ok(0) => self.input_ended = true,
            Ok(_) => return true,
            Err(error) => {
                self.input_ended = true;
                self.input_failed = Some(error);
            }
        }
        false
    }
}

/// Follows strings and depth through JSON.
#[derive(Default)]
struct Scan {
    depth: i64,
    in_text: bool,
    escaped: bool,
}

impl Scan {
    /// `true` = a line break inside a string, which JSON does not allow.
    fn step(&mut self, byte: u8) -> bool {
        if self.in_text {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_text = false,
                b'\n' => return true,
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' => self.in_text = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth -= 1,
            _ => {}
        }
        false
    }
}

fn refusal_of(cut: &Cut) -> Refusal {
    Refusal::new(match cut {
        Cut::Whole(_) | Cut::Ended => "json.truncated",
        Cut::TooLong => "row.too_long",
        Cut::Broken => "json.line_break",
    })
}

fn unreadable(error: &serde_json::Error) -> Refusal {
    Refusal::new("json.unreadable").with("reason", error)
}

/// Bytes within which the visible beginning of a feature fits.
const FEATURE_START_MAX: usize = 64;

/// Where `{"type":"Feature"` begins, blanks allowed.
fn find_feature(data: &[u8]) -> Option<usize> {
    (0..data.len()).find(|at| data[*at] == b'{' && starts_feature(&data[*at..]))
}

fn starts_feature(data: &[u8]) -> bool {
    let mut rest = &data[..data.len().min(FEATURE_START_MAX)];
    for token in [&b"{"[..], b"\"type\"", b":", b"\"Feature\""] {
        match rest.trim_ascii_start().strip_prefix(token) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    true
}

/// Whether this object says that it is a feature, wherever its `type` stands.
fn is_feature(data: &[u8]) -> bool {
    starts_feature(data)
        || serde_json::from_slice::<Top>(data).is_ok_and(|top| top.kind.as_deref() == Some("Feature"))
}

#[derive(Deserialize)]
struct Top {
    #[serde(rename = "type")]
    kind: Option<String>,
    crs: Option<Crs>,
}

#[derive(Deserialize)]
struct Crs {
    properties: Option<CrsProperties>,
}

#[derive(Deserialize)]
struct CrsProperties {
    name: Option<String>,
}

#[derive(Deserialize)]
struct Feature<'t> {
    #[serde(rename = "type", default, borrow)]
    kind: Option<Text<'t>>,
    #[serde(default, borrow)]
    geometry: Option<&'t RawValue>,
    #[serde(default, borrow)]
    properties: Option<Properties<'t>>,
    #[serde(default, borrow)]
    id: Option<&'t RawValue>,
}

#[derive(Deserialize)]
struct Geometry<'t> {
    #[serde(rename = "type", default, borrow)]
    kind: Option<Text<'t>>,
    #[serde(default, borrow)]
    coordinates: Option<&'t RawValue>,
}

#[derive(Deserialize)]
struct Text<'t>(#[serde(borrow)] Cow<'t, str>);

/// The members of `properties` in their order, values as written.
struct Properties<'t>(Vec<(Cow<'t, str>, &'t RawValue)>);

impl<'de: 't, 't> Deserialize<'de> for Properties<'t> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Properties<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(16);
                while let Some((Text(name), value)) = map.next_entry()? {
                    members.push((name, value));
                }
                Ok(Properties(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// The text of a value: strings without their quotes, `null` as nothing, all else as written.
fn text_of(value: &RawValue) -> Cow<'_, str> {
    match value.get().as_bytes().first() {
        Some(b'"') => match serde_json::from_str::<Text>(value.get()) {
            Ok(Text(text)) => text,
            // A lone surrogate; shown as written.
            Err(_) => Cow::Borrowed(value.get()),
        },
        Some(b'n') => Cow::Borrowed(""),
        _ => Cow::Borrowed(value.get()),
    }
}

fn candidate(
    feature: &Feature<'_>,
    line: u64,
    epsg: Option<u32>,
    mapper: &Mapper<'_>,
) -> Result<Candidate, Flaw> {
    if feature.kind.as_ref().is_none_or(|kind| kind.0 != "Feature") {
        let read = feature.kind.as_ref().map_or("", |kind| &kind.0);
        return Err(Flaw::new(Refusal::new("geojson.not_a_feature")).read(read));
    }
    let point = feature.geometry.map(|geometry| point_of(geometry, epsg)).transpose()?;
    let empty = Vec::new();
    let members = feature.properties.as_ref().map_or(&empty, |properties| &properties.0);
    let texts: Vec<(&str, Meaning, Cow<'_, str>)> = members
        .iter()
        .map(|(name, value)| (name.as_ref(), mapper.meaning_of(name), text_of(value)))
        .chain(
            feature
                .id
                .filter(|_| mapper.wants("@id"))
                .map(|id| ("@id", mapper.meaning_of("@id"), text_of(id))),
        )
        .collect();
    let cells = texts.iter().map(|(name, meaning, text)| Cell { name, meaning, text: text.as_ref() });
    mapper.candidate(line, cells, point)
}

fn point_of(geometry: &RawValue, epsg: Option<u32>) -> Result<Point, Flaw> {
    let flaw = |refusal: Refusal| Flaw::new(refusal).column("geometry").read(geometry.get());
    let shape: Geometry = serde_json::from_str(geometry.get()).map_err(|error| flaw(unreadable(&error)))?;
    let kind = shape.kind.as_ref().map_or("", |kind| &kind.0);
    if kind != "Point" {
        return Err(flaw(Refusal::new("geometry.type").at("position").with("read", shown(kind))));
    }
    // As text first: serde_json reads numbers to within a last bit, and surveyed coordinates are
    // kept exactly as given.
    let written: Option<Vec<&RawValue>> =
        shape.coordinates.and_then(|coordinates| serde_json::from_str(coordinates.get()).ok());
    let ordinates: Option<Vec<f64>> =
        written.and_then(|written| written.iter().map(|ordinate| ordinate.get().parse().ok()).collect());
    match ordinates.as_deref() {
        Some([]) => Err(flaw(Refusal::new("position.missing").at("position"))),
        Some([x, y, rest @ ..]) => Ok(Point { x: *x, y: *y, z: rest.first().copied(), epsg }),
        _ => Err(flaw(Refusal::new("geometry.coordinates").at("position"))),
    }
}
