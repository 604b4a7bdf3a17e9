//! Map programs that run in a browser at another address (Maputnik, OpenLayers): they may read tiles and `/ogc` as any
//! program may. Cookies never come along: whoever is to see more sends a token.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

const ANYBODY: (HeaderName, HeaderValue) =
    (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));

/// What a page may read of an answer beside its body.
const READ: &str = "content-crs, etag, link, location, retry-after, ratelimit, ratelimit-policy";

/// What a browser asks before it sends anything unusual.
const ALLOWED: [(HeaderName, HeaderValue); 3] = [
    (header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE")),
    (
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static(
            "accept, accept-language, authorization, content-type, content-crs, if-match, if-none-match",
        ),
    ),
    (header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400")),
];

/// Answers the question before, and dresses the answers.
pub(super) async fn let_in(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if !["/tiles/", "/ogc"].iter().any(|of| path.starts_with(of)) {
        return next.run(request).await;
    }
    let asks = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if asks { StatusCode::NO_CONTENT.into_response() } else { next.run(request).await };
    let headers: &mut HeaderMap = response.headers_mut();
    if asks {
        headers.extend(ALLOWED);
    }
    let (name, anybody) = ANYBODY;
    headers.insert(name, anybody);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(READ));
    response
}
