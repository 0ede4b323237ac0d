//! What QEMU's own schema tells: members, values and features of commands.

use std::collections::HashMap;

use serde::Deserialize;

use super::flags::{Flag, Flags};

/// Paths into the schema, each with the flag that it sets if it is there. A path begins with a command; then `arg` and
/// `ret` are the types of its arguments and of what it returns, `name` a member, `+name` a variant, `^name` a value, `$name`
/// a feature, and `*name` a member that may lack.
const PATHS: &[(&str, Flag)] = &[
    ("block-commit/arg/*backing-mask-protocol", Flag::BlockjobBackingMaskProtocol),
    ("blockdev-add/arg/+file/aio/^io_uring", Flag::AioIoUring),
    ("blockdev-add/arg/+file/drop-cache", Flag::MigrationFileDropCache),
    ("blockdev-add/arg/+nbd/tls-creds", Flag::NbdTls),
    ("blockdev-add/arg/+nbd/tls-hostname", Flag::BlockdevNbdTlsHostname),
    ("blockdev-add/arg/+nvme", Flag::DriveNvme),
    ("blockdev-add/arg/+qcow2/discard-no-unref", Flag::Qcow2DiscardNoUnref),
    ("blockdev-add/arg/+rbd/encrypt", Flag::RbdEncryption),
    ("blockdev-add/arg/+rbd/encrypt/format/^luks-any", Flag::RbdEncryptionLuksAny),
    ("blockdev-add/arg/+rbd/encrypt/parent", Flag::RbdEncryptionLayering),
    ("blockdev-add/arg/+virtio-blk-vhost-vdpa/$fdset", Flag::VirtioBlkVhostVdpa),
    ("blockdev-set-active", Flag::BlockdevSetActive),
    ("calc-dirty-rate", Flag::CalcDirtyRate),
    ("calc-dirty-rate/arg/mode", Flag::DirtyrateParamMode),
    ("chardev-add/arg/backend/+socket/data/reconnect", Flag::ChardevReconnect),
    ("chardev-add/arg/backend/+socket/data/reconnect-ms", Flag::ChardevReconnectMiliseconds),
    ("chardev-add/arg/backend/+qemu-vdagent", Flag::ChardevQemuVdagent),
    ("device_add/$json-cli-hotplug", Flag::DeviceJsonHotplug),
    ("display-reload", Flag::DisplayReload),
    ("migrate-incoming/arg/exit-on-error", Flag::MigrateIncomingExitOnError),
    ("netdev_add/arg/+dgram", Flag::NetdevJson),
    ("netdev_add/arg/+stream", Flag::NetdevStream),
    ("netdev_add/arg/+stream/reconnect", Flag::NetdevStreamReconnect),
    ("netdev_add/arg/+stream/reconnect-ms", Flag::NetdevStreamReconnectMiliseconds),
    ("netdev_add/arg/+user", Flag::NetdevUser),
    ("netdev_add/arg/+vhost-vdpa", Flag::NetdevVhostVdpa),
    ("object-add/arg/+iothread/thread-pool-max", Flag::IothreadThreadPoolMax),
    ("object-add/arg/+memory-backend-file/pmem", Flag::MemoryBackendFilePmem),
    ("object-add/arg/+sev-guest/kernel-hashes", Flag::SevGuestKernelHashes),
    ("query-cpu-definitions", Flag::QueryCpuDefinitions),
    ("query-cpu-model-baseline", Flag::QueryCpuModelBaseline),
    ("query-cpu-model-comparison", Flag::QueryCpuModelComparison),
    ("query-cpu-model-expansion", Flag::QueryCpuModelExpansion),
    ("query-cpu-model-expansion/ret/deprecated-props", Flag::QueryCpuModelExpansionDeprecatedProps),
    ("query-dirty-rate", Flag::QueryDirtyRate),
    ("query-display-options/ret/+dbus", Flag::DisplayDbus),
    ("query-display-options/ret/+egl-headless", Flag::EglHeadless),
    ("query-display-options/ret/+egl-headless/rendernode", Flag::EglHeadlessRendernode),
    ("query-display-options/ret/+sdl", Flag::Sdl),
    ("query-hotpluggable-cpus/ret/props/cluster-id", Flag::SmpClusters),
    ("query-migrate/ret/blocked-reasons", Flag::MigrationBlockedReasons),
    ("query-spice", Flag::Spice),
    ("query-stats", Flag::QueryStats),
    ("query-stats-schemas", Flag::QueryStatsSchemas),
    ("query-vnc", Flag::Vnc),
    ("rtc-reset-reinjection", Flag::RtcResetReinjection),
    ("screendump/arg/device", Flag::ScreendumpDevice),
    ("screendump/arg/format/^png", Flag::ScreenshotFormatPng),
    ("set-action", Flag::SetAction),
    ("set-numa-node/arg/+hmat-lb", Flag::NumaHmat),
    ("sev-inject-launch-secret", Flag::SevInjectLaunchSecret),
];

/// What `query-qmp-schema` returns.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Schema(Vec<Entity>);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Entity {
    name: String,
    arg_type: Option<String>,
    ret_type: Option<String>,
    element_type: Option<String>,
    #[serde(default)]
    members: Vec<Member>,
    #[serde(default)]
    variants: Vec<Variant>,
    #[serde(default)]
    values: Vec<String>,
    #[serde(default)]
    features: Vec<String>,
}

/// A member of an object; those of enums have no type, those of alternates no name.
#[derive(Debug, Deserialize)]
struct Member {
    #[serde(default)]
    name: String,
    #[serde(default)]
    r#type: String,
    /// There, even as null, if the member may lack.
    #[serde(default, deserialize_with = "is_there")]
    default: bool,
    #[serde(default)]
    features: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Variant {
    case: String,
    r#type: String,
}

fn is_there<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    serde::de::IgnoredAny::deserialize(deserializer)?;
    Ok(true)
}

impl Schema {
    /// The flags that it sets.
    pub(super) fn flags(&self) -> Flags {
        let by_name: HashMap<&str, &Entity> = self.0.iter().map(|entity| (entity.name.as_str(), entity)).collect();
        PATHS.iter().filter(|(path, _)| leads(&by_name, path).is_some()).map(|(_, flag)| *flag).collect()
    }
}

/// Follows a path; `None` where it ends before.
fn leads(schema: &HashMap<&str, &Entity>, path: &str) -> Option<()> {
    let mut steps = path.split('/');
    let mut here: &Entity = schema.get(steps.next()?)?;
    // The features of the member by which we came stand with it, not with its type.
    let mut features = &here.features;
    for step in steps {
        while let Some(element) = &here.element_type {
            here = schema.get(element.as_str())?;
        }
        let (kind, name) = step.split_at(usize::from(step.starts_with(['+', '^', '$', '*'])));
        let next = match (kind, name) {
            ("$", _) => return features.iter().chain(&here.features).any(|feature| feature == name).then_some(()),
            ("^", _) => return here.values.iter().any(|value| value == name).then_some(()),
            ("+", _) => &here.variants.iter().find(|variant| variant.case == name)?.r#type,
            ("", "arg") if here.arg_type.is_some() => here.arg_type.as_ref()?,
            ("", "ret") if here.ret_type.is_some() => here.ret_type.as_ref()?,
            _ => {
                let member = here.members.iter().find(|member| member.name == name)?;
                if kind == "*" && !member.default {
                    return None;
                }
                features = &member.features;
                &member.r#type
            }
        };
        here = schema.get(next.as_str())?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_through_arguments_variants_arrays_and_features() {
        let schema: Schema = serde_json::from_str(
            r#"[{"name": "do", "meta-type": "command", "arg-type": "1", "ret-type": "[2]", "features": ["fast"]},
                {"name": "1", "meta-type": "object", "members": [{"name": "how", "type": "3", "default": null},
                 {"name": "what", "type": "2", "features": ["new"]}], "variants": [{"case": "x", "type": "2"}]},
                {"name": "[2]", "meta-type": "array", "element-type": "2"},
                {"name": "2", "meta-type": "object", "members": [{"name": "deep", "type": "3"}]},
                {"name": "3", "meta-type": "enum", "values": ["a"], "members": [{"name": "a"}]}]"#,
        )
        .unwrap();
        let by_name = schema.0.iter().map(|entity| (entity.name.as_str(), entity)).collect();
        let leads = |path| leads(&by_name, path).is_some();
        for path in
            ["do", "do/$fast", "do/arg/how/^a", "do/arg/*how", "do/arg/what/$new", "do/arg/+x/deep", "do/ret/deep"]
        {
            assert!(leads(path), "{path}");
        }
        for path in ["don't", "do/$slow", "do/arg/how/^b", "do/arg/*what", "do/arg/how/$new", "do/arg/+y", "do/ret/how"]
        {
            assert!(!leads(path), "{path}");
        }
    }

    #[test]
    fn no_path_stands_twice() {
        let mut paths: Vec<&str> = PATHS.iter().map(|(path, _)| *path).collect();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), PATHS.len());
    }
}
