//! libvirt's saved capabilities, `<qemuCaps>`: read as what was found out elsewhere, and written the same.

use std::borrow::Cow;

use ostler_conf::values::YesNo;
use ostler_conf::xml::{Element, Reader, Root, Value, Writer};
use ostler_conf::{Invalid, Problem};

use super::capabilities::{
    Accelerated, Accelerator, Capabilities, Cpu, CpuData, CpuProperty, CpuValue, Gic, HostCpu, Hyperv, Machine, Sev,
    Sgx, Stamp,
};
use super::flags::Flag;

impl Capabilities {
    /// Reads libvirt's saved capabilities. Flags of a later libvirt are left out.
    ///
    /// # Errors
    /// No such document, or one that lacks what must be there.
    pub fn from_saved(text: &str) -> Result<Self, Invalid> {
        Ok(ostler_conf::parse::<Capabilities>(text)?.value)
    }

    /// What libvirt would have saved.
    pub fn to_saved(&self) -> String {
        ostler_conf::format(self)
    }
}

impl Root for Capabilities {
    const NAME: &'static str = "qemuCaps";
}

impl Element for Capabilities {
    fn read(reader: &Reader<'_>) -> Result<Self, Problem> {
        let mut found = Capabilities {
            emulator: reader.required_element("emulator")?,
            stamp: Stamp::read(reader)?,
            version: reader.required_element("version")?,
            package: reader.element("package")?.unwrap_or_default(),
            microcode_version: reader.element("microcodeVersion")?.unwrap_or_default(),
            arch: reader.required_element("arch")?,
            gic: reader.elements("gic")?,
            sev: reader.element("sev")?,
            sgx: reader.element("sgx")?,
            hyperv: reader.element("hypervCapabilities")?,
            ..Capabilities::default()
        };
        for flag in reader.children("flag") {
            found.flags.extend(Flag::from_word(flag.attr_text("name").unwrap_or_default()));
        }
        for cpu in reader.children("hostCPU") {
            found.accelerated_of(&cpu)?.host_cpu = Some(HostCpu::read(&cpu)?);
        }
        for cpu in reader.children("cpu") {
            found.accelerated_of(&cpu)?.cpus.push(Cpu::read(&cpu)?);
        }
        for machine in reader.children("machine") {
            found.accelerated_of(&machine)?.machines.push(Machine::read(&machine)?);
        }
        Ok(found)
    }

    fn attrs(&self, _: &mut Writer) {}

    fn body(&self, w: &mut Writer) {
        // What is only of this program is not in libvirt's document.
        let Capabilities { emulator, stamp, flags, version, package, microcode_version, arch, .. } = self;
        let Capabilities { gic, sev, sgx, hyperv, .. } = self;
        text(w, "emulator", emulator);
        text(w, "qemuctime", &stamp.qemu_ctime);
        optional_text(w, "qemumoddirmtime", stamp.module_directory_mtime.as_ref());
        text(w, "selfctime", &stamp.self_ctime);
        text(w, "selfvers", &stamp.self_version);
        for flag in flags.iter() {
            w.element("flag", true, |w| w.attr_text("name", flag.word()));
        }
        text(w, "version", version);
        text(w, "microcodeVersion", microcode_version);
        optional_text(w, "hostCPUSignature", stamp.host_cpu_signature.as_ref());
        text(w, "package", package);
        optional_text(w, "kernelVersion", stamp.kernel_version.as_ref());
        if let Some(data) = &stamp.cpu_data {
            w.element("cpudata", true, |w| {
                w.attr_text("arch", &data.arch);
                w.raw(&data.content);
            });
        }
        text(w, "arch", arch);
        for accelerator in Accelerator::ALL {
            let Accelerated { host_cpu, cpus, machines, models: _ } = self.accelerated(accelerator);
            host_cpu.iter().for_each(|cpu| of_type(w, "hostCPU", accelerator, cpu));
            cpus.iter().for_each(|cpu| of_type(w, "cpu", accelerator, cpu));
            machines.iter().for_each(|machine| of_type(w, "machine", accelerator, machine));
        }
        gic.iter().for_each(|gic| whole(w, "gic", gic));
        sev.iter().for_each(|sev| whole(w, "sev", sev));
        hyperv.iter().for_each(|hyperv| whole(w, "hypervCapabilities", hyperv));
        sgx.iter().for_each(|sgx| whole(w, "sgx", sgx));
    }
}

impl Capabilities {
    /// The part that an element's `type` names.
    fn accelerated_of(&mut self, reader: &Reader<'_>) -> Result<&mut Accelerated, Problem> {
        Ok(self.accelerated_mut(reader.required_attr("type")?))
    }
}

impl Value for Accelerator {
    fn parse(text: &str) -> Result<Self, String> {
        // "qemu" was the word of old.
        let found = Accelerator::ALL.into_iter().find(|it| it.word() == text);
        found.or((text == "qemu").then_some(Accelerator::Tcg)).ok_or_else(|| "one of kvm, hvf, tcg".to_owned())
    }
    fn format(&self) -> Cow<'_, str> {
        self.word().into()
    }
}

fn text(w: &mut Writer, name: &str, value: &impl Value) {
    w.element(name, true, |w| w.inline_text(&value.format()));
}

fn optional_text(w: &mut Writer, name: &str, value: Option<&impl Value>) {
    value.into_iter().for_each(|value| text(w, name, value));
}

fn whole(w: &mut Writer, name: &str, element: &impl Element) {
    w.element(name, true, |w| {
        element.attrs(w);
        element.body(w);
    });
}

fn of_type(w: &mut Writer, name: &str, accelerator: Accelerator, element: &impl Element) {
    w.element(name, true, |w| {
        w.attr("type", &accelerator);
        element.attrs(w);
        element.body(w);
    });
}

fn is_yes(reader: &Reader<'_>, attribute: &str) -> Result<bool, Problem> {
    Ok(optional_yes(reader, attribute)?.unwrap_or_default())
}

fn optional_yes(reader: &Reader<'_>, attribute: &str) -> Result<Option<bool>, Problem> {
    Ok(reader.attr::<YesNo>(attribute)?.map(|YesNo(yes)| yes))
}

/// An attribute that is written where it is true.
fn yes_if(w: &mut Writer, name: &str, is_so: bool) {
    if is_so {
        w.attr(name, &YesNo(true));
    }
}

fn optional_attr(w: &mut Writer, name: &str, value: Option<&impl Value>) {
    value.into_iter().for_each(|value| w.attr(name, value));
}

impl Stamp {
    fn read(reader: &Reader<'_>) -> Result<Self, Problem> {
        Ok(Stamp {
            qemu_ctime: reader.element("qemuctime")?.unwrap_or_default(),
            module_directory_mtime: reader.element("qemumoddirmtime")?,
            self_ctime: reader.element("selfctime")?.unwrap_or_default(),
            self_version: reader.element("selfvers")?.unwrap_or_default(),
            host_cpu_signature: reader.element("hostCPUSignature")?,
            kernel_version: reader.element("kernelVersion")?,
            cpu_data: reader.child("cpudata").map(|data| CpuData {
                arch: data.attr_text("arch").unwrap_or_default().to_owned(),
                content: data.take_content().to_owned(),
            }),
        })
    }
}

impl Element for HostCpu {
    fn read(reader: &Reader<'_>) -> Result<Self, Problem> {
        let deprecated = reader.child_or_absent("deprecatedFeatures");
        Ok(HostCpu {
            model: reader.required_attr("model")?,
            tells_migratability: is_yes(reader, "migratability")?,
            properties: reader.elements("property")?,
            deprecated: deprecated
                .children("property")
                .map(|property| property.required_attr("name"))
                .collect::<Result<_, _>>()?,
        })
    }

    fn attrs(&self, w: &mut Writer) {
        w.attr("model", &self.model);
        w.attr("migratability", &YesNo(self.tells_migratability));
    }

    fn body(&self, w: &mut Writer) {
        w.open();
        self.properties.iter().for_each(|property| whole(w, "property", property));
        if !self.deprecated.is_empty() {
            w.element("deprecatedFeatures", true, |w| {
                for name in &self.deprecated {
                    w.element("property", true, |w| w.attr("name", name));
                }
            });
        }
    }
}

impl Element for CpuProperty {
    fn read(reader: &Reader<'_>) -> Result<Self, Problem> {
        let value = match reader.attr_text("type") {
            Some("boolean") => CpuValue::Boolean(reader.attr_text("value") == Some("true")),
            Some("number") => CpuValue::Number(reader.required_attr("value")?),
            _ => CpuValue::Text(reader.required_attr("value")?),
        };
        Ok(CpuProperty { name: reader.required_attr("name")?, value, migratable: optional_yes(reader, "migratable")? })
    }

    fn attrs(&self, w: &mut Writer) {
        let (r#type, value) = match &self.value {
            CpuValue::Boolean(value) => ("boolean", if *value { "true".into() } else { "false".into() }),
            CpuValue::Number(value) => ("number", value.format()),
            CpuValue::Text(value) => ("string", value.format()),
        };
        w.attr("name", &self.name);
        w.attr_text("type", r#type);
        w.attr_text("value", &value);
        optional_attr(w, "migratable", self.migratable.map(YesNo).as_ref());
    }

    fn body(&self, _: &mut Writer) {}
}

impl Element for Cpu {
    fn read(reader: &Reader<'_>) -> Result<Self, Problem> {
        Ok(Cpu {
            name: reader.required_attr("name")?,
            type_name: reader.attr("typename")?,
            usable: optional_yes(reader, "usable")?,
            deprecated: is_yes(reader, "deprecated")?,
            blockers: reader
                .children("blocker")
                .map(|blocker| blocker.required_attr("name"))
                .collect::<Result<_, _>>()?,
        })
    }

    fn attrs(&self, w: &mut Writer) {
        w.attr("name", &self.name);
        optional_attr(w, "typename", self.type_name.as_ref());
        optional_attr(w, "usable", self.usable.map(YesNo).as_ref());
        yes_if(w, "deprecated", self.deprecated);
    }

    fn body(&self, w: &mut Writer) {
        for name in &self.blockers {
            w.element("blocker", true, |w| w.attr("name", name));
        }
    }
}

impl Element for Machine {
    fn read(reader: &Reader<'_>) -> Result<Self, Problem> {
        Ok(Machine {
            name: reader.required_attr("name")?,
            alias: reader.attr("alias")?,
            is_default: is_yes(reader, "default")?,
            max_cpus: reader.attr("maxCpus")?.unwrap_or_default(),
            hotplug_cpus: is_yes(reader, "hotplugCpus")?,
            default_cpu: reader.attr("defaultCPU")?,
            numa_mem_supported: is_yes(reader, "numaMemSupported")?,
            default_ram_id: reader.attr("defaultRAMid")?,
            deprecated: is_yes(reader, "deprecated")?,
            acpi: optional_yes(reader, "acpi")?,
        })
    }

    fn attrs(&self, w: &mut Writer) {
        w.attr("name", &self.name);
        optional_attr(w, "alias", self.alias.as_ref());
        yes_if(w, "hotplugCpus", self.hotplug_cpus);
        w.attr("maxCpus", &self.max_cpus);
        yes_if(w, "default", self.is_default);
        optional_attr(w, "defaultCPU", self.default_cpu.as_ref());
        yes_if(w, "numaMemSupported", self.numa_mem_supported);
        optional_attr(w, "defaultRAMid", self.default_ram_id.as_ref());
        yes_if(w, "deprecated", self.deprecated);
        optional_attr(w, "acpi", self.acpi.map(YesNo).as_ref());
    }

    fn body(&self, _: &mut Writer) {}
}

impl Element for Gic {
    fn read(reader: &Reader<'_>) -> Result<Self, Problem> {
        Ok(Gic {
            version: reader.required_attr("version")?,
            kernel: is_yes(reader, "kernel")?,
            emulated: is_yes(reader, "emulated")?,
        })
    }

    fn attrs(&self, w: &mut Writer) {
        w.attr("version", &self.version);
        w.attr("kernel", &YesNo(self.kernel));
        w.attr("emulated", &YesNo(self.emulated));
    }

    fn body(&self, _: &mut Writer) {}
}

impl Element for Sev {
    fn read(reader: &Reader<'_>) -> Result<Self, Problem> {
        Ok(Sev {
            cbitpos: reader.required_element("cbitpos")?,
            reduced_phys_bits: reader.required_element("reducedPhysBits")?,
            pdh: reader.required_element("pdh")?,
            cert_chain: reader.required_element("certChain")?,
            cpu0_id: reader.element("cpu0Id")?,
            ..Sev::default()
        })
    }

    fn attrs(&self, _: &mut Writer) {}

    fn body(&self, w: &mut Writer) {
        text(w, "cbitpos", &self.cbitpos);
        text(w, "reducedPhysBits", &self.reduced_phys_bits);
        text(w, "pdh", &self.pdh);
        text(w, "certChain", &self.cert_chain);
        optional_text(w, "cpu0Id", self.cpu0_id.as_ref());
    }
}

impl Element for Sgx {
    fn read(reader: &Reader<'_>) -> Result<Self, Problem> {
        let is_yes = |name: &str| Ok(reader.element::<YesNo>(name)?.is_some_and(|YesNo(yes)| yes));
        let sections = reader.child_or_absent("sections");
        let section = |section: Reader<'_>| Ok((section.required_attr("node")?, section.required_attr("size")?));
        Ok(Sgx {
            flc: is_yes("flc")?,
            sgx1: is_yes("sgx1")?,
            sgx2: is_yes("sgx2")?,
            section_size_kib: reader.required_element("section_size")?,
            sections: sections.children("section").map(section).collect::<Result<_, Problem>>()?,
        })
    }

    fn attrs(&self, w: &mut Writer) {
        w.attr("supported", &YesNo(true));
    }

    fn body(&self, w: &mut Writer) {
        text(w, "flc", &YesNo(self.flc));
        text(w, "sgx1", &YesNo(self.sgx1));
        text(w, "sgx2", &YesNo(self.sgx2));
        w.element("section_size", true, |w| {
            w.attr_text("unit", "KiB");
            w.text(&self.section_size_kib.format());
        });
        if self.sections.is_empty() {
            return;
        }
        w.element("sections", true, |w| {
            for (node, size) in &self.sections {
                w.element("section", true, |w| {
                    w.attr("node", node);
                    w.attr("size", size);
                    w.attr_text("unit", "KiB");
                });
            }
        });
    }
}

impl Element for Hyperv {
    fn read(reader: &Reader<'_>) -> Result<Self, Problem> {
        let name = |feature: Reader<'_>| feature.required_attr("name");
        Ok(Hyperv {
            supported: is_yes(reader, "supported")?,
            features: reader.children("cap").map(name).collect::<Result<_, _>>()?,
        })
    }

    fn attrs(&self, w: &mut Writer) {
        w.attr("supported", &YesNo(self.supported));
    }

    fn body(&self, w: &mut Writer) {
        for name in &self.features {
            w.element("cap", true, |w| w.attr("name", name));
        }
    }
}
