//! The cluster's network: a namespace with a bridge for the control plane, one for each node, and a way in for the host.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::node::Node;
use super::place::Place;

/// Makes the control plane's namespace and the host's way into it.
///
/// # Errors
/// What stands in the way: a subnet that the host already routes, a namespace that is left.
pub fn create(place: Place) -> Result<()> {
    let routes = Command::new("ip").args(["-4", "route", "show", "root", &place.subnet()]).output()?;
    if !routes.stdout.is_empty() {
        let route = String::from_utf8_lossy(&routes.stdout).trim().to_owned();
        bail!("this host has a route into {} already ({route}): choose another --id", place.subnet());
    }
    let (namespace, link) = (place.namespace(), place.host_link());
    batch(None, &format!("netns add {namespace}"))?;
    batch(
        Some(&namespace),
        &format!(
            "link set lo up\nlink add br0 type bridge\naddress add {}/24 dev br0\nlink set br0 up",
            place.address(1)
        ),
    )?;
    batch(
        None,
        &format!(
            "link add {link} type veth peer name host netns {namespace}\naddress add {}/24 dev {link}\nlink set {link} up",
            place.address(254)
        ),
    )?;
    batch(Some(&namespace), "link set host master br0 up")
}

/// Makes a node's namespace and plugs it in. Every other node, and the control plane, knows the way to its pods.
///
/// # Errors
/// What stands in the way.
pub fn plug_in(node: &Node, others: &[Node]) -> Result<()> {
    let (place, namespace, number) = (node.place, node.namespace(), node.number);
    batch(None, &format!("netns add {namespace}"))?;
    let port = port(node);
    batch(
        Some(&place.namespace()),
        &format!(
            "link add {port} type veth peer name eth0 netns {namespace}\nlink set {port} master br0 up\n\
         route replace {} via {}",
            node.pods(),
            node.address()
        ),
    )?;
    let mut lines = format!(
        "link set lo up\naddress add {}/24 dev eth0\nlink set eth0 up\nroute add default via {}",
        node.address(),
        place.address(1)
    );
    for other in others.iter().filter(|other| other.number != number) {
        lines += &format!("\nroute add {} via {}", other.pods(), other.address());
    }
    batch(Some(&namespace), &lines)
}

/// Removes a namespace with all in it. One that is missing is fine.
///
/// # Errors
/// `ip` refuses.
pub fn remove(namespace: &str) -> Result<()> {
    if exists(namespace) { batch(None, &format!("netns delete {namespace}")) } else { Ok(()) }
}

/// Removes the host's way into a cluster. One that is missing is fine.
///
/// # Errors
/// `ip` refuses.
pub fn remove_way_in(place: Place) -> Result<()> {
    delete_link(&[], &place.host_link())
}

/// Unplugs a node and removes its namespace with all in it. What is missing is fine.
///
/// # Errors
/// `ip` refuses.
pub fn unplug(node: &Node) -> Result<()> {
    let namespace = node.place.namespace();
    if exists(&namespace) {
        delete_link(&["-n", &namespace], &port(node))?;
    }
    remove(&node.namespace())
}

/// Cuts a node off from everything, or lets it in again: nothing on it ends.
///
/// # Errors
/// `ip` refuses.
pub fn switch(node: &Node, to: Link) -> Result<()> {
    let to = match to {
        Link::Up => "up",
        Link::Down => "down",
    };
    batch(Some(&node.place.namespace()), &format!("link set {} {to}", port(node)))
}

/// A node's wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// It carries.
    Up,
    /// It is pulled.
    Down,
}

/// The bridge's port for a node.
fn port(node: &Node) -> String {
    format!("node{}", node.number)
}

/// Of a link whose other end is in a namespace that goes, the kernel takes care too, but some time later.
fn delete_link(place: &[&str], link: &str) -> Result<()> {
    let output = Command::new("ip").args(place).args(["link", "delete", link]).output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    if output.status.success() || text.contains("Cannot find device") { Ok(()) } else { bail!("delete {link}: {text}") }
}

/// Whether there is a namespace of this name.
pub fn exists(namespace: &str) -> bool {
    std::path::Path::new("/run/netns").join(namespace).exists()
}

/// Has `ip` carry out lines, all in one namespace.
fn batch(namespace: Option<&str>, lines: &str) -> Result<()> {
    let mut command = Command::new("ip");
    if let Some(namespace) = namespace {
        command.args(["-n", namespace]);
    }
    let mut child = command
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("run ip: install iproute2")?;
    child.stdin.take().context("ip has an input")?.write_all(lines.as_bytes())?;
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("ip in {}: {}\n{lines}", namespace.unwrap_or("the host"), String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
