//! CRDs that were found new enough before: of many agents that start at the same time each would else read all of them, over a
//! megabyte, from an API server that has them for itself only in its database.

use std::path::Path;

use http::Request;
use kube::Client;
use ostler_crds::{GROUP, VERSION};
use ostler_util::file;
use serde_json::Value;
use tracing::debug;

use super::newness;

/// In the state folder: what this program asks of the CRDs, and by which description of our API they had it.
const NOTE: &str = "crds";

/// As [`newness::wait_for_crds`], unless the API server describes our kinds as it did when this program last found them new enough:
/// then that one question is all. What it describes is about a second behind its CRDs.
pub(super) async fn wait_for_crds(client: &Client, state_dir: &Path, waiting: impl Fn(String)) {
    let path = state_dir.join(NOTE);
    // Asked first: what changes while the CRDs are read is another description, next time.
    let note = description(client).await.map(|found| format!("{:x} {found}\n", ostler_crds::fingerprint()));
    if note.is_some() && std::fs::read_to_string(&path).ok() == note {
        debug!("the CRDs are those that were new enough");
        return;
    }
    newness::wait_for_crds(client, waiting).await;
    if let Some(note) = note
        && let Err(error) = file::replace(&path, note.as_bytes(), 0o600)
    {
        debug!(%error, "the CRDs will be read again at the next start");
    }
}

/// The digest by which the API server tells versions of its description of our kinds apart.
async fn description(client: &Client) -> Option<String> {
    let request = Request::get("/openapi/v3").body(Vec::new()).ok()?;
    let index: Value = client.request(request).await.ok()?;
    let url = index["paths"][format!("apis/{GROUP}/{VERSION}")]["serverRelativeURL"].as_str()?;
    Some(url.split_once("?hash=")?.1.to_owned()).filter(|digest| !digest.is_empty())
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::{Arc, Mutex};

    use http::{Request, Response};
    use http_body_util::Full;
    use hyper::body::{Bytes, Incoming};
    use hyper::service::service_fn;
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use kube::{Client, Config};
    use ostler_crds::Kind;
    use serde_json::json;
    use tokio::net::TcpListener;

    use super::*;
    use crate::source::cluster::client::client;

    /// An API server with our CRDs, described by this digest; it notes what it is asked.
    struct Server {
        digest: Mutex<Option<&'static str>>,
        asked: Mutex<Vec<String>>,
    }

    impl Server {
        async fn start() -> (Arc<Self>, Client) {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let config = Config::new(format!("http://{}", listener.local_addr().unwrap()).parse().unwrap());
            let server = Arc::new(Server { digest: Mutex::new(Some("one")), asked: Mutex::default() });
            let us = server.clone();
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let us = us.clone();
                    let answer = service_fn(move |request| std::future::ready(us.answer(&request)));
                    let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    tokio::spawn(connection.serve_connection(TokioIo::new(stream), answer));
                }
            });
            (server, client(config, Arc::default()).unwrap())
        }

        fn answer(&self, request: &Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
            let path = request.uri().path();
            self.asked.lock().unwrap().push(path.to_owned());
            let body = match path.rsplit('/').next().and_then(|name| name.split('.').next()) {
                Some("v3") => {
                    let digest = *self.digest.lock().unwrap();
                    let of = |digest| format!("/openapi/v3/apis/{GROUP}/{VERSION}?hash={digest}");
                    let url = digest.map_or_else(|| "/openapi/v3/other".to_owned(), of);
                    json!({ "paths": { format!("apis/{GROUP}/{VERSION}"): { "serverRelativeURL": url } } })
                }
                name => {
                    let kind = Kind::ALL.iter().find(|kind| Some(kind.plural()) == name).unwrap();
                    ostler_crds::crd(*kind)
                }
            };
            Ok(Response::new(Full::from(body.to_string())))
        }

        fn asked(&self) -> usize {
            std::mem::take(&mut *self.asked.lock().unwrap()).len()
        }
    }

    #[tokio::test]
    async fn crds_that_were_read_are_read_again_only_when_they_are_others() {
        let (server, client) = Server::start().await;
        let state = tempfile::tempdir().unwrap();
        let all = Kind::ALL.len();
        let ask = async |expected: usize| {
            wait_for_crds(&client, state.path(), |why| panic!("{why}")).await;
            assert_eq!(server.asked(), expected);
        };
        ask(1 + all).await;
        ask(1).await;
        *server.digest.lock().unwrap() = Some("another");
        ask(1 + all).await;
        ask(1).await;
        // Another program wants other things of them.
        std::fs::write(state.path().join(NOTE), "0 another\n").unwrap();
        ask(1 + all).await;
        // A server that tells no versions apart is asked each time.
        *server.digest.lock().unwrap() = None;
        ask(1 + all).await;
        ask(1 + all).await;
    }
}
