//! What is sent in: fields that may come more than once, and files under whatever name a client gives them.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::multipart::Multipart;
use axum::extract::{DefaultBodyLimit, FromRequest, Request};
use sha2::{Digest, Sha256};

use crate::domain::Refusal;
use crate::domain::case::PHOTO_LIMIT;
use crate::http::ask::has_media_type;
use crate::http::forms::unreadable;
use crate::http::public::REPORT_BYTES;
use crate::http::{AppState, Problem};

/// Longest field in bytes: 4000 characters of four bytes.
const FIELD_BYTES: usize = 16_000;
const FIELD_COUNT: usize = 100;

#[derive(Default)]
pub(super) struct SentForm {
    fields: BTreeMap<String, Vec<String>>,
    pub photos: Vec<Bytes>,
}

impl SentForm {
    pub(super) async fn read(mut request: Request, state: &AppState) -> Result<Self, Problem> {
        let mut form = Self::default();
        if has_media_type(request.headers(), "application/x-www-form-urlencoded") {
            let axum::extract::Form(pairs) =
                axum::extract::Form::<Vec<(String, String)>>::from_request(request, state)
                    .await
                    .map_err(|_| Problem::bad_request(Refusal::new("form.unreadable")))?;
            for (name, value) in pairs {
                form.add(&name, value)?;
            }
            return Ok(form);
        }
        if !has_media_type(request.headers(), "multipart/form-data") {
            let fits = "application/x-www-form-urlencoded";
            return Err(Problem::bad_request(Refusal::new("http.media_type").with("fits", fits)));
        }
        DefaultBodyLimit::max(REPORT_BYTES).apply(&mut request);
        let mut multipart = Multipart::from_request(request, state)
            .await
            .map_err(|_| Problem::bad_request(Refusal::new("form.unreadable")))?;
        let photo_bytes = state.photos.limits().bytes;
        while let Some(mut part) = multipart.next_field().await.map_err(unreadable)? {
            let name = part.name().unwrap_or_default().to_owned();
            let is_file = part.file_name().is_some();
            let most = if is_file { photo_bytes } else { FIELD_BYTES };
            let mut bytes = Vec::new();
            while let Some(chunk) = part.chunk().await.map_err(unreadable)? {
                if bytes.len() + chunk.len() > most {
                    let code = if is_file { "photo.too_large" } else { "form.field_too_long" };
                    let refusal = Refusal::new(code).at(name).with("most", most);
                    return Err(Problem::bad_request(refusal.with("megabytes", photo_bytes / 1_000_000)));
                }
                bytes.extend_from_slice(&chunk);
            }
            if is_file {
                // A browser sends an empty one where nothing was chosen.
                if !bytes.is_empty() {
                    form.photos.push(bytes.into());
                }
                if form.photos.len() > PHOTO_LIMIT {
                    let refusal = Refusal::new("photo.too_many").at(name).with("count", form.photos.len());
                    return Err(Problem::bad_request(refusal.with("most", PHOTO_LIMIT)));
                }
                continue;
            }
            let text = String::from_utf8(bytes).map_err(|_| {
                Problem::bad_request(Refusal::new("form.not_utf8").at(name.clone()).with("field", &name))
            })?;
            form.add(&name, text)?;
        }
        Ok(form)
    }

    /// An empty field counts as absent.
    fn add(&mut self, name: &str, value: String) -> Result<(), Problem> {
        let value = value.trim();
        if value.len() > FIELD_BYTES {
            let refusal = Refusal::new("form.field_too_long").at(name.to_owned()).with("most", FIELD_BYTES);
            return Err(Problem::bad_request(refusal));
        }
        if !value.is_empty() {
            self.fields.entry(name.to_owned()).or_default().push(value.to_owned());
        }
        if self.fields.values().map(Vec::len).sum::<usize>() > FIELD_COUNT {
            return Err(Problem::bad_request(Refusal::new("form.unreadable")));
        }
        Ok(())
    }

    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name)?.first().map(String::as_str)
    }

    /// Every value of a field.
    pub(super) fn all(&self, name: &str) -> &[String] {
        self.fields.get(name).map_or(&[], Vec::as_slice)
    }

    /// `attribute[CODE]`, or `attribute[CODE][]`.
    pub(super) fn attribute(&self, code: &str) -> Option<&str> {
        self.field(&format!("attribute[{code}]")).or_else(|| self.field(&format!("attribute[{code}][]")))
    }

    /// Every attribute by its code, with its values.
    pub(super) fn attributes(&self) -> impl Iterator<Item = (&str, String)> {
        self.fields.iter().filter_map(|(name, values)| {
            let code = name.strip_prefix("attribute[")?.trim_end_matches("[]").strip_suffix(']')?;
            Some((code, values.join(", ")))
        })
    }

    /// SHA-256 of everything but the key.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        let mut add = |bytes: &[u8]| {
            hasher.update((bytes.len() as u64).to_be_bytes());
            hasher.update(bytes);
        };
        for (name, values) in self.fields.iter().filter(|(name, _)| *name != "api_key") {
            add(name.as_bytes());
            values.iter().for_each(|value| add(value.as_bytes()));
        }
        self.photos.iter().for_each(|photo| add(photo));
        hasher.finalize().into()
    }
}
