//! The command that makes a pool's data reachable: file systems are mounted, volume groups are activated.

use ostler_conf::StoragePool;
use ostler_conf::storage_pool::{PoolFormatName as Format, PoolSource, PoolType};

/// What a file system of images is never to offer.
const DEFAULT_OPTIONS: &[&str] = &["nodev", "nosuid", "noexec"];

/// A program and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The program.
    pub program: &'static str,
    /// Its arguments.
    pub arguments: Vec<String>,
}

/// The command for a pool, completed; `None` where its type needs none, or where it says too little.
pub fn activation(pool: &StoragePool) -> Option<Command> {
    let source = pool.source.as_ref()?;
    match pool.r#type? {
        PoolType::Fs => mount(pool, source, source.devices.first()?.path.clone()),
        PoolType::Netfs => {
            let (host, folder) = (&source.hosts.first()?.name, &source.dir.as_ref()?.path);
            let place = match format(source) {
                Format::Cifs => format!("//{host}/{folder}"),
                _ => format!("{host}:{folder}"),
            };
            mount(pool, source, place)
        }
        PoolType::Logical => {
            Some(Command { program: "vgchange", arguments: vec!["-aly".to_owned(), source.name.clone()?] })
        }
        _ => None,
    }
}

fn format(source: &PoolSource) -> Format {
    source.format.as_ref().and_then(|format| format.r#type).unwrap_or(Format::Auto)
}

fn mount(pool: &StoragePool, source: &PoolSource, place: String) -> Option<Command> {
    let format = format(source);
    let is_net = pool.r#type == Some(PoolType::Netfs);
    let mut options: Vec<String> = DEFAULT_OPTIONS.iter().map(|option| (*option).to_owned()).collect();
    options.extend(match format {
        // Images are not worth the page cache twice.
        Format::Glusterfs => Some("direct-io-mode=1".to_owned()),
        Format::Cifs => Some("guest".to_owned()),
        _ => source.protocol.as_ref().map(|protocol| format!("nfsvers={}", protocol.ver)),
    });
    options.extend(pool.fs_mount_options.iter().flat_map(|given| &given.options).map(|option| option.name.clone()));
    let mut arguments = vec!["-o".to_owned(), options.join(",")];
    // What is mounted from a server as it is found has no type to tell.
    if !(is_net && format == Format::Auto) {
        arguments.extend(["-t".to_owned(), format.word().to_owned()]);
    }
    arguments.extend([place, pool.target.as_ref()?.path.clone()?]);
    Some(Command { program: "mount", arguments })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: &str, source: &str, expected: Option<&str>) {
        let text = format!(
            "<pool type='{kind}'><name>p</name><source>{source}</source><target><path>/mnt</path></target></pool>"
        );
        let pool = ostler_conf::parse::<StoragePool>(&text).unwrap().value;
        let words = activation(&pool).map(|command| format!("{} {}", command.program, command.arguments.join(" ")));
        assert_eq!(words.as_deref(), expected);
    }

    #[test]
    fn each_type_has_its_own() {
        let server = "<host name='h'/><dir path='/d'/>";
        check("netfs", server, Some("mount -o nodev,nosuid,noexec h:/d /mnt"));
        let cifs = "<host name='h'/><dir path='d'/><format type='cifs'/>";
        check("netfs", cifs, Some("mount -o nodev,nosuid,noexec,guest -t cifs //h/d /mnt"));
        check("logical", "<name>vg</name>", Some("vgchange -aly vg"));
        check("fs", "<device path='/dev/x'/>", Some("mount -o nodev,nosuid,noexec -t auto /dev/x /mnt"));
        check("fs", "", None);
        check("disk", "<device path='/dev/x'/>", None);
    }
}
