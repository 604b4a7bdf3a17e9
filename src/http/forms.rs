//! Forms: fields and photos, each within its bound, as `multipart/form-data` or URL-encoded.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::multipart::{Field, Multipart, MultipartError};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode};
use futures_util::future::try_join_all;

use super::ask::has_media_type;
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::case::{PHOTO_LIMIT, PhonePosition};
use crate::domain::ids::IdempotencyKey;
use crate::import::decode_text;
use crate::registry::AttachedPhoto;

/// Longest text field, in bytes: 4000 characters of four bytes.
const FIELD_LIMIT: usize = 16_000;
/// Longest text beside a file, in bytes.
const SHORT_TEXT: usize = 1000;
/// Most fields of a form.
const FIELD_COUNT: usize = 60;

/// Name of the parts with photos of before.
pub(super) const BEFORE_PHOTOS: &str = "before_photos";

/// What a form says.
#[derive(Default)]
pub(super) struct Form {
    fields: BTreeMap<String, String>,
    pub photos: Vec<Bytes>,
    /// What was there before, on the forms that ask for it.
    pub before_photos: Vec<Bytes>,
    /// The first part beyond its bound; what stood around it was read all the same.
    trouble: Option<Problem>,
}

impl Form {
    /// A form that says this.
    pub(super) fn of<const N: usize>(pairs: [(&str, &str); N]) -> Self {
        let fields = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self { fields: fields.into(), ..Self::default() }
    }

    /// The form where some fields bring whole texts, each up to so many bytes.
    pub(super) async fn with_texts(
        request: Request,
        state: &AppState,
        texts: &[&str],
        most: usize,
    ) -> Result<Self, Problem> {
        let mut form = Self::parse(request, state, (texts, most)).await?;
        match form.trouble.take() {
            Some(trouble) => Err(trouble),
            None => Ok(form),
        }
    }

    /// The form and what is wrong with one of its parts, for a page that keeps what was typed.
    pub(super) async fn with_trouble(
        request: Request,
        state: &AppState,
    ) -> Result<(Self, Option<Problem>), Problem> {
        let mut form = Self::parse(request, state, (&[], 0)).await?;
        let trouble = form.trouble.take();
        Ok((form, trouble))
    }

    async fn parse(request: Request, state: &AppState, texts: (&[&str], usize)) -> Result<Self, Problem> {
        if has_media_type(request.headers(), "application/x-www-form-urlencoded") {
            let axum::extract::Form(pairs) =
                axum::extract::Form::<Vec<(String, String)>>::from_request(request, state)
                    .await
                    .map_err(|_| Problem::bad_request(Refusal::new("form.unreadable")))?;
            return Ok(Self { fields: pairs.into_iter().collect(), ..Self::default() });
        }
        if !has_media_type(request.headers(), "multipart/form-data") {
            let refusal = Refusal::new("http.media_type").with("fits", "multipart/form-data");
            return Err(Problem { status: StatusCode::UNSUPPORTED_MEDIA_TYPE, refusal });
        }
        let multipart = Multipart::from_request(request, state)
            .await
            .map_err(|_| Problem::bad_request(Refusal::new("form.unreadable")))?;
        read(multipart, state.photos.limits().bytes, texts).await
    }

    /// A field that was filled in; an empty one counts as absent.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// What a field says, though it be nothing; `None` when the form does not have it.
    pub(super) fn given(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(|value| value.trim())
    }

    /// Fields whose names begin so, by the rest of their names.
    pub(super) fn beginning<'f>(&'f self, prefix: &'f str) -> impl Iterator<Item = (&'f str, &'f str)> {
        let fields = self.fields.iter();
        fields.filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?, value.trim())))
    }

    /// A field that must be there.
    pub(super) fn needed(&self, name: &'static str) -> Result<&str, Refusal> {
        self.field(name).ok_or_else(|| Refusal::new("form.missing").at(name).with("field", name))
    }

    /// The key under which the form does what it does once.
    pub(super) fn key(&self) -> Result<IdempotencyKey, Refusal> {
        self.needed("key")?.parse::<IdempotencyKey>().map_err(|refusal| refusal.at("key"))
    }

    /// Refuses fields that the form does not have.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Problem> {
        let before = (!self.before_photos.is_empty()).then_some(BEFORE_PHOTOS);
        let names = self.fields.keys().map(String::as_str).chain(before);
        match names.into_iter().find(|name| !known.contains(name)) {
            Some(name) => Err(Problem::bad_request(Refusal::new("form.unknown_field").with("field", name))),
            None => Ok(()),
        }
    }

    /// The same where some fields have names of their own, told by how they begin.
    pub(super) fn only_or_beginning(&self, known: &[&str], prefix: &str) -> Result<(), Problem> {
        let fits = |name: &&String| known.contains(&name.as_str()) || name.starts_with(prefix);
        match self.fields.keys().find(|name| !fits(name)) {
            Some(name) => Err(Problem::bad_request(Refusal::new("form.unknown_field").with("field", name))),
            None => Ok(()),
        }
    }

    /// Where the phone says it is; absent unless both ordinates are given.
    pub(super) fn phone_position(&self) -> Result<Option<PhonePosition>, Refusal> {
        self.position_of(["lon", "lat", "accuracy_m"])
    }

    /// A place in fields of these names.
    pub(super) fn position_of(
        &self,
        [lon, lat, accuracy_m]: [&'static str; 3],
    ) -> Result<Option<PhonePosition>, Refusal> {
        let number = |name: &'static str| {
            self.field(name)
                .map(|text| {
                    text.parse::<f64>().ok().filter(|number| number.is_finite()).ok_or_else(|| {
                        Refusal::new("form.number").at(name).with("field", name).with("read", shortened(text))
                    })
                })
                .transpose()
        };
        match (number(lon)?, number(lat)?) {
            (Some(lon), Some(lat)) => {
                Ok(Some(PhonePosition { lon, lat, accuracy_m: number(accuracy_m)?.unwrap_or(1000.0) }))
            }
            (None, None) => Ok(None),
            _ => Err(Refusal::new("form.half_position").at(lon)),
        }
    }
}

/// Text as it may be repeated in a sentence.
pub(super) fn shortened(text: &str) -> String {
    text.chars().take(60).collect()
}

impl FromRequest<AppState> for Form {
    type Rejection = Problem;
    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        match Self::with_trouble(request, state).await? {
            (form, None) => Ok(form),
            (_, Some(trouble)) => Err(trouble),
        }
    }
}

async fn read(
    mut multipart: Multipart,
    photo_limit: usize,
    (texts, text_limit): (&[&str], usize),
) -> Result<Form, Problem> {
    let mut form = Form::default();
    let cut_off = |error| match unreadable(error) {
        // The whole is too large: what came before is told all the same.
        problem if problem.status == StatusCode::PAYLOAD_TOO_LARGE => Ok(problem),
        problem => Err(problem),
    };
    loop {
        let mut part = match multipart.next_field().await {
            Ok(Some(part)) => part,
            Ok(None) => return Ok(form),
            Err(error) => {
                form.trouble.get_or_insert(cut_off(error)?);
                return Ok(form);
            }
        };
        let name = part.name().unwrap_or_default().to_owned();
        let is_before = name == BEFORE_PHOTOS;
        let is_photo = is_before || name == "photos";
        // A browser sends one empty part without a name when no photo was chosen.
        let is_chosen = part.file_name().is_some_and(|file| !file.is_empty());
        let limit = match is_photo {
            true => photo_limit,
            false if texts.contains(&name.as_str()) => text_limit,
            false => FIELD_LIMIT,
        };
        let (mut bytes, mut fits) = (Vec::new(), true);
        loop {
            match part.chunk().await {
                Ok(Some(chunk)) if fits && bytes.len() + chunk.len() <= limit => {
                    bytes.extend_from_slice(&chunk);
                }
                Ok(Some(_)) => (bytes, fits) = (Vec::new(), false),
                Ok(None) => break,
                Err(error) => {
                    form.trouble.get_or_insert(cut_off(error)?);
                    return Ok(form);
                }
            }
        }
        if !fits {
            let code = if is_photo { "photo.too_large" } else { "form.field_too_long" };
            let most = if is_photo { photo_limit / 1_000_000 } else { limit };
            let refusal =
                Refusal::new(code).at(name).with("most", most).with("megabytes", photo_limit / 1_000_000);
            form.trouble.get_or_insert(Problem { status: StatusCode::PAYLOAD_TOO_LARGE, refusal });
        } else if is_photo {
            if bytes.is_empty() && !is_chosen {
                continue;
            }
            let photos = if is_before { &mut form.before_photos } else { &mut form.photos };
            if photos.len() == PHOTO_LIMIT {
                let refusal = Refusal::new("photo.too_many")
                    .at(name)
                    .with("count", PHOTO_LIMIT + 1)
                    .with("most", PHOTO_LIMIT);
                form.trouble.get_or_insert(refusal.into());
            } else {
                photos.push(bytes.into());
            }
        } else {
            let is_file = texts.contains(&name.as_str()) && name.ends_with("_file");
            let text = String::from_utf8(bytes)
                .or_else(|error| match is_file {
                    // A table as a spreadsheet program of this country saves it.
                    true => decode_text(error.as_bytes()).ok_or(()),
                    false => Err(()),
                })
                .map_err(|()| {
                    Problem::bad_request(Refusal::new("form.not_utf8").at(name.clone()).with("field", &name))
                })?;
            form.fields.insert(name, text);
            if form.fields.len() > FIELD_COUNT {
                return Err(Problem::bad_request(Refusal::new("form.unreadable")));
            }
        }
    }
}

/// Refuses a body that is no form with files.
pub(super) fn needs_multipart(headers: &HeaderMap) -> Result<(), Problem> {
    if has_media_type(headers, "multipart/form-data") {
        return Ok(());
    }
    let refusal = Refusal::new("http.media_type").with("fits", "multipart/form-data");
    Err(Problem { status: StatusCode::UNSUPPORTED_MEDIA_TYPE, refusal })
}

/// The text of a part that stands before a file.
pub(super) async fn short_text(mut part: Field<'_>, name: &str) -> Result<String, Problem> {
    let mut bytes = Vec::new();
    while let Some(chunk) = part.chunk().await.map_err(unreadable)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > SHORT_TEXT {
            let refusal = Refusal::new("form.field_too_long").at(name.to_owned()).with("most", SHORT_TEXT);
            return Err(Problem { status: StatusCode::PAYLOAD_TOO_LARGE, refusal });
        }
    }
    String::from_utf8(bytes).map_err(|_| {
        Problem::bad_request(Refusal::new("form.not_utf8").at(name.to_owned()).with("field", name))
    })
}

pub(super) fn unreadable(error: MultipartError) -> Problem {
    match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "http.too_large"),
        _ => Problem::bad_request(Refusal::new("form.unreadable")),
    }
}

/// Puts photos on the disk before any row names them.
pub(super) async fn store_photos(
    state: &AppState,
    photos: Vec<Bytes>,
) -> Result<Vec<AttachedPhoto>, Problem> {
    let stored = photos.into_iter().map(|bytes| async {
        let slot = state.shared.photo_slots.acquire().await;
        let photos = state.photos.clone();
        let stored = tokio::task::spawn_blocking(move || photos.intake(&bytes)).await;
        drop(slot);
        let stored =
            stored.map_err(|_| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "photo.unreadable"))??;
        Ok::<_, Problem>(AttachedPhoto {
            digest: stored.digest.0,
            media_type: stored.media_type.as_str().to_owned(),
            bytes: stored.bytes,
            width: stored.width,
            height: stored.height,
            look: stored.look,
        })
    });
    try_join_all(stored).await
}
