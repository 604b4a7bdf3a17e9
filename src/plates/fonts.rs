//! Fonts: Noto Sans SC (OFL) in two weights, kept compressed, and cut down to what a batch shows.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use subsetter::GlyphRemapper;
use ttf_parser::Face as FontFace;

use super::face::Weight;

const REGULAR: &[u8] = include_bytes!("../../assets/fonts/NotoSansSC-Regular.ttf.br");
const BOLD: &[u8] = include_bytes!("../../assets/fonts/NotoSansSC-Bold.ttf.br");

/// The bundled font did not read; a defect of the program, not of the order.
#[derive(Debug, thiserror::Error)]
#[error("bundled font {weight:?}: {reason}")]
pub struct FontError {
    weight: Weight,
    reason: String,
}

/// One weight, cut down to a set of characters.
pub(super) struct Font {
    pub(super) weight: Weight,
    glyphs: HashMap<char, Glyph>,
    /// The cut-down TrueType file.
    pub(super) program: Vec<u8>,
    /// Advance of each glyph of `program`, in thousandths of the em.
    pub(super) advances: Vec<u16>,
    /// What each glyph says, for copying and searching.
    pub(super) says: BTreeMap<u16, char>,
    pub(super) ascent: i32,
    pub(super) descent: i32,
    pub(super) cap_height: i32,
    pub(super) bbox: [i32; 4],
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Glyph {
    pub(super) id: u16,
    /// In thousandths of the em.
    pub(super) advance: u16,
}

impl Font {
    /// Cuts a weight down to `characters`. Those it has no glyph for stay unknown to [`Self::glyph`].
    pub(super) fn cut(weight: Weight, characters: &BTreeSet<char>) -> Result<Self, FontError> {
        let broken = |reason: String| FontError { weight, reason };
        let whole = whole(weight)?;
        let font = FontFace::parse(&whole, 0).map_err(|error| broken(error.to_string()))?;
        let em = i32::from(font.units_per_em());
        let per_mille = |units: i32| (units * 1000 + em / 2).div_euclid(em);

        let mut remapper = GlyphRemapper::new();
        let mut glyphs = HashMap::with_capacity(characters.len());
        let mut says: BTreeMap<u16, char> = BTreeMap::new();
        let mut advances = vec![1000];
        for character in characters {
            let Some(old) = font.glyph_index(*character).filter(|old| old.0 != 0) else { continue };
            let id = remapper.remap(old.0);
            let advance =
                per_mille(i32::from(font.glyph_hor_advance(old).unwrap_or(0))).clamp(0, 9999) as u16;
            if usize::from(id) == advances.len() {
                advances.push(advance);
            }
            glyphs.insert(*character, Glyph { id, advance });
            // Radicals share glyphs with ideographs: what is copied should be the ideograph.
            let common = |character: char| ('\u{4e00}'..='\u{9fff}').contains(&character);
            says.entry(id)
                .and_modify(|known| {
                    if !common(*known) && common(*character) {
                        *known = *character;
                    }
                })
                .or_insert(*character);
        }
        let program = subsetter::subset(&whole, 0, &remapper).map_err(|error| broken(error.to_string()))?;
        let bbox = font.global_bounding_box();
        Ok(Self {
            weight,
            glyphs,
            program,
            advances,
            says,
            ascent: per_mille(i32::from(font.ascender())),
            descent: per_mille(i32::from(font.descender())),
            cap_height: per_mille(i32::from(font.capital_height().unwrap_or(733))),
            bbox: [bbox.x_min, bbox.y_min, bbox.x_max, bbox.y_max].map(|units| per_mille(i32::from(units))),
        })
    }

    /// The cut-down font, to draw its glyphs.
    pub(super) fn program(&self) -> Result<FontFace<'_>, FontError> {
        let broken = |error: ttf_parser::FaceParsingError| FontError {
            weight: self.weight,
            reason: error.to_string(),
        };
        FontFace::parse(&self.program, 0).map_err(broken)
    }

    pub(super) fn glyph(&self, character: char) -> Option<Glyph> {
        self.glyphs.get(&character).copied()
    }
}

/// Both weights unpacked, twenty megabytes: while somebody holds them no batch unpacks them anew.
pub struct HeldFonts {
    _whole: [Arc<Vec<u8>>; 2],
}

/// Unpacks both weights, which takes a seventh of a second.
pub fn hold_fonts() -> Result<HeldFonts, FontError> {
    Ok(HeldFonts { _whole: [whole(Weight::Regular)?, whole(Weight::Bold)?] })
}

fn whole(weight: Weight) -> Result<Arc<Vec<u8>>, FontError> {
    static HELD: [Mutex<Weak<Vec<u8>>>; 2] = [const { Mutex::new(Weak::new()) }; 2];
    let mut held = HELD[weight as usize].lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(whole) = held.upgrade() {
        return Ok(whole);
    }
    let whole = decompress(weight).map_err(|error| FontError { weight, reason: error.to_string() })?;
    let whole = Arc::new(whole);
    *held = Arc::downgrade(&whole);
    Ok(whole)
}

fn decompress(weight: Weight) -> std::io::Result<Vec<u8>> {
    let packed = match weight {
        Weight::Regular => REGULAR,
        Weight::Bold => BOLD,
    };
    // Both files decompress to a little over ten megabytes.
    let mut whole = Vec::with_capacity(11 << 20);
    brotli_decompressor::Decompressor::new(packed, 64 << 10).read_to_end(&mut whole)?;
    Ok(whole)
}
