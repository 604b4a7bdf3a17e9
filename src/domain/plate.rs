//! 铭牌: the physical plate with a life of its own.

use super::Refusal;
use super::ids::{BatchId, CoverId, ManholeId, Millis, UserId};
use super::names::named_enum;
use super::token::Token;

named_enum! {
    /// A plate's life: made → printed → issued → installed → damaged / lost → replaced / revoked; spoiled
    /// is one that never left the shop and is printed once more.
    PlateState as "plate_state" {
        Made = "made",
        Printed = "printed",
        Spoiled = "spoiled",
        Issued = "issued",
        Installed = "installed",
        Damaged = "damaged",
        Lost = "lost",
        Replaced = "replaced",
        Revoked = "revoked",
    }
}

impl PlateState {
    /// Whether a plate may go from this state to `next`. A token is never recycled: nothing leads
    /// back from replaced or revoked.
    pub const fn may_become(self, next: PlateState) -> bool {
        use PlateState::*;
        matches!(
            (self, next),
            (Made, Printed | Spoiled | Revoked)
                | (Printed, Spoiled | Issued | Installed | Replaced | Revoked | Lost)
                | (Spoiled, Printed | Replaced | Revoked)
                | (Issued, Printed | Issued | Installed | Damaged | Lost | Replaced | Revoked)
                | (Installed, Damaged | Lost | Replaced | Revoked)
                | (Damaged | Lost, Replaced | Revoked | Installed)
        )
    }

    /// Refuses a step that the plate's life does not know.
    pub fn check_step(self, next: PlateState) -> Result<(), Refusal> {
        if self.may_become(next) {
            Ok(())
        } else {
            Err(Refusal::new("plate.step").with("from", self).with("to", next))
        }
    }

    /// Whether a scan of it still speaks for the cover.
    pub const fn is_live(self) -> bool {
        !matches!(self, PlateState::Replaced | PlateState::Revoked)
    }
}

named_enum! {
    /// Where on its cover a plate hangs. A cover wears at most one on each.
    PlateSpot as "plate_spot" {
        /// On the cover, the frame or the kerb: for everybody.
        Public = "public",
        /// Under the cover, for those who open it: it outlives the one outside.
        Inner = "inner",
    }
}

named_enum! {
    /// How plates are made.
    #[derive(Default)]
    Finish as "finish" {
        /// In the colors of the classes, as UV printing does.
        #[default]
        Color = "color",
        /// Black alone, for lasers and thermal printers: no gray that would be rastered.
        Mono = "mono",
        /// For steel whose ground is etched and filled: everything dark but texts, band and the symbol's
        /// square. The symbol itself stays dark on light, as decoders want it.
        Inverted = "inverted",
    }
}

/// How a symbol was drawn, so that a reprint is the same symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SymbolRecord {
    /// QR version 1–40.
    pub version: u8,
    /// Error-correction level: 'M', 'Q' or 'H'.
    pub level: char,
    /// Mask pattern 0–7.
    pub mask: u8,
}

/// A plate as the ledger knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plate {
    pub token: Token,
    pub batch: BatchId,
    /// From 1 within its batch.
    pub ordinal: i64,
    pub state: PlateState,
    /// What the symbol says.
    pub payload: String,
    pub face: String,
    pub symbol: SymbolRecord,
    /// `None` = a blank plate, to be bound in the field.
    pub cover: Option<CoverId>,
    pub manhole: Option<ManholeId>,
    /// Digits printed on the plate; `None` on a blank one.
    pub printed_code: Option<String>,
    pub page: i64,
    pub place_on_page: i64,
    /// The plate that took over.
    pub successor: Option<Token>,
    pub spot: PlateSpot,
    /// The crew that has it; `None` unless it is issued.
    pub holder: Option<UserId>,
    pub state_at: Millis,
}

/// Where somebody stood with a plate, and how far that is from where its cover was surveyed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlateFix {
    /// Degrees of CGCS2000.
    pub lon: f64,
    pub lat: f64,
    pub accuracy_m: Option<f64>,
    /// `None` = the cover was surveyed with this very fix.
    pub distance_m: Option<f64>,
}

/// One step of a plate's life after it was made.
#[derive(Debug, Clone, PartialEq)]
pub struct PlateEvent {
    /// From 1 within the plate's life.
    pub step: i64,
    pub at: Millis,
    /// As in the history of a file.
    pub actor: String,
    /// What it became.
    pub state: PlateState,
    pub reason: Option<String>,
    pub holder: Option<UserId>,
    pub cover: Option<CoverId>,
    pub fix: Option<PlateFix>,
}

#[cfg(test)]
mod tests {
    use super::PlateState::{self, *};

    #[test]
    fn nothing_leads_back_from_the_end_of_a_plates_life() {
        for end in [Replaced, Revoked] {
            for next in PlateState::ALL {
                assert!(!end.may_become(*next), "{end} → {next}");
            }
        }
        assert!(Printed.may_become(Installed));
        assert!(!Made.may_become(Installed));
    }
}
