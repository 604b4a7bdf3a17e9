//! One cover changed by hand: its fields, and its code.

use serde_json::{Map, Value, json};

use super::amend::{self, Amended, CoverOrder, Versions};
use super::fields::{self, Known};
use super::reports::clean_text;
use super::{Registry, RegistryError};
use crate::domain::Refusal;
use crate::domain::case::TEXT_LIMIT;
use crate::domain::code::{ComponentCode, Scheme};
use crate::domain::cover::{CoverClass, CoverFile};
use crate::domain::edit::{self, CodeChoice, CoverEdit};
use crate::domain::history::HistoryKind;
use crate::domain::ids::{CoverId, Millis};
use crate::domain::role::Actor;
use crate::store::covers::SequenceMove;
use crate::store::{Tx, covers, edits};

/// Fields to be changed.
#[derive(Debug, Clone)]
pub struct FieldEdit {
    pub edit: CoverEdit,
    pub code: CodeChoice,
}

/// A code to be given instead of the present one.
#[derive(Debug, Clone)]
pub struct CodeEdit {
    /// As somebody types it; `None` = the next free one.
    pub code: Option<String>,
    /// `None` = the scheme of the present code.
    pub scheme: Option<String>,
}

impl Registry {
    /// Changes fields of one cover. Fields of its place change for every cover of the manhole. Where the
    /// scheme says so, the cover gets a new code and keeps the old one as an alias. Without a change
    /// nothing is written.
    pub async fn edit_cover(&self, mut order: CoverOrder<FieldEdit>) -> Result<Amended, RegistryError> {
        order.reason = clean_text(&order.reason, "reason", TEXT_LIMIT)?;
        order.what.edit = fields::checked(order.what.edit)?;
        let FieldEdit { edit, code } = &order.what;
        let what = json!({"edit": edit, "position": edit.position, "code": code});
        let registry = self.clone();
        self.amend("edit", order, what, move |tx, cover, order, now| {
            let registry = registry.clone();
            Box::pin(async move { edit_fields(tx, &registry, cover, order, now).await })
        })
        .await
    }

    /// Gives a cover another code; the present one stays as an alias that finds it.
    pub async fn change_code(&self, mut order: CoverOrder<CodeEdit>) -> Result<Amended, RegistryError> {
        order.reason = needed_reason(&order.reason)?;
        let what = json!({"code": order.what.code, "scheme": order.what.scheme});
        let registry = self.clone();
        self.amend("code", order, what, move |tx, cover, order, now| {
            let registry = registry.clone();
            Box::pin(async move { give_other_code(tx, &registry, cover, order, now).await })
        })
        .await
    }

    /// The codes that a cover had before.
    pub async fn list_former_codes(&self, cover: CoverId) -> Result<Vec<ComponentCode>, RegistryError> {
        Ok(edits::list_aliases(&mut self.store.read().await?, cover).await?)
    }
}

/// A reason that must be given.
pub(super) fn needed_reason(text: &str) -> Result<String, Refusal> {
    let reason = clean_text(text, "reason", TEXT_LIMIT)?;
    if reason.is_empty() {
        return Err(Refusal::new("form.missing").at("reason").with("field", "reason"));
    }
    Ok(reason)
}

async fn edit_fields(
    tx: &mut Tx,
    registry: &Registry,
    cover: CoverId,
    order: CoverOrder<FieldEdit>,
    now: Millis,
) -> Result<CoverId, RegistryError> {
    let known = Known::read(tx, order.what.edit.moves()).await?;
    let CoverOrder { expected_version, reason, actor, what, .. } = &order;
    let change = OneChange { cover, expected_version: *expected_version, what, reason, actor };
    let changed = change_cover(tx, (registry, &known), change, now).await?;
    amend::tell(tx, now, changed.versions.into_keys()).await?;
    Ok(cover)
}

/// Fields of one cover to be set.
pub(super) struct OneChange<'o> {
    pub cover: CoverId,
    /// The version that the person saw.
    pub expected_version: i64,
    pub what: &'o FieldEdit,
    pub reason: &'o str,
    pub actor: &'o Actor,
}

/// What became of a cover whose fields were set.
pub(super) struct Changed {
    pub version: i64,
    pub code: ComponentCode,
    /// The covers whose versions moved on; empty when it was so already.
    pub versions: Versions,
}

/// Sets fields of one cover that must still be as the person saw it, with its line in the file. Telling the feed is
/// left to the caller, who may have more to change.
pub(super) async fn change_cover(
    tx: &mut Tx,
    (registry, known): (&Registry, &Known),
    change: OneChange<'_>,
    now: Millis,
) -> Result<Changed, RegistryError> {
    let OneChange { cover, expected_version, what, reason, actor } = change;
    let taken = amend::take_expected(tx, cover, expected_version).await?;
    amend::refuse_retired(registry, &taken.file)?;
    let before = &taken.file;
    let (mut after, mut fields) = fields::edited(before, &what.edit, known)?;
    if fields.is_empty() {
        let versions = Versions::new();
        return Ok(Changed { version: before.version, code: before.code.clone(), versions });
    }
    edit::check_position(&before.survey.position, &after.survey.position, reason)?;
    if let Some(code) = code_after(tx, registry, before, &after, what.code).await? {
        fields.extend(give_code(tx, registry, before, &code).await?);
        after.code = code;
    }
    let versions = amend::write(tx, before, &after, &fields).await?.ok_or_else(amend::changed_meanwhile)?;
    refuse_shared_code(tx, &after).await?;
    let body = amend::body(cover, &versions, fields, json!({"why": reason}));
    let place = (before.manhole, &taken.locked);
    amend::enter(tx, place, (actor, now), HistoryKind::Updated, body).await?;
    let version = versions.get(&cover).copied().unwrap_or(before.version);
    Ok(Changed { version, code: after.code, versions })
}

/// The new code of a cover that becomes `after`; `None` when it keeps its own.
pub(super) async fn code_after(
    tx: &mut Tx,
    registry: &Registry,
    before: &CoverFile,
    after: &CoverFile,
    choice: CodeChoice,
) -> Result<Option<ComponentCode>, RegistryError> {
    let scheme = match registry.scheme(&before.code.scheme) {
        Ok(scheme) => scheme,
        // A scheme that is not known here any more cannot number; the code stays.
        Err(_) if choice != CodeChoice::New => return Ok(None),
        Err(error) => return Err(error),
    };
    if !edit::wants_new_code(before, after, choice, scheme)? {
        return Ok(None);
    }
    Ok(Some(next_code(tx, scheme, &after.survey.district, after.survey.class).await?))
}

/// The next free code of a scheme.
pub(super) async fn next_code(
    tx: &mut Tx,
    scheme: &Scheme,
    district: &str,
    class: CoverClass,
) -> Result<ComponentCode, RegistryError> {
    // Refuses what the scheme cannot number before a number is taken.
    scheme.compose(district, class, 1)?;
    loop {
        let step =
            SequenceMove { scheme: scheme.id.clone(), district: district.to_owned(), class, number: 1 };
        let last = covers::advance_sequences(tx, &[step]).await?;
        let code = scheme.compose(district, class, last.first().copied().unwrap_or_default() as u64)?;
        // A census may have brought a code beyond the sequence.
        let known = covers::list_code_owners(tx, &[&code]).await?;
        if !known.iter().any(|owner| owner.code == code)
            && edits::find_alias_owner(tx, &code).await?.is_none()
        {
            return Ok(code);
        }
    }
}

/// Reads a code that somebody typed for a cover: of a scheme we know, and saying what the cover is.
pub(super) fn read_code(
    scheme: &Scheme,
    text: &str,
    district: &str,
    class: CoverClass,
) -> Result<(ComponentCode, SequenceMove), Refusal> {
    let (code, parts) = scheme.parse(text)?;
    if parts.class != class || parts.district != district {
        return Err(Refusal::new("code.says_other")
            .at("code")
            .with("read", scheme.grouped(&code.digits))
            .with("class", parts.class)
            .with("district", parts.district)
            .with("is_class", class)
            .with("is_district", district));
    }
    let number = i64::try_from(parts.sequence).unwrap_or(i64::MAX);
    let lift = SequenceMove { scheme: scheme.id.clone(), district: parts.district, class, number };
    Ok((code, lift))
}

/// Keeps a cover's present code as an alias and makes sure that the new one was never another cover's;
/// answers the fields. The cover itself is written by the caller.
pub(super) async fn give_code(
    tx: &mut Tx,
    registry: &Registry,
    before: &CoverFile,
    code: &ComponentCode,
) -> Result<Map<String, Value>, RegistryError> {
    if !edits::take_alias(tx, code, before.cover).await? {
        refuse_taken(tx, registry, code).await?;
    }
    edits::add_alias(tx, &before.code, before.cover).await?;
    Ok(amend::code_field(&before.code, code))
}

/// Refuses a code that a cover has or had.
pub(super) async fn refuse_taken(
    tx: &mut Tx,
    registry: &Registry,
    code: &ComponentCode,
) -> Result<(), RegistryError> {
    let owners = covers::list_code_owners(tx, &[code]).await?;
    if owners.iter().any(|owner| owner.code == *code) || edits::find_alias_owner(tx, code).await?.is_some() {
        let read = registry.grouped_code(code);
        return Err(RegistryError::Conflict(Refusal::new("code.taken").at("code").with("read", read)));
    }
    Ok(())
}

/// On PostgreSQL a code can become an alias while the write of the same code waits for it: looked at
/// again behind the write, it is seen.
pub(super) async fn refuse_shared_code(tx: &mut Tx, after: &CoverFile) -> Result<(), RegistryError> {
    match edits::find_alias_owner(tx, &after.code).await? {
        Some(owner) if owner != after.cover => {
            let read = &after.code.digits;
            Err(RegistryError::Conflict(Refusal::new("code.taken").at("code").with("read", read)))
        }
        _ => Ok(()),
    }
}

async fn give_other_code(
    tx: &mut Tx,
    registry: &Registry,
    cover: CoverId,
    order: CoverOrder<CodeEdit>,
    now: Millis,
) -> Result<CoverId, RegistryError> {
    let taken = amend::take_expected(tx, cover, order.expected_version).await?;
    amend::refuse_retired(registry, &taken.file)?;
    let before = &taken.file;
    let (district, class) = (&before.survey.district, before.survey.class);
    let scheme = registry.scheme(order.what.scheme.as_deref().unwrap_or(&before.code.scheme))?;
    let code = match &order.what.code {
        None => next_code(tx, scheme, district, class).await?,
        Some(text) => {
            let (code, lift) = read_code(scheme, text, district, class)?;
            if code == before.code {
                let refusal = Refusal::new("code.same").at("code");
                return Err(refusal.with("read", registry.grouped_code(&code)).into());
            }
            covers::lift_sequences(tx, &[lift]).await?;
            code
        }
    };
    let fields = give_code(tx, registry, before, &code).await?;
    let after = CoverFile { code, ..before.clone() };
    let versions = amend::write(tx, before, &after, &fields).await?.ok_or_else(amend::changed_meanwhile)?;
    refuse_shared_code(tx, &after).await?;
    let body = amend::body(cover, &versions, fields, json!({"why": order.reason}));
    let place = (before.manhole, &taken.locked);
    amend::enter(tx, place, (&order.actor, now), HistoryKind::CodeChanged, body).await?;
    amend::tell(tx, now, versions.into_keys()).await?;
    Ok(cover)
}
