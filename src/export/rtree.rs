//! A spatial index as SQLite's R-tree keeps it, packed from below: points are brought into the order of a
//! Hilbert curve and fill one node after the other. Point by point through SQLite an index takes longer
//! than all the rest of a GeoPackage, and its nodes stay half empty.

use std::io::{self, Seek, Write};
use std::path::Path;

use super::pages::{PAGE, Pages, Record, Tree};
use super::sorter::Sorter;

/// Cells of a node, and bytes of one, as SQLite chooses them for two dimensions.
const CELLS: usize = 51;
const CELL: usize = 24;
const NODE: usize = 4 + CELLS * CELL;
const ROOT: i64 = 1;

/// West, east, south, north, each rounded away from the middle to the precision of the index.
type Bounds = [f32; 4];

/// Points on their way into an index.
pub(super) struct Points {
    sorter: Sorter<4>,
}

/// Roots of the tables that make up the index.
pub(super) struct Roots {
    pub(super) rowid: u32,
    pub(super) node: u32,
    pub(super) parent: u32,
}

impl Points {
    pub(super) fn new(scratch: &Path) -> Self {
        Self { sorter: Sorter::new(scratch) }
    }

    pub(super) fn push(&mut self, id: i64, x: f64, y: f64) -> io::Result<()> {
        self.sorter.push([along_curve(rank(x), rank(y)), id as u64, x.to_bits(), y.to_bits()])
    }

    pub(super) fn finish<W: Write + Seek>(self, pages: &mut Pages<W>, scratch: &Path) -> io::Result<Roots> {
        let mut nodes = Nodes::begin(pages, scratch)?;
        let mut sorted = self.sorter.sorted()?;
        while let Some([_, id, x, y]) = sorted.next()? {
            let (west, east) = around(f64::from_bits(x));
            let (south, north) = around(f64::from_bits(y));
            nodes.push(0, id as i64, [west, east, south, north])?;
        }
        nodes.finish()
    }
}

/// A number between so close neighbors of lower precision.
fn around(value: f64) -> (f32, f32) {
    let near = value as f32;
    if f64::from(near) > value {
        (near.next_down(), near)
    } else if f64::from(near) < value {
        (near, near.next_up())
    } else {
        (near, near)
    }
}

/// A number's place among all of its precision. Within a city, where it doubles nowhere, places are as
/// far apart as the numbers.
fn rank(value: f64) -> u32 {
    let bits = (value as f32).to_bits();
    if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
}

/// How far along a Hilbert curve through the square of all ranks a point lies.
fn along_curve(mut x: u32, mut y: u32) -> u64 {
    let mut along = 0;
    for bit in (0..32).rev() {
        let (right, upper) = (x >> bit & 1, y >> bit & 1);
        along = along << 2 | u64::from((3 * right) ^ upper);
        if upper == 0 {
            if right == 1 {
                (x, y) = (!x, !y);
            }
            (x, y) = (y, x);
        }
    }
    along
}

/// Nodes on their way out. The root is the first of them and known last, so its place is kept.
struct Nodes<'p, W: Write + Seek> {
    pages: &'p mut Pages<W>,
    table: Tree,
    record: Record,
    levels: Vec<Vec<(i64, Bounds)>>,
    last: i64,
    /// Of every node but the root, by its number: the node above.
    parents: Vec<i64>,
    /// Of every point: the node that holds it.
    holders: Sorter<2>,
}

impl<'p, W: Write + Seek> Nodes<'p, W> {
    fn begin(pages: &'p mut Pages<W>, scratch: &Path) -> io::Result<Self> {
        let (mut table, mut record) = (Tree::new(), Record::default());
        table.push(pages, ROOT, record.null().bytes(&[0; NODE]).take())?;
        Ok(Self {
            pages,
            table,
            record,
            levels: Vec::new(),
            last: ROOT,
            parents: vec![0; 2],
            holders: Sorter::new(scratch),
        })
    }

    fn push(&mut self, level: usize, id: i64, bounds: Bounds) -> io::Result<()> {
        if self.levels.len() == level {
            self.levels.push(Vec::with_capacity(CELLS));
        }
        if self.levels[level].len() == CELLS {
            self.close(level)?;
        }
        self.levels[level].push((id, bounds));
        Ok(())
    }

    /// Writes the node that stands at this level.
    fn close(&mut self, level: usize) -> io::Result<()> {
        let cells = std::mem::replace(&mut self.levels[level], Vec::with_capacity(CELLS));
        self.last += 1;
        let number = self.last;
        self.parents.push(0);
        self.note_holder(level, number, &cells)?;
        let node = to_node(0, &cells);
        self.table.push(self.pages, number, self.record.null().bytes(&node).take())?;
        let mut whole = [f32::INFINITY, f32::NEG_INFINITY, f32::INFINITY, f32::NEG_INFINITY];
        for (_, [west, east, south, north]) in &cells {
            whole = [whole[0].min(*west), whole[1].max(*east), whole[2].min(*south), whole[3].max(*north)];
        }
        self.push(level + 1, number, whole)
    }

    fn note_holder(&mut self, level: usize, node: i64, cells: &[(i64, Bounds)]) -> io::Result<()> {
        for (id, _) in cells {
            if level == 0 {
                // Ids are positive, so that they sort as they are.
                self.holders.push([*id as u64, node as u64])?;
            } else {
                self.parents[*id as usize] = node;
            }
        }
        Ok(())
    }

    fn finish(mut self) -> io::Result<Roots> {
        let mut level = 0;
        while self.levels.len() > level + 1 {
            self.close(level)?;
            level += 1;
        }
        let cells = self.levels.pop().unwrap_or_default();
        self.note_holder(level, ROOT, &cells)?;
        let first_leaf = self.table.first_leaf();
        let node = self.table.finish(self.pages)?;
        // The first row of a page stands at its end, and the node at the end of the row.
        self.pages.patch(first_leaf.unwrap_or(node), PAGE - NODE, &to_node(level as u16, &cells))?;

        let (mut parent, mut rowid) = (Tree::new(), Tree::new());
        for (number, above) in self.parents.iter().enumerate().skip(ROOT as usize + 1) {
            parent.push(self.pages, number as i64, self.record.null().int(*above).take())?;
        }
        let mut holders = self.holders.sorted()?;
        while let Some([id, holder]) = holders.next()? {
            rowid.push(self.pages, id as i64, self.record.null().int(holder as i64).take())?;
        }
        Ok(Roots { rowid: rowid.finish(self.pages)?, node, parent: parent.finish(self.pages)? })
    }
}

/// `depth` is told by the root alone: how many levels lie below it.
fn to_node(depth: u16, cells: &[(i64, Bounds)]) -> [u8; NODE] {
    let mut node = [0; NODE];
    node[..2].copy_from_slice(&depth.to_be_bytes());
    node[2..4].copy_from_slice(&(cells.len() as u16).to_be_bytes());
    for ((id, bounds), cell) in cells.iter().zip(node[4..].chunks_exact_mut(CELL)) {
        cell[..8].copy_from_slice(&id.to_be_bytes());
        for (bound, bytes) in bounds.iter().zip(cell[8..].chunks_exact_mut(4)) {
            bytes.copy_from_slice(&bound.to_be_bytes());
        }
    }
    node
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn neighbors_on_the_curve_are_neighbors_on_the_ground() {
        let mut places: Vec<(u64, i64, i64)> = (0..32)
            .flat_map(|x| (0..32).map(move |y| (x, y)))
            .map(|(x, y)| (along_curve(x, y), i64::from(x), i64::from(y)))
            .collect();
        places.sort_unstable();
        for pair in places.windows(2) {
            let apart = (pair[0].1 - pair[1].1).abs() + (pair[0].2 - pair[1].2).abs();
            assert_eq!(apart, 1, "{pair:?}");
        }
    }

    proptest! {
        #[test]
        fn bounds_hold_the_number_and_ranks_keep_its_order(a in -4e7f64..4e7, b in -180f64..180.0) {
            for value in [a, b] {
                let (low, high) = around(value);
                prop_assert!(f64::from(low) <= value && value <= f64::from(high));
            }
            prop_assert_eq!(rank(a) < rank(b), (a as f32) < (b as f32));
        }
    }
}
