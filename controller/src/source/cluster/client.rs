//! The way to the API server: one HTTP/2 connection for all watches and calls.
//!
//! kube's own client speaks HTTP/1.1, which takes a connection of its own for each watch.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, TryFutureExt};
use http::{Request, Response};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kube::client::{Body, ClientBuilder, ConfigExt};
use kube::{Client, Config};
use tower::{BoxError, Service, ServiceBuilder};

use crate::metrics::Metrics;

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a silent connection is asked whether it lives, and how long it may take to answer.
const PING_EVERY: Duration = Duration::from_secs(15);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// A client that holds one connection and counts its calls. It tries nothing again: whoever calls does, in its own time.
///
/// # Errors
/// A configuration that names no usable server, certificate or credentials.
pub fn client(mut config: Config, metrics: Arc<Metrics>) -> kube::Result<Client> {
    let name = concat!("ostler-agent/", env!("CARGO_PKG_VERSION"));
    config.headers.push((http::header::USER_AGENT, http::HeaderValue::from_static(name)));
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
    connector.set_nodelay(true);
    let mut builder =
        hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(config.rustls_client_config()?).https_or_http();
    if let Some(name) = config.tls_server_name.clone().and_then(|name| name.try_into().ok()) {
        builder = builder.with_server_name_resolver(hyper_rustls::FixedServerNameResolver::new(name));
    }
    let connector = builder.enable_http2().wrap_connector(connector);
    let http: legacy::Client<_, Body> = legacy::Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .http2_only(true)
        .http2_adaptive_window(true)
        .http2_keep_alive_interval(PING_EVERY)
        .http2_keep_alive_timeout(PING_TIMEOUT)
        .http2_keep_alive_while_idle(true)
        .build(connector);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .layer_fn(move |inner| Counted { inner, metrics: metrics.clone() })
        .map_err(BoxError::from)
        .service(http);
    Ok(ClientBuilder::new(service, config.default_namespace).build())
}

/// Counts each call by verb and answer.
#[derive(Clone, Debug)]
struct Counted<S> {
    inner: S,
    metrics: Arc<Metrics>,
}

impl<S, B, A> Service<Request<B>> for Counted<S>
where
    S: Service<Request<B>, Response = Response<A>>,
    S::Future: Send + 'static,
    S::Response: Send,
    S::Error: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let verb = verb_of(&request);
        let (counted, failed) = (self.metrics.clone(), self.metrics.clone());
        self.inner
            .call(request)
            .inspect_ok(move |response| counted.called(verb, response.status().as_u16()))
            .inspect_err(move |_| failed.called(verb, 0))
            .boxed()
    }
}

fn verb_of<B>(request: &Request<B>) -> &'static str {
    let watches = request.uri().query().is_some_and(|query| query.contains("watch=true"));
    match request.method().as_str() {
        "GET" if watches => "watch",
        "GET" => "get",
        "POST" => "create",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" => "delete",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;
    use http::Response;
    use http_body_util::Full;
    use hyper::body::{Bytes, Incoming};
    use hyper::service::service_fn;
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::{Api, Config};
    use tokio::net::TcpListener;

    use super::client;
    use crate::metrics::Metrics;

    async fn answer(request: http::Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let name = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        if name == "missing" {
            let status = r#"{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}"#;
            return Ok(Response::builder().status(404).body(Full::from(status)).unwrap());
        }
        let object = format!(r#"{{"kind":"ConfigMap","apiVersion":"v1","metadata":{{"name":"{name}"}}}}"#);
        Ok(Response::new(Full::from(object)))
    }

    #[tokio::test]
    async fn all_calls_share_one_connection_and_are_counted() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = connections.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                tokio::spawn(server.serve_connection(TokioIo::new(stream), service_fn(answer)));
            }
        });
        let metrics = Arc::new(Metrics::default());
        let config = Config::new(format!("http://{address}").parse().unwrap());
        let maps: Api<ConfigMap> = Api::default_namespaced(client(config, metrics.clone()).unwrap());
        let names: Vec<String> = (0..20).map(|number| format!("map-{number}")).collect();
        for found in join_all(names.iter().map(|name| maps.get(name))).await {
            found.unwrap();
        }
        assert_eq!(maps.get_opt("missing").await.unwrap(), None);
        assert_eq!(connections.load(Ordering::Relaxed), 1);
        let text = metrics.text();
        for line in [
            r#"ostler_apiserver_requests_total{verb="get",code="200"} 20"#,
            r#"ostler_apiserver_requests_total{verb="get",code="404"} 1"#,
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
}
