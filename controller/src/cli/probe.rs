//! `ostler probe`: asks a component of ours how it is.

use std::time::Duration;

use clap::Args;

use super::{Outcome, exit, out};

#[derive(Debug, Args)]
pub(super) struct ProbeArgs {
    /// What to ask, as in "http://10.96.0.7:8080/readyz"
    url: String,
    /// How long to wait for the answer
    #[arg(long, default_value = "10s", value_name = "TIME")]
    timeout: ostler_crds::Duration,
}

pub(super) fn run(args: &ProbeArgs) -> Outcome {
    let ProbeArgs { url, timeout: ostler_crds::Duration(timeout) } = args;
    let (status, body) = ask(url, *timeout).map_err(|error| anyhow::anyhow!("{url}: {error}"))?;
    out::note(&format!("{url}: {status}"));
    out::print(&body)?;
    Ok(if (200..300).contains(&status) { 0 } else { exit::FAILED })
}

/// The status of the answer, and what it says.
fn ask(url: &str, timeout: Duration) -> Result<(u16, String), ureq::Error> {
    let config = ureq::Agent::config_builder().timeout_global(Some(timeout)).http_status_as_error(false).build();
    let mut response = ureq::Agent::new_with_config(config).get(url).call()?;
    let body = response.body_mut().read_to_string()?;
    Ok((response.status().as_u16(), body))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::time::Duration;

    use super::ask;

    /// What one answer of a server is taken for.
    fn check(answer: &'static str, expected: (u16, &str)) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/readyz", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            let mut question = [0; 1024];
            let read = connection.read(&mut question).unwrap();
            assert!(question[..read].starts_with(b"GET /readyz HTTP/1.1\r\n"));
            connection.write_all(answer.as_bytes()).unwrap();
        });
        let (status, body) = ask(&url, Duration::from_secs(60)).unwrap();
        server.join().unwrap();
        assert_eq!((status, body.as_str()), expected);
    }

    #[test]
    fn an_answer_is_told_from_a_refusal() {
        check("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok", (200, "ok"));
        check("HTTP/1.1 503 No\r\ncontent-length: 4\r\nconnection: close\r\n\r\nwait", (503, "wait"));
    }

    #[test]
    fn nobody_there_is_an_error() {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(ask(&format!("http://{address}/"), Duration::from_secs(60)).is_err());
    }
}
