//! nbdkit, which reaches images over HTTP, FTP and SSH in QEMU's place: QEMU then speaks NBD over a socket on the host. So
//! QEMU needs no network, nor libraries that read what strange servers send.

use std::path::Path;

use ostler_conf::domain::{Auth, NetworkDiskSource, NetworkProtocol as Protocol};

/// A command line. Secrets are in none of its words: nbdkit reads them from pipes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    /// What is added to the environment.
    pub environment: Vec<(&'static str, String)>,
    /// The arguments.
    pub arguments: Vec<String>,
}

/// An image that nbdkit can reach.
#[derive(Clone, Copy, Debug)]
pub struct Export<'a> {
    /// Where it is.
    pub source: &'a NetworkDiskSource,
    /// Who asks for it.
    pub auth: Option<&'a Auth>,
    /// Whether nobody may write.
    pub is_readonly: bool,
}

/// Which plugin of nbdkit's reaches images of a protocol.
pub const fn plugin(protocol: Protocol) -> Option<&'static str> {
    match protocol {
        Protocol::Http | Protocol::Https | Protocol::Ftp | Protocol::Ftps => Some("curl"),
        Protocol::Ssh => Some("ssh"),
        Protocol::Nbd
        | Protocol::Rbd
        | Protocol::Sheepdog
        | Protocol::Gluster
        | Protocol::Iscsi
        | Protocol::Tftp
        | Protocol::Vxhs
        | Protocol::Nfs => None,
    }
}

impl Export<'_> {
    /// How nbdkit is started to serve the image at `socket`; `None` where it can't. `password` is that of who asks; `pipe`
    /// makes a pipe that holds a text, and gives the number under which nbdkit finds it.
    pub fn command(&self, socket: &Path, password: Option<&str>, mut pipe: impl FnMut(&str) -> i32) -> Option<Command> {
        let plugin = plugin(self.source.protocol)?;
        let mut arguments = vec!["--unix".to_owned(), socket.display().to_string(), "--foreground".to_owned()];
        arguments.extend(self.is_readonly.then(|| "--readonly".to_owned()));
        arguments.push(plugin.to_owned());
        let mut environment = Vec::new();
        let mut values = match plugin {
            "curl" => self.place_of_curl()?,
            _ => self.place_of_ssh()?,
        };
        if let Some(auth) = self.auth {
            values.push(("user", auth.username.clone()));
            values.extend(password.map(|password| ("password", format!("-{}", pipe(password)))));
        }
        match plugin {
            "curl" => values.extend(self.settings_of_curl(pipe)),
            _ => {
                values.extend(self.settings_of_ssh());
                let agent = self.source.identity.as_ref().and_then(|identity| identity.agentsock.clone());
                environment.extend(agent.map(|agent| ("SSH_AUTH_SOCK", agent)));
            }
        }
        arguments.extend(values.into_iter().map(|(name, value)| format!("{name}={value}")));
        Some(Command { environment, arguments })
    }

    /// The one server, and its port.
    fn server(&self) -> Option<(&str, u16)> {
        let [host] = self.source.hosts.as_slice() else { return None };
        Some((host.name.as_deref()?, host.port.or(self.source.protocol.default_port())?))
    }

    fn place_of_curl(&self) -> Option<Vec<(&'static str, String)>> {
        let (protocol, (host, port)) = (self.source.protocol, self.server()?);
        // A server may lead from HTTP to HTTPS, and never from what is encrypted to what is not.
        let allowed = if protocol == Protocol::Http { "http,https" } else { protocol.word() };
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let query = self.source.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
        let name = self.source.name.as_deref().unwrap_or_default();
        let url = format!("{}://{host}:{port}/{}{query}", protocol.word(), name.trim_start_matches('/'));
        Some(vec![("protocols", allowed.to_owned()), ("url", url)])
    }

    fn settings_of_curl(&self, mut pipe: impl FnMut(&str) -> i32) -> Vec<(&'static str, String)> {
        let source = self.source;
        let cookies = source.cookies.as_ref().map(|cookies| &cookies.cookies).filter(|cookies| !cookies.is_empty());
        let cookies = cookies.map(|cookies| {
            let pairs: Vec<_> = cookies
                .iter()
                .map(|cookie| format!("{}={}", cookie.name, cookie.value.text().unwrap_or_default()))
                .collect();
            format!("-{}", pipe(&pairs.join("; ")))
        });
        let is_unverified = source.ssl.as_ref().is_some_and(|ssl| !ssl.verify.0);
        [
            cookies.map(|cookies| ("cookie", cookies)),
            is_unverified.then(|| ("sslverify", "false".to_owned())),
            source.timeout.map(|seconds| ("timeout", seconds.to_string())),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn place_of_ssh(&self) -> Option<Vec<(&'static str, String)>> {
        let (host, port) = self.server()?;
        let path = self.source.name.clone()?;
        Some(vec![("host", host.to_owned()), ("port", port.to_string()), ("path", path)])
    }

    fn settings_of_ssh(&self) -> Vec<(&'static str, String)> {
        let identity = self.source.identity.as_ref();
        [
            ("identity", identity.and_then(|identity| identity.keyfile.clone())),
            ("user", identity.and_then(|identity| identity.username.clone())),
            ("known-hosts", self.source.known_hosts.clone()),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use ostler_conf::domain::NetworkHost;

    use super::*;

    #[test]
    fn no_secret_is_a_word() {
        let host = NetworkHost { name: Some("::1".into()), ..NetworkHost::default() };
        let source =
            NetworkDiskSource { hosts: vec![host], name: Some("/a".into()), ..NetworkDiskSource::new(Protocol::Https) };
        let auth = Auth { username: "user".into(), secret: None };
        let export = Export { source: &source, auth: Some(&auth), is_readonly: true };
        let mut piped = Vec::new();
        let command = export.command(Path::new("/s"), Some("secret"), |text| {
            piped.push(text.to_owned());
            9
        });
        let expected =
            "--unix /s --foreground --readonly curl protocols=https url=https://[::1]:443/a user=user password=-9";
        assert_eq!(command.unwrap().arguments.join(" "), expected);
        assert_eq!(piped, ["secret"]);
    }

    #[test]
    fn what_has_no_plugin_has_no_command() {
        let source = NetworkDiskSource::new(Protocol::Rbd);
        let export = Export { source: &source, auth: None, is_readonly: false };
        assert_eq!(export.command(Path::new("/s"), None, |_| 0), None);
    }
}
