//! `<launchSecurity>`: how the host is kept from looking into the guest.

use ostler_conf::domain::LaunchSecurity;
use ostler_driver::Result;

use super::{Args, Props, Setup};

const ID: &str = "lsec0";

pub(super) fn all(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    let Some(security) = &setup.domain.launch_security else { return Ok(()) };
    let file = |name: &str| setup.runtime.dir.join(name).to_string_lossy().into_owned();
    args.object(match security {
        LaunchSecurity::Sev(sev) => encryption(setup, "sev-guest", sev.cbitpos, sev.reduced_phys_bits)
            .put("policy", sev.policy.0)
            .maybe("dh-cert-file", sev.dh_cert.as_ref().map(|_| file("dh_cert.base64")))
            .maybe("session-file", sev.session.as_ref().map(|_| file("session.base64")))
            .maybe("kernel-hashes", sev.kernel_hashes.map(|on| on.0)),
        LaunchSecurity::SevSnp(snp) => encryption(setup, "sev-snp-guest", snp.cbitpos, snp.reduced_phys_bits)
            .put("policy", snp.policy.0)
            .maybe("guest-visible-workarounds", snp.guest_visible_workarounds.clone())
            .maybe("id-block", snp.id_block.clone())
            .maybe("id-auth", snp.id_auth.clone())
            .maybe("host-data", snp.host_data.clone())
            .maybe("kernel-hashes", snp.kernel_hashes.map(|on| on.0))
            .maybe("author-key-enabled", snp.author_key.map(|on| on.0))
            .maybe("vcek-disabled", snp.vcek.map(|on| !on.0)),
        LaunchSecurity::S390Pv(_) => Props::object("s390-pv-guest", ID),
    });
    Ok(())
}

/// What the guest does not say, the host's processor does.
fn encryption(setup: &Setup<'_>, kind: &str, cbitpos: Option<u32>, reduced: Option<u32>) -> Props {
    let host = setup.capabilities.sev.as_ref();
    Props::object(kind, ID)
        .maybe("cbitpos", cbitpos.or(host.map(|host| host.cbitpos)))
        .maybe("reduced-phys-bits", reduced.or(host.map(|host| host.reduced_phys_bits)))
}
