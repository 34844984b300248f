//! In what form requests come in and answers go out: local ones only, JSON, and problem+json for everything that
//! fails, whoever finds the fault.

use std::panic::AssertUnwindSafe;

use axum::body::{self, Body};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use govern_api::problem::MEDIA_TYPE;
use govern_core::problem::{Code, Report};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::fault::{Fault, bug, fault};

/// The longest body that is taken, in bytes. Variables and arguments are the longest thing in one.
const MAX_BODY: usize = 256 << 10;

/// The names that a client of ours may call us by.
const HOSTS: [&str; 2] = ["govern.local", "localhost"];

/// A refusal, told as problem+json.
#[derive(Debug)]
pub(super) struct Refused(Fault);

impl Refused {
    /// A refusal with an HTTP status of its own.
    pub(super) fn new(status: StatusCode, fact: &str) -> Refused {
        let mut fault = fault(Report::new(Code::Usage, fact));
        fault.status = status.as_u16();
        Refused(fault)
    }
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Refused {
        Refused(fault)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        written(status, MEDIA_TYPE, &self.0)
    }
}

/// JSON, as it comes in and goes out.
#[derive(Debug)]
pub(super) struct Json<T>(pub(super) T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        written(StatusCode::OK, "application/json", &self.0)
    }
}

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Json<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, _: &S) -> Result<Json<T>, Refused> {
        let Ok(bytes) = body::to_bytes(request.into_body(), MAX_BODY).await else {
            let fact = format!("the request's body is cut short, or has more than {MAX_BODY} bytes");
            return Err(Refused::new(StatusCode::PAYLOAD_TOO_LARGE, &fact));
        };
        let not_understood = |why: serde_json::Error| {
            let report = Report::new(Code::Usage, "the request's body cannot be understood");
            Refused(fault(Report { causes: vec![why.to_string()], ..report }))
        };
        serde_json::from_slice(&bytes).map(Json).map_err(not_understood)
    }
}

/// Turns away what no client of ours sends, but a browser would on behalf of a web page.
pub(super) async fn local_only(request: Request, next: Next) -> Response {
    if let Err(fact) = is_local(request.uri(), request.headers()) {
        return Refused::new(StatusCode::FORBIDDEN, fact).into_response();
    }
    next.run(request).await
}

fn is_local(uri: &Uri, headers: &HeaderMap) -> Result<(), &'static str> {
    if headers.contains_key(header::ORIGIN) || headers.contains_key(header::REFERER) {
        return Err("this API is not for web pages");
    }
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next().and_then(|host| host.to_str().ok()), hosts.next()) {
        (Some(host), None) if HOSTS.contains(&host) && uri.host().is_none_or(|named| named == host) => Ok(()),
        _ => Err("the request is for another host"),
    }
}

/// Answers a request whose handler panics, which costs that request and no other.
pub(super) async fn whole(request: Request, next: Next) -> Response {
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(_) => Refused(bug()).into_response(),
    }
}

fn written(status: StatusCode, media_type: &'static str, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(json) => {
            let mut response = (status, Body::from(json)).into_response();
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
            response
        }
        Err(error) => {
            tracing::error!(%error, "an answer cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
