//! `<throttlegroups>`: limits that disks share.

use ostler_conf::domain::ThrottleGroup;
use ostler_driver::Result;
use serde_json::json;

use super::{Args, Props, Setup};

pub(super) fn all(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    for ThrottleGroup(group) in setup.domain.throttlegroups.iter().flat_map(|groups| &groups.groups) {
        let limit = |value: Option<u64>| json!(value.unwrap_or(0));
        let burst = |value: Option<u64>| value.filter(|value| *value > 0);
        let limits = Props::default()
            .put("bps-total", limit(group.total_bytes_sec))
            .put("bps-read", limit(group.read_bytes_sec))
            .put("bps-write", limit(group.write_bytes_sec))
            .put("iops-total", limit(group.total_iops_sec))
            .put("iops-read", limit(group.read_iops_sec))
            .put("iops-write", limit(group.write_iops_sec))
            .put("bps-total-max", limit(group.total_bytes_sec_max))
            .put("bps-read-max", limit(group.read_bytes_sec_max))
            .put("bps-write-max", limit(group.write_bytes_sec_max))
            .put("iops-total-max", limit(group.total_iops_sec_max))
            .put("iops-read-max", limit(group.read_iops_sec_max))
            .put("iops-write-max", limit(group.write_iops_sec_max))
            .put("iops-size", limit(group.size_iops_sec))
            .maybe("bps-total-max-length", burst(group.total_bytes_sec_max_length))
            .maybe("bps-read-max-length", burst(group.read_bytes_sec_max_length))
            .maybe("bps-write-max-length", burst(group.write_bytes_sec_max_length))
            .maybe("iops-total-max-length", burst(group.total_iops_sec_max_length))
            .maybe("iops-read-max-length", burst(group.read_iops_sec_max_length))
            .maybe("iops-write-max-length", burst(group.write_iops_sec_max_length));
        let Some(name) = &group.group_name else { continue };
        args.object(Props::object("throttle-group", format!("throttle-{name}")).put("limits", limits.into_value()));
    }
    Ok(())
}
