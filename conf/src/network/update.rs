//! Changing one section of a network: what `virsh net-update` does.

mod sections;

use ostler_util::ErrorCode;

use super::{DhcpHost, DhcpRange, DnsHost, DnsSrv, DnsTxt, ForwardInterface, Network, PortGroup};
use crate::{Invalid, Problem, parse, words};

words! {
    /// What is done to a section.
    pub enum UpdateCommand {
        /// What is there is replaced.
        Modify = "modify",
        /// What is there is removed.
        Delete = "delete",
        /// It is added behind the others.
        AddLast = "add-last",
        /// It is added before the others.
        AddFirst = "add-first",
    }

    /// A section of a network.
    pub enum UpdateSection {
        /// `<bridge>`; can't be changed.
        Bridge = "bridge",
        /// `<domain>`; can't be changed.
        Domain = "domain",
        /// `<ip>`; can't be changed.
        Ip = "ip",
        /// A `<host>` of `<dhcp>`.
        IpDhcpHost = "ip-dhcp-host",
        /// A `<range>` of `<dhcp>`.
        IpDhcpRange = "ip-dhcp-range",
        /// `<forward>`; can't be changed.
        Forward = "forward",
        /// An `<interface>` of `<forward>`.
        ForwardInterface = "forward-interface",
        /// A `<pf>` of `<forward>`; can't be changed.
        ForwardPf = "forward-pf",
        /// A `<portgroup>`.
        Portgroup = "portgroup",
        /// A `<host>` of `<dns>`.
        DnsHost = "dns-host",
        /// A `<txt>` of `<dns>`.
        DnsTxt = "dns-txt",
        /// A `<srv>` of `<dns>`.
        DnsSrv = "dns-srv",
    }
}

/// The update was refused: a message with libvirt's code for what was asked wrongly.
fn refuse(code: ErrorCode, section: UpdateSection, message: impl Into<String>) -> Invalid {
    Problem::new(code, section.word(), message).into()
}

impl Network {
    /// Changes one entry of a section: `xml` is the entry. `parent` numbers the `<ip>` that a section of address service belongs
    /// to; absent: the one that has address service. A deletion may name only what tells the entry from others. The network
    /// is not changed where the update is refused; what comes of it as a whole is for [`validate`](Network::validate) to say.
    ///
    /// # Errors
    /// `OperationInvalid` where the entry to change is not there, or is not the only one, or the entry to add is there;
    /// `OperationUnsupported` where libvirt knows no such change; an entry that can't be read, or that breaks its own rules.
    pub fn update(
        &mut self,
        command: UpdateCommand,
        section: UpdateSection,
        parent: Option<usize>,
        xml: &str,
    ) -> Result<(), Invalid> {
        match section {
            UpdateSection::Bridge
            | UpdateSection::Domain
            | UpdateSection::Ip
            | UpdateSection::Forward
            | UpdateSection::ForwardPf => {
                let message = format!("section '{section}' can't be updated: define the network anew");
                Err(refuse(ErrorCode::OperationUnsupported, section, message))
            }
            UpdateSection::IpDhcpHost => sections::dhcp_host(self, command, parent, parse::<DhcpHost>(xml)?.value),
            UpdateSection::IpDhcpRange => sections::dhcp_range(self, command, parent, parse::<DhcpRange>(xml)?.value),
            UpdateSection::ForwardInterface => {
                sections::forward_interface(self, command, parse::<ForwardInterface>(xml)?.value)
            }
            UpdateSection::Portgroup => sections::port_group(self, command, parse::<PortGroup>(xml)?.value),
            UpdateSection::DnsHost => sections::dns_host(self, command, parse::<DnsHost>(xml)?.value),
            UpdateSection::DnsTxt => sections::dns_txt(self, command, parse::<DnsTxt>(xml)?.value),
            UpdateSection::DnsSrv => sections::dns_srv(self, command, parse::<DnsSrv>(xml)?.value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format;

    const NETWORK: &str = "<network><name>n</name><dns><host ip='1.1.1.1'><hostname>a</hostname></host><host ip='1.1.1.2'><hostname>b</hostname></host></dns>\
        <ip address='10.0.0.1' prefix='24'/><ip address='10.1.0.1' prefix='24'><dhcp><range start='10.1.0.2' end='10.1.0.9'/></dhcp></ip></network>";

    fn update(
        command: UpdateCommand,
        section: UpdateSection,
        parent: Option<usize>,
        xml: &str,
    ) -> Result<String, ErrorCode> {
        let mut network = parse::<Network>(NETWORK).unwrap().strict().unwrap();
        network.update(command, section, parent, xml).map_err(|error| error.first().code)?;
        Ok(format(&network))
    }

    #[test]
    fn an_entry_goes_where_address_service_is() {
        let host = "<host mac='52:54:00:00:00:01' ip='10.1.0.20'/>";
        let added = update(UpdateCommand::AddLast, UpdateSection::IpDhcpHost, None, host).unwrap();
        assert!(added.contains("end='10.1.0.9'/>\n      <host mac='52:54:00:00:00:01' ip='10.1.0.20'/>"), "{added}");
        let elsewhere = update(UpdateCommand::AddLast, UpdateSection::IpDhcpHost, Some(0), host);
        assert_eq!(elsewhere, Err(ErrorCode::OperationInvalid), "one subnet of a family has address service");
    }

    #[test]
    fn a_deletion_names_one_entry() {
        let section = UpdateSection::DnsHost;
        let by_name = update(UpdateCommand::Delete, section, None, "<host><hostname>a</hostname></host>").unwrap();
        assert!(!by_name.contains("1.1.1.1"), "{by_name}");
        let two = update(UpdateCommand::Delete, section, None, "<host ip='1.1.1.1'><hostname>b</hostname></host>");
        assert_eq!(two, Err(ErrorCode::OperationInvalid));
    }

    #[test]
    fn whole_elements_are_not_updated() {
        let bridge = update(UpdateCommand::Modify, UpdateSection::Bridge, None, "<bridge name='b'/>");
        assert_eq!(bridge, Err(ErrorCode::OperationUnsupported));
    }
}
