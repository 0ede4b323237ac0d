//! What the controller answers over HTTP: admission and Secrets with TLS; metrics and health without.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{self, ServerConfig};
use tracing::debug;

use super::shared::Shared;
use super::trust::Served;
use super::{secrets, webhook};
use crate::secrets::wire;

/// The largest review that is read: the API server takes objects of 3 MiB, and sends the old one too.
const REVIEW_MAX: usize = 8 << 20;
/// How long a client may take to shake hands, and to send a request's head.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves `/metrics`, `/healthz` (the process is alive) and `/readyz` (it can answer admission), for ever.
pub(super) async fn plain(listener: TcpListener, shared: Arc<Shared>) {
    accept(listener, move |stream| {
        let shared = shared.clone();
        async move { connection(stream, move |request| ready(health(&request, &shared))).await }
    })
    .await;
}

/// Serves `/validate` and `/secrets`, for ever.
pub(super) async fn tls(listener: TcpListener, shared: Arc<Shared>, acceptor: TlsAcceptor) {
    accept(listener, move |stream| {
        let (shared, acceptor) = (shared.clone(), acceptor.clone());
        async move {
            match tokio::time::timeout(CLIENT_TIMEOUT, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => connection(stream, move |request| admission(request, shared.clone())).await,
                Ok(Err(error)) => debug!(%error, "a TLS client went away"),
                Err(_) => debug!("a TLS client did not shake hands in time"),
            }
        }
    })
    .await;
}

/// TLS with the certificate that is served at each moment.
///
/// # Errors
/// rustls lacks what its own provider should have.
pub(super) fn acceptor(served: Arc<Served>) -> Result<TlsAcceptor, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(served);
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn accept<F: Future<Output = ()> + Send + 'static>(
    listener: TcpListener,
    handle: impl Fn(tokio::net::TcpStream) -> F,
) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(handle(stream))),
            // Out of descriptors: others close theirs.
            Err(error) => {
                debug!(%error, "accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection<S, F>(stream: S, answer: impl Fn(Request<Incoming>) -> F)
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = Response<Full<Bytes>>>,
{
    let service = service_fn(|request| {
        let answer = answer(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let server = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(CLIENT_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = server.await {
        debug!(%error, "an HTTP client went away");
    }
}

fn ready<T>(value: T) -> std::future::Ready<T> {
    std::future::ready(value)
}

fn health(request: &Request<Incoming>, shared: &Shared) -> Response<Full<Bytes>> {
    match request.uri().path() {
        "/metrics" => text(StatusCode::OK, shared.metrics.text()),
        "/healthz" => text(StatusCode::OK, "ok\n"),
        "/readyz" => match shared.not_ready() {
            None => text(StatusCode::OK, "ok\n"),
            Some(why) => text(StatusCode::SERVICE_UNAVAILABLE, why),
        },
        _ => text(StatusCode::NOT_FOUND, "there are /metrics, /healthz and /readyz\n"),
    }
}

async fn admission(request: Request<Incoming>, shared: Arc<Shared>) -> Response<Full<Bytes>> {
    match (request.method(), request.uri().path()) {
        (&Method::POST, "/validate") => validate(request, shared).await,
        (&Method::POST, wire::PATH) => secrets::answer(request, &shared).await,
        _ => text(StatusCode::NOT_FOUND, "there are POST /validate and POST /secrets\n"),
    }
}

async fn validate(request: Request<Incoming>, shared: Arc<Shared>) -> Response<Full<Bytes>> {
    let start = Instant::now();
    let body = match Limited::new(request.into_body(), REVIEW_MAX).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return text(StatusCode::PAYLOAD_TOO_LARGE, format!("read the review: {error}\n")),
    };
    let reviewed = {
        let shared = shared.clone();
        // Checks compute for a moment; they don't hold up what waits.
        tokio::task::spawn_blocking(move || webhook::review(&body, &shared.world())).await
    };
    let Ok(answer) = reviewed else {
        return text(StatusCode::INTERNAL_SERVER_ERROR, "the check failed by a fault of ours\n");
    };
    shared.metrics.reviewed(answer.kind, answer.result, start.elapsed());
    let bytes = serde_json::to_vec(&answer.review).unwrap_or_default();
    let mut response = Response::new(Full::new(Bytes::from(bytes)));
    response.headers_mut().insert("content-type", hyper::header::HeaderValue::from_static("application/json"));
    response
}

fn text(status: StatusCode, text: impl Into<String>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text.into())));
    *response.status_mut() = status;
    response
}
