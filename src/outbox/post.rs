//! One HTTP request to a receiver, within bounds: no redirects, 15 seconds, 64 kB of answer, and no address inside the
//! house unless the city says so. Names are looked up when a connection is made and every address that comes back is
//! judged, so that a name cannot be pointed elsewhere after it was looked at.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderValue, Method, Request, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::crypto::ring::default_provider;
use url::{Host, Url};

use crate::domain::receiver::may_connect;

/// How long a request may take from its start to the end of its answer.
const TIMEOUT: Duration = Duration::from_secs(15);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Most bytes of an answer that are read.
const ANSWER_LIMIT: usize = 64 * 1024;
/// Connections to one receiver that are kept for the next events.
pub(super) const CONNECTIONS: usize = 64;

/// What came of a request.
#[derive(Debug)]
pub(super) enum Answer {
    Said {
        status: u16,
        /// Seconds after which it wants to be asked again.
        retry_after_s: Option<i64>,
        /// Empty where it was longer than anybody reads.
        body: Vec<u8>,
    },
    /// No connection.
    Unreached(String),
    /// A connection and no answer.
    Silent(String),
}

/// The client. Cheap to clone; connections are shared.
#[derive(Clone)]
pub(super) struct Post {
    client: Client<HttpsConnector<HttpConnector<Guarded>>, Full<Bytes>>,
    private: bool,
}

impl Post {
    /// `private`: whether receivers may lie in the house's own network.
    pub(super) fn new(private: bool) -> io::Result<Self> {
        let mut http = HttpConnector::new_with_resolver(Guarded { private });
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(CONNECT_TIMEOUT));
        // The machine's certificates, among which a city's own may be; Mozilla's where it has none.
        let tls = match HttpsConnectorBuilder::new().with_provider_and_native_roots(default_provider()) {
            Ok(tls) => tls,
            Err(_) => HttpsConnectorBuilder::new()
                .with_provider_and_webpki_roots(default_provider())
                .map_err(io::Error::other)?,
        };
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(CONNECTIONS)
            .build(tls.https_or_http().enable_http1().wrap_connector(http));
        Ok(Self { client, private })
    }

    /// Sends JSON with these headers.
    pub(super) async fn send(&self, url: &Url, headers: &[(&'static str, String)], body: Bytes) -> Answer {
        let literal = match url.host() {
            Some(Host::Ipv4(ip)) => Some(IpAddr::V4(ip)),
            Some(Host::Ipv6(ip)) => Some(IpAddr::V6(ip)),
            _ => None,
        };
        if literal.is_some_and(|ip| !may_connect(ip, self.private)) {
            return Answer::Unreached(REFUSED.to_owned());
        }
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(url.as_str())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("lidmark/", env!("CARGO_PKG_VERSION")));
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let request = match request.body(Full::new(body)) {
            Ok(request) => request,
            Err(error) => return Answer::Silent(error.to_string()),
        };
        match tokio::time::timeout(TIMEOUT, self.ask(request)).await {
            Ok(answer) => answer,
            Err(_) => Answer::Silent(format!("no answer within {} s", TIMEOUT.as_secs())),
        }
    }

    async fn ask(&self, request: Request<Full<Bytes>>) -> Answer {
        let response = match self.client.request(request).await {
            Ok(response) => response,
            Err(error) if error.is_connect() => return Answer::Unreached(cause(&error)),
            Err(error) => return Answer::Silent(cause(&error)),
        };
        let status = response.status().as_u16();
        let after = response.headers().get(header::RETRY_AFTER).map(HeaderValue::to_str);
        let retry_after_s = after.and_then(|after| after.ok()?.trim().parse().ok());
        let read = Limited::new(response.into_body(), ANSWER_LIMIT).collect().await;
        let body = read.map(|read| read.to_bytes().to_vec()).unwrap_or_default();
        Answer::Said { status, retry_after_s, body }
    }
}

/// The innermost reason: the outer ones say that it was a client, and an error.
fn cause(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

const REFUSED: &str = "its address lies in a network that nothing is sent to";

/// Looks names up and leaves out addresses that nothing is sent to.
#[derive(Clone)]
struct Guarded {
    private: bool,
}

impl tower::Service<Name> for Guarded {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let private = self.private;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let fit: Vec<SocketAddr> = found.filter(|address| may_connect(address.ip(), private)).collect();
            match fit.is_empty() {
                true => Err(io::Error::new(io::ErrorKind::PermissionDenied, REFUSED)),
                false => Ok(fit.into_iter()),
            }
        })
    }
}
