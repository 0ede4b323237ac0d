//! What of a guest's definition is nobody else's business.

use super::{DiskSource, Domain, GraphicsKind};
use crate::values::Confidential;

impl Domain {
    /// Every password and cookie, with its field.
    pub fn confidential_mut(&mut self) -> Vec<(String, &mut Confidential)> {
        let passwords = self.devices.graphics.iter_mut().filter_map(|graphics| {
            let (kind, passwd) = match &mut graphics.kind {
                GraphicsKind::Vnc(vnc) => ("vnc", &mut vnc.passwd),
                GraphicsKind::Rdp(rdp) => ("rdp", &mut rdp.passwd),
                GraphicsKind::Spice(spice) => ("spice", &mut spice.passwd),
                GraphicsKind::Sdl(_)
                | GraphicsKind::Desktop(_)
                | GraphicsKind::EglHeadless(_)
                | GraphicsKind::Dbus(_) => return None,
            };
            Some((format!("devices.graphics[{}].kind.{kind}.passwd", graphics.name), passwd.as_mut()?))
        });
        let disks = self.devices.disks.iter_mut().flat_map(|disk| {
            let path = format!("devices.disks[{}]", disk.name);
            let own = disk.source.iter_mut().map(|source| ("source".to_owned(), source));
            let images = disk.backing_chain.iter_mut().flat_map(|chain| &mut chain.0).enumerate();
            let below =
                images.filter_map(|(at, image)| Some((format!("backingChain[{at}].source"), image.source.as_mut()?)));
            own.chain(below).flat_map(move |(field, source)| cookies(&format!("{path}.{field}"), source))
        });
        let firmware = self.os.nvram.iter_mut().filter_map(|nvram| nvram.source.as_mut());
        passwords.chain(disks).chain(firmware.flat_map(|source| cookies("os.nvram.source", source))).collect()
    }
}

fn cookies<'a>(path: &str, source: &'a mut DiskSource) -> Vec<(String, &'a mut Confidential)> {
    let DiskSource::Network(network) = source else { return Vec::new() };
    let cookies = network.cookies.iter_mut().flat_map(|cookies| &mut cookies.cookies);
    cookies
        .map(|cookie| (format!("{path}.network.cookies.cookies[{}].value", cookie.name), &mut cookie.value))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::values::SecretKeyRef;
    use crate::{format, parse};

    const GUEST: &str = "<domain type='kvm'><name>d</name><memory>1</memory><devices>\
        <disk type='network'><source protocol='https' name='a'><host name='h'/><cookies><cookie name='c'>crumbs</cookie></cookies></source><target dev='vda'/></disk>\
        <graphics type='vnc' passwd='hunter2'/><graphics type='sdl'/><graphics type='spice' passwd='hunter3'/></devices></domain>";

    /// The guest with its secrets put aside.
    fn kept() -> Domain {
        let mut domain = parse::<Domain>(GUEST).unwrap().value;
        for (at, (_, secret)) in domain.confidential_mut().into_iter().enumerate() {
            *secret = Confidential::Kept(SecretKeyRef { name: "s".into(), key: at.to_string() });
        }
        domain
    }

    #[test]
    fn all_are_found_and_xml_holds_them() {
        let mut domain = parse::<Domain>(GUEST).unwrap().value;
        let texts: Vec<_> = domain.confidential_mut().iter().map(|(_, it)| it.text().unwrap().to_owned()).collect();
        assert_eq!(texts, ["hunter2", "hunter3", "crumbs"]);
        let paths: Vec<_> = domain.confidential_mut().into_iter().map(|(path, _)| path).collect();
        assert_eq!(paths[0], "devices.graphics[graphics0].kind.vnc.passwd");
        assert_eq!(paths[2], "devices.disks[vda].source.network.cookies.cookies[c].value");
        let xml = format(&domain);
        assert!(texts.iter().all(|text| xml.contains(text)), "{xml}");
    }

    #[test]
    fn yaml_and_debug_hold_none() {
        let domain = parse::<Domain>(GUEST).unwrap().value;
        for text in [serde_json::to_string(&domain).unwrap(), format!("{domain:?}")] {
            assert!(!text.contains("hunter") && !text.contains("crumbs"), "{text}");
        }
        let refused = serde_json::from_value::<Confidential>(json!("hunter2")).unwrap_err().to_string();
        assert!(refused.contains("secretKeyRef"), "{refused}");
        assert!(serde_json::from_value::<Confidential>(json!({})).is_err());
    }

    #[test]
    fn where_they_are_kept_outlives_both_faces() {
        let domain = kept();
        let parsed = parse::<Domain>(&format(&domain)).unwrap();
        assert_eq!((&parsed.value, parsed.unknown), (&domain, Vec::new()));
        let yaml = serde_json::to_value(&domain).unwrap();
        assert_eq!(
            yaml["devices"]["graphics"][0]["kind"]["vnc"]["passwd"],
            json!({"valueFrom": {"secretKeyRef": {"name": "s", "key": "0"}}})
        );
        assert_eq!(serde_json::from_value::<Domain>(yaml).unwrap(), domain);
    }

    #[test]
    fn a_place_that_is_none_is_refused() {
        let text =
            GUEST.replace("passwd='hunter2'", "xmlns:ostler='https://ostler.dev/xmlns/domain/1.0' ostler:passwd='s'");
        let refused = parse::<Domain>(&text).unwrap_err().to_string();
        assert!(refused.contains("a Secret's name, a slash, and a key"), "{refused}");
    }
}
