//! Images from the web: resumed after a break, verified before they appear.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use ostler_driver::{Error, Progress, Result};
use ostler_util::ErrorCode;
use sha2::{Digest, Sha256};
use ureq::http::StatusCode;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// A server that sends nothing for so long is given up; what came so far is kept for the next try.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);
const PROGRESS_EVERY: Duration = Duration::from_millis(500);

/// Fetches `url` into `partial`, from where an earlier try ended, and verifies the whole. Gives the open, durable file.
///
/// # Errors
/// `HttpError` where the server fails (what came is kept); `OperationFailed` for a wrong checksum (what came is removed).
pub(crate) fn fetch(url: &str, sha256: &str, partial: &Path, progress: Option<&Progress>) -> Result<File> {
    let system = |error| Error::system(format!("write {}", partial.display()), error);
    let mut file = File::options().read(true).append(true).create(true).open(partial).map_err(system)?;
    let mut have = file.metadata().map_err(system)?.len();
    let mut response = request(url, have)?;
    match response.status() {
        StatusCode::PARTIAL_CONTENT => {}
        StatusCode::OK => {
            // The server can't go on in the middle, so all comes anew.
            file.set_len(0).map_err(system)?;
            have = 0;
        }
        // Everything was there already.
        StatusCode::RANGE_NOT_SATISFIABLE => return verify(file, sha256, partial, url),
        status => return Err(Error::new(ErrorCode::HttpError, format!("{url}: the server answered {status}"))),
    }
    let total = response
        .headers()
        .get("content-length")
        .and_then(|v| v.to_str().ok()?.parse::<u64>().ok())
        .map(|rest| have + rest);
    let mut body = response.body_mut().as_reader();
    let mut buffer = vec![0; 256 << 10];
    let mut told = Instant::now();
    loop {
        let read = body.read(&mut buffer).map_err(|error| http_error(url, error))?;
        if read == 0 {
            break;
        }
        file.write_all(&buffer[..read]).map_err(system)?;
        have += read as u64;
        if let Some(progress) = progress.filter(|_| told.elapsed() >= PROGRESS_EVERY) {
            progress(have, total);
            told = Instant::now();
        }
    }
    if total.is_some_and(|total| have < total) {
        return Err(Error::new(
            ErrorCode::HttpError,
            format!("{url}: the connection ended after {have} bytes; the rest is fetched at the next try"),
        ));
    }
    verify(file, sha256, partial, url)
}

fn request(url: &str, from: u64) -> Result<ureq::http::Response<ureq::Body>> {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_recv_response(Some(STALL_TIMEOUT))
        .max_redirects(5)
        .build();
    let mut request = ureq::Agent::new_with_config(config).get(url).header("accept-encoding", "identity");
    if from > 0 {
        request = request.header("range", format!("bytes={from}-"));
    }
    request.call().map_err(|error| http_error(url, error))
}

fn http_error(url: &str, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    let error = error.into();
    Error::new(ErrorCode::HttpError, format!("fetch {url}: {error}")).with_source(error)
}

fn verify(mut file: File, expected: &str, partial: &Path, url: &str) -> Result<File> {
    let system = |error| Error::system(format!("read {}", partial.display()), error);
    file.sync_all().map_err(system)?;
    file.seek(SeekFrom::Start(0)).map_err(system)?;
    let mut hasher = Sha256::new();
    io::copy(&mut file, &mut HashWriter(&mut hasher)).map_err(system)?;
    let found: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if !found.eq_ignore_ascii_case(expected) {
        // Going on from wrong bytes can't lead to the right ones.
        let _ = std::fs::remove_file(partial);
        return Err(Error::new(
            ErrorCode::OperationFailed,
            format!("{url} has the SHA-256 {found}, expected {expected}: nothing was kept"),
        ));
    }
    Ok(file)
}

struct HashWriter<'a>(&'a mut Sha256);

impl Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;

    use super::*;

    /// Serves `content` to `connections` clients on loopback; the first is cut off after `cut` bytes.
    fn serve(content: &'static [u8], connections: usize, cut: Option<usize>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/image", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().take(connections).enumerate() {
                let mut stream = stream.unwrap();
                let mut from = 0;
                for line in BufReader::new(stream.try_clone().unwrap()).lines() {
                    let line = line.unwrap().to_ascii_lowercase();
                    if let Some(range) = line.strip_prefix("range: bytes=") {
                        from = range.trim_end_matches('-').parse().unwrap();
                    }
                    if line.is_empty() {
                        break;
                    }
                }
                let rest = &content[from.min(content.len())..];
                let status = match (from, rest.is_empty()) {
                    (0, _) => "200 OK",
                    (_, true) => "416 Range Not Satisfiable",
                    (_, false) => "206 Partial Content",
                };
                let send = cut.filter(|_| number == 0).map_or(rest, |cut| &rest[..cut.min(rest.len())]);
                write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", rest.len())
                    .unwrap();
                stream.write_all(send).unwrap();
            }
        });
        url
    }

    fn sha256(content: &[u8]) -> String {
        Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    const IMAGE: &[u8] = &[7; 100_000];

    #[test]
    fn a_broken_transfer_goes_on_where_it_ended() {
        let directory = tempfile::tempdir().unwrap();
        let partial = directory.path().join(".image.part");
        let url = serve(IMAGE, 3, Some(40_000));
        let error = fetch(&url, &sha256(IMAGE), &partial, None).unwrap_err();
        assert_eq!(error.code, ErrorCode::HttpError);
        assert!(partial.metadata().unwrap().len() > 0, "what came is kept");
        fetch(&url, &sha256(IMAGE), &partial, None).unwrap();
        assert_eq!(std::fs::read(&partial).unwrap(), IMAGE);
        fetch(&url, &sha256(IMAGE), &partial, None).expect("a whole file is only verified");
    }

    #[test]
    fn wrong_bytes_are_not_kept() {
        let directory = tempfile::tempdir().unwrap();
        let partial = directory.path().join(".image.part");
        let error = fetch(&serve(IMAGE, 1, None), &sha256(b"other"), &partial, None).unwrap_err();
        assert_eq!(error.code, ErrorCode::OperationFailed);
        assert!(!partial.exists());
    }
}
