//! The API server as a test speaks to it: paths in, JSON out.

use std::fs;
use std::io::BufRead;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};

use super::pki::Identity;

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How often what the server has no room for now is asked again, as Kubernetes' own clients do.
const TRIES: usize = 10;

/// A user's view of the API server.
#[derive(Clone, Debug)]
pub struct Api {
    agent: ureq::Agent,
    server: String,
    token: Option<String>,
    acting_as: Option<String>,
}

/// A request that had no success.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The server's answer.
    #[error("{method} {path}: {code}: {message}")]
    Refused {
        /// What was asked.
        method: &'static str,
        /// Of what.
        path: String,
        /// HTTP's number.
        code: u16,
        /// The server's words.
        message: String,
    },
    /// There was no answer.
    #[error("{method} {path}")]
    Lost {
        /// What was asked.
        method: &'static str,
        /// Of what.
        path: String,
        /// Why.
        #[source]
        source: Box<ureq::Error>,
    },
}

impl ApiError {
    /// The number of the server's answer; 0 where there was none.
    pub fn code(&self) -> u16 {
        match self {
            ApiError::Refused { code, .. } => *code,
            ApiError::Lost { .. } => 0,
        }
    }
}

impl Api {
    /// With a certificate; with none, as nobody or as [`Self::with_token`] says.
    ///
    /// # Errors
    /// What can't be read as a certificate or key.
    pub fn new(server: &str, authority: &str, user: Option<&Identity>) -> Result<Self> {
        let roots = vec![Certificate::from_pem(authority.as_bytes())?];
        let client = user
            .map(|user| {
                let chain = [Certificate::from_pem(user.certificate.as_bytes())?];
                Ok::<_, ureq::Error>(ClientCert::new_with_certs(&chain, PrivateKey::from_pem(user.key.as_bytes())?))
            })
            .transpose()?;
        let tls = TlsConfig::builder().root_certs(RootCerts::Specific(Arc::new(roots))).client_cert(client).build();
        let config = ureq::Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .build();
        Ok(Api { agent: config.new_agent(), server: server.to_owned(), token: None, acting_as: None })
    }

    /// As the user whose `NAME.crt` and `NAME.key` lie in a folder, with its `ca.crt`.
    ///
    /// # Errors
    /// The operating system's; as [`Self::new`].
    pub fn from_files(server: &str, directory: &Path, name: &str) -> Result<Self> {
        let read = |file: String| {
            let path = directory.join(file);
            fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
        };
        let user = Identity { certificate: read(format!("{name}.crt"))?, key: read(format!("{name}.key"))? };
        Self::new(server, &read("ca.crt".to_owned())?, Some(&user))
    }

    /// The same server, as the owner of a token. Only for one without a certificate, which would come first.
    pub fn with_token(&self, token: impl Into<String>) -> Self {
        Api { token: Some(token.into()), ..self.clone() }
    }

    /// The same, acting as another user, as who may do all may do.
    pub fn acting_as(&self, user: impl Into<String>) -> Self {
        Api { acting_as: Some(user.into()), ..self.clone() }
    }

    /// What is at a path.
    ///
    /// # Errors
    /// The server's refusal, or that there was no answer.
    pub fn get(&self, path: &str) -> Result<Value, ApiError> {
        self.request("GET", path, "", &Value::Null)
    }

    /// What is at a path; null if there is nothing.
    ///
    /// # Errors
    /// Any other refusal, or that there was no answer.
    pub fn find(&self, path: &str) -> Result<Value, ApiError> {
        self.get(path).or_else(|error| if error.code() == 404 { Ok(Value::Null) } else { Err(error) })
    }

    /// Adds an object to a collection.
    ///
    /// # Errors
    /// The server's refusal, or that there was no answer.
    pub fn create(&self, path: &str, object: &Value) -> Result<Value, ApiError> {
        self.request("POST", path, "application/json", object)
    }

    /// Replaces the object at a path.
    ///
    /// # Errors
    /// The server's refusal, or that there was no answer.
    pub fn replace(&self, path: &str, object: &Value) -> Result<Value, ApiError> {
        self.request("PUT", path, "application/json", object)
    }

    /// Changes some fields (RFC 7396).
    ///
    /// # Errors
    /// The server's refusal, or that there was no answer.
    pub fn merge(&self, path: &str, change: &Value) -> Result<Value, ApiError> {
        self.request("PATCH", path, "application/merge-patch+json", change)
    }

    /// Applies the object at a path, as the field manager that a query in it names.
    ///
    /// # Errors
    /// The server's refusal, or that there was no answer.
    pub fn apply(&self, path: &str, object: &Value) -> Result<Value, ApiError> {
        self.request("PATCH", path, "application/apply-patch+yaml", object)
    }

    /// Deletes what is at a path.
    ///
    /// # Errors
    /// The server's refusal, or that there was no answer.
    pub fn delete(&self, path: &str) -> Result<Value, ApiError> {
        self.request("DELETE", path, "", &Value::Null)
    }

    /// Whether the server says that it is ready.
    pub fn is_ready(&self) -> bool {
        self.get("/readyz").is_ok()
    }

    /// Waits until what is at a path is as `condition` wants it; the answer then. An answer that fails is asked again.
    ///
    /// # Errors
    /// With what was seen last, if that took longer than `deadline`.
    pub fn wait(&self, path: &str, deadline: Duration, mut condition: impl FnMut(&Value) -> bool) -> Result<Value> {
        let end = Instant::now() + deadline;
        loop {
            let seen = self.find(path);
            if let Ok(value) = &seen
                && condition(value)
            {
                return Ok(seen?);
            }
            if Instant::now() > end {
                let seen = seen.map_or_else(|error| format!("{error:#}"), |value| format!("{value:#}"));
                anyhow::bail!("{path} is not as it should be after {deadline:?}:\n{seen}");
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// What happens at a path whose query asks for a watch, until the server ends it.
    ///
    /// # Errors
    /// The server's refusal, or that there was no answer.
    pub fn watch(&self, path: &str) -> Result<impl Iterator<Item = Value> + use<>, ApiError> {
        let lost =
            |source: ureq::Error| ApiError::Lost { method: "GET", path: path.to_owned(), source: Box::new(source) };
        let mut request = self.agent.get(format!("{}{path}", self.server)).config().timeout_global(None).build();
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let answer = request.call().map_err(lost)?;
        let code = answer.status().as_u16();
        if !answer.status().is_success() {
            let message = answer.status().to_string();
            return Err(ApiError::Refused { method: "GET", path: path.to_owned(), code, message });
        }
        let lines = std::io::BufReader::new(answer.into_body().into_reader()).lines();
        Ok(lines.map_while(Result::ok).filter_map(|line| serde_json::from_str(&line).ok()))
    }

    /// One that is to come again later does: a kind whose definition has changed is not served for a moment.
    fn request(&self, method: &'static str, path: &str, kind: &str, body: &Value) -> Result<Value, ApiError> {
        let mut tries = 1;
        loop {
            match self.request_once(method, path, kind, body)? {
                Ok(value) => return Ok(value),
                Err((429, value)) if tries < TRIES && value["details"]["retryAfterSeconds"].is_u64() => {
                    let seconds = value["details"]["retryAfterSeconds"].as_u64().unwrap_or(1);
                    std::thread::sleep(Duration::from_secs(seconds));
                    tries += 1;
                }
                Err((code, value)) => {
                    let message = value["message"].as_str().map_or_else(|| value.to_string(), str::to_owned);
                    return Err(ApiError::Refused { method, path: path.to_owned(), code, message });
                }
            }
        }
    }

    /// The server's answer, or its refusal with HTTP's number.
    fn request_once(
        &self,
        method: &'static str,
        path: &str,
        kind: &str,
        body: &Value,
    ) -> Result<Result<Value, (u16, Value)>, ApiError> {
        let lost = |source: ureq::Error| ApiError::Lost { method, path: path.to_owned(), source: Box::new(source) };
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.server));
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        if let Some(user) = &self.acting_as {
            request = request.header("Impersonate-User", user);
        }
        let answer = if body.is_null() {
            self.agent.run(request.body(()).map_err(|error| lost(error.into()))?)
        } else {
            let request = request.header("Content-Type", kind).body(body.to_string());
            self.agent.run(request.map_err(|error| lost(error.into()))?)
        };
        let mut answer = answer.map_err(lost)?;
        let code = answer.status().as_u16();
        let text = answer.body_mut().with_config().limit(u64::MAX).read_to_string().map_err(lost)?;
        // Not all is JSON: the health checks say "ok".
        let value: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok(if answer.status().is_success() { Ok(value) } else { Err((code, value)) })
    }
}
