//! Runs of a census 普查导入, as the registry remembers them.

use serde::{Deserialize, Serialize};
use std::fmt;

use super::names::named_enum;

/// Number of a run, from 1 up; people say "import 17".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ImportNumber(pub i64);

impl fmt::Display for ImportNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

named_enum! {
    ImportState as "import_state" {
        /// Under way, or killed on the way.
        Running = "running",
        Done = "done",
        RollingBack = "rolling_back",
        /// What it wrote was taken back, but for what somebody had used since.
        RolledBack = "rolled_back",
    }
}

named_enum! {
    /// What becomes of a cover that a full survey passed over.
    PassedOver as "passed_over" {
        /// 未找到: the survey looked for it in vain.
        NotFound = "not_found",
        /// It is there; the survey missed it.
        Keep = "keep",
    }
}
