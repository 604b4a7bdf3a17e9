//! The pages of a SQLite database, written front to back: rows come in the order of their ids, so that a
//! b-tree is its leaves one after the other and a few pages above them. Through the database itself every
//! value is bound, passed to a thread and put into a page that is looked for again; that took most of the
//! time of an export. The format is <https://www.sqlite.org/fileformat2.html>, and stays as it is.

use std::io::{self, BufWriter, Seek, SeekFrom, Write};

pub(super) const PAGE: usize = 4096;
/// SQLite locks bytes of this page and never uses it.
const LOCK_PAGE: u32 = ((1u64 << 30) / PAGE as u64) as u32 + 1;
/// Children of a page inside a tree: fewer than fit, whatever their keys are.
const FANOUT: usize = 260;
/// Bytes of the first page that belong to the file and not to its tree.
const FILE_HEADER: usize = 100;
/// Longest payload of a row, and of an entry of an index, that stays on its page.
const MOST_IN_LEAF: usize = PAGE - 35;
const MOST_IN_INDEX: usize = (PAGE - 12) * 64 / 255 - 23;
/// How much of a longer one stays at least.
const LEAST_IN_LEAF: usize = (PAGE - 12) * 32 / 255 - 23;

const LEAF: u8 = 0x0d;
const INSIDE: u8 = 0x05;
const INDEX_LEAF: u8 = 0x0a;

type Page = Box<[u8; PAGE]>;

fn blank() -> Page {
    Box::new([0; PAGE])
}

/// A database file on its way out.
pub(super) struct Pages<W: Write + Seek> {
    out: BufWriter<W>,
    /// Number of the page that comes next.
    next: u32,
}

impl<W: Write + Seek> Pages<W> {
    pub(super) fn begin(out: W) -> io::Result<Self> {
        let mut pages = Self { out: BufWriter::with_capacity(1 << 20, out), next: 1 };
        // Its place is taken; what stands on it is known last.
        pages.append(&[0; PAGE])?;
        Ok(pages)
    }

    fn append(&mut self, page: &[u8; PAGE]) -> io::Result<u32> {
        let number = after(self.next - 1);
        if number != self.next {
            self.out.write_all(&[0; PAGE])?;
        }
        self.out.write_all(page)?;
        self.next =
            number.checked_add(1).ok_or_else(|| io::Error::other("the database has too many pages"))?;
        Ok(number)
    }

    /// Writes over what was written.
    pub(super) fn patch(&mut self, page: u32, offset: usize, bytes: &[u8]) -> io::Result<()> {
        self.out.seek(SeekFrom::Start((u64::from(page) - 1) * PAGE as u64 + offset as u64))?;
        self.out.write_all(bytes)?;
        self.out.seek(SeekFrom::End(0)).map(drop)
    }

    /// An index of so few entries that they fit on a page; they stand in their order.
    pub(super) fn index(&mut self, entries: &[Vec<u8>]) -> io::Result<u32> {
        let mut cells = Cells::new(blank());
        for entry in entries {
            let mut cell = Vec::with_capacity(entry.len() + 3);
            push_varint(&mut cell, entry.len() as u64);
            cell.extend_from_slice(entry);
            if entry.len() > MOST_IN_INDEX || !cells.fits(cell.len(), 0) {
                return Err(io::Error::other("an index of the schema does not fit on its page"));
            }
            cells.push(&cell);
        }
        self.append(&cells.into_page(INDEX_LEAF, 0))
    }

    /// Completes the file with its schema.
    pub(super) fn finish(mut self, schema: Tree, numbers: Numbers) -> io::Result<()> {
        let mut first = schema.finish_on_first(&mut self)?;
        let header = &mut first[..FILE_HEADER];
        header[..16].copy_from_slice(b"SQLite format 3\0");
        header[16..18].copy_from_slice(&(PAGE as u16).to_be_bytes());
        // A rollback journal, and no room kept on pages; then fractions that are fixed.
        header[18..24].copy_from_slice(&[1, 1, 0, 64, 32, 32]);
        for (offset, number) in [
            (24, 1),
            (28, self.next - 1),
            (40, 1),
            // Schema format 4, texts in UTF-8.
            (44, 4),
            (56, 1),
            (60, numbers.user_version),
            (68, numbers.application_id),
            (92, 1),
            // The oldest version that reads all of it.
            (96, 3_008_000),
        ] {
            header[offset..offset + 4].copy_from_slice(&number.to_be_bytes());
        }
        self.patch(1, 0, first.as_slice())?;
        self.out.flush()
    }
}

/// What a file says of itself.
pub(super) struct Numbers {
    pub(super) application_id: u32,
    pub(super) user_version: u32,
}

/// The number of the page after this one.
fn after(page: u32) -> u32 {
    page + if page + 1 == LOCK_PAGE { 2 } else { 1 }
}

/// Cells on their way to a page: they fill it from its end, their offsets from its start.
struct Cells {
    page: Page,
    offsets: Vec<u16>,
    content: usize,
}

impl Cells {
    fn new(page: Page) -> Self {
        Self { page, offsets: Vec::with_capacity(64), content: PAGE }
    }

    /// Whether a cell fits besides the header of the tree, which begins at `base`.
    fn fits(&self, length: usize, base: usize) -> bool {
        base + 12 + 2 * (self.offsets.len() + 1) + length <= self.content
    }

    fn push(&mut self, cell: &[u8]) {
        self.content -= cell.len();
        self.page[self.content..self.content + cell.len()].copy_from_slice(cell);
        self.offsets.push(self.content as u16);
    }

    /// `base` is where the header of the tree stands on this page.
    fn into_page(mut self, kind: u8, base: usize) -> Page {
        let page = &mut self.page;
        page[base] = kind;
        page[base + 3..base + 5].copy_from_slice(&(self.offsets.len() as u16).to_be_bytes());
        page[base + 5..base + 7].copy_from_slice(&(self.content as u16).to_be_bytes());
        let mut at = base + if kind == INSIDE { 12 } else { 8 };
        for offset in &self.offsets {
            page[at..at + 2].copy_from_slice(&offset.to_be_bytes());
            at += 2;
        }
        self.page
    }
}

/// A table on its way out; its rows come in the order of their ids.
pub(super) struct Tree {
    leaf: Cells,
    /// Where the headers of its pages begin at the latest.
    base: usize,
    last: i64,
    /// Above the leaves, level by level: pages with the highest id below them.
    levels: Vec<Vec<(u32, i64)>>,
    first_leaf: Option<u32>,
    cell: Vec<u8>,
}

impl Tree {
    pub(super) fn new() -> Self {
        Self::with_base(0)
    }

    /// The one whose root is the first page.
    pub(super) fn of_schema() -> Self {
        Self::with_base(FILE_HEADER)
    }

    fn with_base(base: usize) -> Self {
        Self {
            leaf: Cells::new(blank()),
            base,
            last: 0,
            levels: Vec::new(),
            first_leaf: None,
            cell: Vec::with_capacity(PAGE),
        }
    }

    pub(super) fn push<W: Write + Seek>(
        &mut self,
        pages: &mut Pages<W>,
        id: i64,
        record: &[u8],
    ) -> io::Result<()> {
        let mut cell = std::mem::take(&mut self.cell);
        cell.clear();
        push_varint(&mut cell, record.len() as u64);
        push_varint(&mut cell, id as u64);
        if record.len() <= MOST_IN_LEAF {
            cell.extend_from_slice(record);
        } else {
            let rest = LEAST_IN_LEAF + (record.len() - LEAST_IN_LEAF) % (PAGE - 4);
            let (here, elsewhere) = record.split_at(if rest <= MOST_IN_LEAF { rest } else { LEAST_IN_LEAF });
            cell.extend_from_slice(here);
            cell.extend_from_slice(&overflow(pages, elsewhere)?.to_be_bytes());
        }
        if !self.leaf.fits(cell.len(), self.base) {
            self.flush_leaf(pages)?;
        }
        self.leaf.push(&cell);
        self.last = id;
        self.cell = cell;
        Ok(())
    }

    fn flush_leaf<W: Write + Seek>(&mut self, pages: &mut Pages<W>) -> io::Result<()> {
        let leaf = std::mem::replace(&mut self.leaf, Cells::new(blank()));
        let page = pages.append(&leaf.into_page(LEAF, 0))?;
        self.first_leaf.get_or_insert(page);
        self.push_child(pages, 0, (page, self.last))
    }

    fn push_child<W: Write + Seek>(
        &mut self,
        pages: &mut Pages<W>,
        level: usize,
        child: (u32, i64),
    ) -> io::Result<()> {
        if self.levels.len() == level {
            self.levels.push(Vec::with_capacity(FANOUT));
        }
        if self.levels[level].len() == FANOUT {
            // The last one begins the next page, because no page may have a single child.
            let children: Vec<_> = self.levels[level].drain(..FANOUT - 1).collect();
            let page = pages.append(&inside(&children, 0))?;
            self.push_child(pages, level + 1, (page, children[FANOUT - 2].1))?;
        }
        self.levels[level].push(child);
        Ok(())
    }

    /// Writes what is left; answers the root.
    pub(super) fn finish<W: Write + Seek>(mut self, pages: &mut Pages<W>) -> io::Result<u32> {
        self.flush_leaf(pages)?;
        let mut level = 0;
        loop {
            let children = std::mem::take(&mut self.levels[level]);
            let (root, last) = match children[..] {
                [only] => only,
                _ => (pages.append(&inside(&children, 0))?, children[children.len() - 1].1),
            };
            level += 1;
            if self.levels.len() == level {
                return Ok(root);
            }
            self.push_child(pages, level, (root, last))?;
        }
    }

    /// Writes what is left but the root, which stands on the first page.
    fn finish_on_first<W: Write + Seek>(mut self, pages: &mut Pages<W>) -> io::Result<Page> {
        if self.levels.is_empty() {
            return Ok(self.leaf.into_page(LEAF, FILE_HEADER));
        }
        self.flush_leaf(pages)?;
        match &self.levels[..] {
            [children] => Ok(inside(children, FILE_HEADER)),
            _ => Err(io::Error::other("the schema has too many entries")),
        }
    }

    /// The page of the first row, once it is written.
    pub(super) fn first_leaf(&self) -> Option<u32> {
        self.first_leaf
    }
}

fn inside(children: &[(u32, i64)], base: usize) -> Page {
    let mut cells = Cells::new(blank());
    let mut cell = Vec::with_capacity(16);
    let (right, others) = children.split_last().expect("a page inside a tree has children");
    for (page, last) in others {
        cell.clear();
        cell.extend_from_slice(&page.to_be_bytes());
        push_varint(&mut cell, *last as u64);
        cells.push(&cell);
    }
    let mut page = cells.into_page(INSIDE, base);
    page[base + 8..base + 12].copy_from_slice(&right.0.to_be_bytes());
    page
}

/// Writes the rest of a long row on pages of its own; answers the first of them.
fn overflow<W: Write + Seek>(pages: &mut Pages<W>, rest: &[u8]) -> io::Result<u32> {
    let first = after(pages.next - 1);
    let mut number = first;
    let mut parts = rest.chunks(PAGE - 4).peekable();
    while let Some(part) = parts.next() {
        let mut page = blank();
        let next = if parts.peek().is_some() { after(number) } else { 0 };
        page[..4].copy_from_slice(&next.to_be_bytes());
        page[4..4 + part.len()].copy_from_slice(part);
        pages.append(&page)?;
        number = next;
    }
    Ok(first)
}

/// Most significant bits first, seven a byte; a ninth byte holds eight.
fn push_varint(out: &mut Vec<u8>, value: u64) {
    if value >> 56 != 0 {
        let mut rest = value >> 8;
        let mut bytes = [0; 9];
        bytes[8] = value as u8;
        for byte in bytes[..8].iter_mut().rev() {
            *byte = rest as u8 & 0x7f | 0x80;
            rest >>= 7;
        }
        out.extend_from_slice(&bytes);
        return;
    }
    let groups = (64 - value.leading_zeros()).div_ceil(7).max(1);
    for group in (0..groups).rev() {
        let more = if group > 0 { 0x80 } else { 0 };
        out.push((value >> (7 * group)) as u8 & 0x7f | more);
    }
}

/// The values of a row, as SQLite stores them.
#[derive(Default)]
pub(super) struct Record {
    types: Vec<u8>,
    body: Vec<u8>,
    whole: Vec<u8>,
}

impl Record {
    pub(super) fn null(&mut self) -> &mut Self {
        self.types.push(0);
        self
    }

    pub(super) fn int(&mut self, number: i64) -> &mut Self {
        let (kind, bytes) = match number {
            0 => (8, 0),
            1 => (9, 0),
            -0x80..=0x7f => (1, 1),
            -0x8000..=0x7fff => (2, 2),
            -0x80_0000..=0x7f_ffff => (3, 3),
            -0x8000_0000..=0x7fff_ffff => (4, 4),
            -0x8000_0000_0000..=0x7fff_ffff_ffff => (5, 6),
            _ => (6, 8),
        };
        self.types.push(kind);
        self.body.extend_from_slice(&number.to_be_bytes()[8 - bytes..]);
        self
    }

    pub(super) fn real(&mut self, number: f64) -> &mut Self {
        self.types.push(7);
        self.body.extend_from_slice(&number.to_be_bytes());
        self
    }

    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        push_varint(&mut self.types, 13 + 2 * text.len() as u64);
        self.body.extend_from_slice(text.as_bytes());
        self
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        push_varint(&mut self.types, 12 + 2 * bytes.len() as u64);
        self.body.extend_from_slice(bytes);
        self
    }

    /// The row; what was said is forgotten.
    pub(super) fn take(&mut self) -> &[u8] {
        self.whole.clear();
        // The length of the header counts itself.
        let length = self.types.len() as u64 + if self.types.len() < 127 { 1 } else { 2 };
        push_varint(&mut self.whole, length);
        self.whole.extend_from_slice(&self.types);
        self.whole.extend_from_slice(&self.body);
        self.types.clear();
        self.body.clear();
        &self.whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn varint(value: u64) -> Vec<u8> {
        let mut out = Vec::new();
        push_varint(&mut out, value);
        out
    }

    #[test]
    fn numbers_take_as_many_bytes_as_they_need() {
        for (value, bytes) in [
            (0u64, vec![0]),
            (127, vec![0x7f]),
            (128, vec![0x81, 0]),
            (16_384, vec![0x81, 0x80, 0]),
            ((1 << 56) - 1, vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
            (u64::MAX, vec![0xff; 9]),
        ] {
            assert_eq!(varint(value), bytes, "{value}");
        }
        assert_eq!(varint(1 << 56).len(), 9);
    }

    #[test]
    fn the_page_that_sqlite_locks_is_left_out() {
        assert_eq!(LOCK_PAGE, 262_145);
        assert_eq!((after(262_143), after(262_144), after(262_146)), (262_144, 262_146, 262_147));
    }

    type Row = (i64, Option<Vec<u8>>);

    /// Reads a database with SQLite itself: its own check, and every row.
    fn read_back(file: &std::path::Path) -> (String, Vec<Row>) {
        use sqlx::Connection;
        let path = file.to_owned();
        let work = async move {
            let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).read_only(true);
            let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
            let check: String =
                sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut connection).await.unwrap();
            let rows = sqlx::query_as("SELECT id, data FROM t ORDER BY id")
                .fetch_all(&mut connection)
                .await
                .unwrap();
            (check, rows)
        };
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    }

    fn round_trip(rows: &[(i64, Vec<u8>)]) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.db");
        let mut pages = Pages::begin(std::fs::File::create(&path).unwrap()).unwrap();
        let (mut tree, mut record) = (Tree::new(), Record::default());
        for (id, data) in rows {
            tree.push(&mut pages, *id, record.null().bytes(data).take()).unwrap();
        }
        let root = tree.finish(&mut pages).unwrap();
        let mut schema = Tree::of_schema();
        let sql = "CREATE TABLE t(id INTEGER PRIMARY KEY, data)";
        let row = record.text("table").text("t").text("t").int(i64::from(root)).text(sql).take();
        schema.push(&mut pages, 1, row).unwrap();
        pages.finish(schema, Numbers { application_id: 7, user_version: 8 }).unwrap();
        let (check, read) = read_back(&path);
        assert_eq!(check, "ok");
        assert_eq!(read.len(), rows.len());
        for ((id, data), (read_id, read_data)) in rows.iter().zip(&read) {
            assert!(id == read_id && Some(data) == read_data.as_ref(), "row {id} of {} bytes", data.len());
        }
    }

    #[test]
    fn sqlite_reads_tables_of_every_height() {
        for count in [0, 1, 2, 70, 71, 40_000] {
            let rows: Vec<_> = (1..=count).map(|id| (id * 3, vec![id as u8; 50])).collect();
            round_trip(&rows);
        }
        // One leaf more than fits below one page, and two: no page may be left with a single child.
        for leaves in [260, 261, 519, 520, 521] {
            let rows: Vec<_> = (1..=leaves).map(|id| (id, vec![7; 3000])).collect();
            round_trip(&rows);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn sqlite_reads_rows_of_every_length(
            lengths in proptest::collection::vec(prop_oneof![0usize..300, 3900usize..4300, 8000usize..13_000], 1..60),
            first in prop_oneof![-200i64..200, i64::MIN..i64::MIN + 3, i64::MAX - 80..i64::MAX - 60],
        ) {
            let row = |(at, length): (usize, &usize)| {
                (first.saturating_add(at as i64), (0..*length).map(|byte| (byte * 7 + at) as u8).collect())
            };
            round_trip(&lengths.iter().enumerate().map(row).collect::<Vec<_>>());
        }
    }
}
