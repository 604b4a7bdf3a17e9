//! GeoJSON → cells, one feature at a time: a collection, a single feature, or one feature per line.
//! Features are cut out of the stream here (strings and depth), because the reader of the `geojson`
//! crate seeks the first `[`, wherever it stands; numbers are kept as written, so that an id of
//! nineteen digits stays one.

use std::io::Read;

use super::csv::read_more;
use super::declared::DeclaredCrs;
use super::encoding::Encoding;
use super::geojson_parts::{
    Cut, FEATURE_START_MAX, Feature, MAX_FEATURE, Scan, Top, candidate, declared_in, find_feature, find_text,
    is_feature, refusal_of, starts_feature, unreadable,
};
use super::mapping::Mapper;
use super::text::Text;
use super::{Findings, Item, Problem, RowReader, Scope, Told, refuse_by_magic, shown, shown_bytes};
use crate::domain::Refusal;

pub(super) struct GeoJsonReader<R> {
    input: Text<R>,
    /// What is read at once.
    chunk: Vec<u8>,
    buffer: Vec<u8>,
    /// Where the next unread thing starts in `buffer`.
    start: usize,
    input_ended: bool,
    input_failed: Option<std::io::Error>,
    state: State,
    /// Features met so far; the line of a problem.
    ordinal: u64,
    crs: Option<DeclaredCrs>,
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

impl<R: Read> GeoJsonReader<R> {
    pub(super) fn new(input: R, told: &Told) -> Self {
        Self {
            input: Text::new(input, told.encoding),
            chunk: Vec::new(),
            buffer: Vec::new(),
            start: 0,
            input_ended: false,
            input_failed: None,
            state: State::Fresh,
            ordinal: 0,
            crs: None,
        }
    }

    fn open(&mut self) -> Option<Item> {
        while self.buffer.len() < 4 && self.fill() {}
        self.state = State::Done;
        if let Some(refusal) = refuse_by_magic(self.input.head()) {
            return Some(self.of_file("", refusal));
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
                let encoding = self.input.found().map_or(Encoding::Utf8, |found| found.encoding);
                let refusal =
                    Refusal::new("text.misfit").with("column", "geometry").with("encoding", encoding);
                return Err(Problem::of_row(line, &read, refusal));
            }
        };
        match serde_json::from_str::<Feature>(text) {
            Ok(feature) => {
                candidate(&feature, line, mapper).map_err(|flaw| flaw.into_problem(line, Scope::Row))
            }
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
        let mut scan = Scan::within(1);
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

    /// Looks at the members of a collection beside its features; a file in a reference system that
    /// is not understood is refused as a whole.
    fn check_collection(&mut self, members: &[u8], mapper: &Mapper<'_>) -> Option<Item> {
        let top: Top = match serde_json::from_slice(members) {
            Ok(top) => top,
            Err(error) => return Some(self.of_file(&shown_bytes(members), unreadable(&error))),
        };
        if let Some(kind) = top.kind.filter(|kind| kind != "FeatureCollection") {
            return Some(self.of_file(&kind, Refusal::new("geojson.type").with("read", shown(&kind))));
        }
        let declared = declared_in(&top.crs?)?;
        let heard = match self.state {
            State::Tail => mapper.declare_late(&declared),
            _ => mapper.declare(&declared),
        };
        let read = declared.to_string();
        self.crs = Some(declared);
        heard.err().map(|refusal| {
            self.state = State::Done;
            self.of_file(&read, refusal)
        })
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
            let rest = &self.buffer[self.start.min(self.buffer.len())..];
            // Between texts of a sequence there are line ends, whatever the texts begin with.
            let next = if then == State::Top { find_text(rest) } else { find_feature(rest) };
            if let Some(at) = next {
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
        match read_more(&mut self.input, &mut self.chunk, &mut self.buffer) {
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

impl<R: Read> RowReader for GeoJsonReader<R> {
    fn next_row(&mut self, mapper: &Mapper<'_>) -> Option<Item> {
        loop {
            let item = match self.state {
                State::Fresh => self.open(),
                State::Top => self.next_top(mapper),
                State::Features => self.next_feature(mapper),
                State::Tail => self.read_tail(mapper),
                State::Done => {
                    let failed = self.input_failed.take()?;
                    Some(self.of_file("", super::unreadable(&failed)))
                }
            };
            if item.is_some() {
                return item;
            }
        }
    }

    fn tell(&self, findings: &mut Findings) {
        findings.encoding = self.input.found();
        findings.crs = self.crs.clone();
    }
}
