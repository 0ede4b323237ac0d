//! What every driver does with networks.

use ostler_conf::{ErrorCode, MacAddress};
use uuid::Uuid;

use super::{Stage, declare, refused, wait};
use crate::{Event, NetworkEvent, Networks, PortRequest};

declare! {
    a_network_is_stored_started_stopped_and_forgotten: [Network];
    a_wrong_network_is_refused_whole: [Network];
    a_network_s_name_belongs_to_one_uuid: [Network];
    an_active_network_is_not_forgotten: [Network];
    networks_outlive_the_agent: [Network];
    what_is_unknown_is_no_network: [Network, NetworkLeases];
    nobody_has_a_lease_at_first: [Network, NetworkLeases];
    a_guest_gets_one_port_and_holds_the_network: [Network, NetworkPorts];
    ports_need_an_active_network: [Network, NetworkPorts];
    ports_outlive_the_agent: [Network, NetworkPorts];
}

fn networks<'a>(stage: &'a Stage<'_>) -> &'a dyn Networks {
    stage.connection().networks().expect("a driver with networks' features has networks")
}

async fn define(stage: &Stage<'_>, name: &str) -> ostler_conf::Network {
    networks(stage).define(&stage.subject.network(name)).await.unwrap()
}

async fn end(stage: &Stage<'_>, name: &str) {
    networks(stage).stop(name).await.unwrap();
    networks(stage).undefine(name).await.unwrap();
}

fn request(owner: Uuid, last: u8) -> PortRequest {
    PortRequest { owner, owner_name: "guest".to_owned(), mac: MacAddress([0x52, 0x54, 0, 9, 9, last]) }
}

fn is(name: &str, wanted: NetworkEvent) -> impl Fn(&Event) -> bool {
    move |event| matches!(event, Event::Network { name: of, event } if of == name && *event == wanted)
}

async fn a_network_is_stored_started_stopped_and_forgotten(stage: &mut Stage<'_>) {
    let mut events = stage.connection().events();
    let stored = define(stage, "lan").await;
    wait::expect(&mut events, "its definition", is("lan", NetworkEvent::Defined)).await;
    assert!(stored.uuid.is_some());
    assert_eq!(networks(stage).definition("lan").await.unwrap(), stored);
    assert_eq!(networks(stage).check(&stored).await.unwrap(), stored, "a completed definition is complete");
    assert_eq!(networks(stage).define(&stored).await.unwrap(), stored, "the same again changes nothing");
    assert!(!networks(stage).get("lan").await.unwrap().active);
    // Each twice: a call that is repeated after a crash converges.
    for _ in 0..2 {
        networks(stage).start("lan").await.unwrap();
    }
    wait::expect(&mut events, "its start", is("lan", NetworkEvent::Started)).await;
    let summary = networks(stage).get("lan").await.unwrap();
    assert!(summary.active && summary.problem.is_none() && summary.bridge.is_some(), "{summary:?}");
    networks(stage).stop("lan").await.unwrap();
    wait::expect(&mut events, "its stop", is("lan", NetworkEvent::Stopped)).await;
    networks(stage).undefine("lan").await.unwrap();
    wait::expect(&mut events, "its end", is("lan", NetworkEvent::Undefined)).await;
    assert_eq!(refused(networks(stage).get("lan").await), ErrorCode::NoNetwork);
}

async fn a_wrong_network_is_refused_whole(stage: &mut Stage<'_>) {
    let mut wrong = stage.subject.network("wrong");
    wrong.name.clear();
    assert_eq!(refused(networks(stage).check(&wrong).await), ErrorCode::NoName);
    assert_eq!(refused(networks(stage).define(&wrong).await), ErrorCode::NoName);
    let stored = define(stage, "right").await;
    let mut wrong = stored.clone();
    wrong.name = "right/../wrong".to_owned();
    assert_eq!(refused(networks(stage).define(&wrong).await), ErrorCode::XmlDetail);
    assert_eq!(networks(stage).definition("right").await.unwrap(), stored);
    networks(stage).undefine("right").await.unwrap();
}

async fn a_network_s_name_belongs_to_one_uuid(stage: &mut Stage<'_>) {
    let stored = define(stage, "named").await;
    let mut other = stage.subject.network("named");
    other.uuid = Some(Uuid::new_v4());
    assert!(matches!(
        refused(networks(stage).define(&other).await),
        ErrorCode::NetworkExist | ErrorCode::OperationFailed
    ));
    assert_eq!(networks(stage).definition("named").await.unwrap(), stored);
    networks(stage).undefine("named").await.unwrap();
}

async fn an_active_network_is_not_forgotten(stage: &mut Stage<'_>) {
    let stored = define(stage, "busy").await;
    networks(stage).start("busy").await.unwrap();
    assert_eq!(refused(networks(stage).undefine("busy").await), ErrorCode::OperationInvalid);
    assert_eq!(networks(stage).definition("busy").await.unwrap(), stored);
    end(stage, "busy").await;
}

async fn networks_outlive_the_agent(stage: &mut Stage<'_>) {
    let stored = define(stage, "lasting").await;
    networks(stage).start("lasting").await.unwrap();
    let before = networks(stage).get("lasting").await.unwrap();
    stage.restart().await;
    assert_eq!(networks(stage).definition("lasting").await.unwrap(), stored);
    assert_eq!(networks(stage).get("lasting").await.unwrap(), before, "it goes on without us");
    end(stage, "lasting").await;
}

async fn what_is_unknown_is_no_network(stage: &mut Stage<'_>) {
    let (networks, unknown) = (networks(stage), "there-is-none");
    for (what, code) in [
        ("get", refused(networks.get(unknown).await)),
        ("definition", refused(networks.definition(unknown).await)),
        ("start", refused(networks.start(unknown).await)),
        ("stop", refused(networks.stop(unknown).await)),
        ("undefine", refused(networks.undefine(unknown).await)),
        ("leases", refused(networks.leases(unknown).await)),
    ] {
        assert_eq!(code, ErrorCode::NoNetwork, "{what}");
    }
}

async fn nobody_has_a_lease_at_first(stage: &mut Stage<'_>) {
    define(stage, "quiet").await;
    networks(stage).start("quiet").await.unwrap();
    assert_eq!(networks(stage).leases("quiet").await.unwrap(), []);
    end(stage, "quiet").await;
}

async fn a_guest_gets_one_port_and_holds_the_network(stage: &mut Stage<'_>) {
    define(stage, "plugs").await;
    networks(stage).start("plugs").await.unwrap();
    let owner = Uuid::new_v4();
    let port = networks(stage).create_port("plugs", &request(owner, 1)).await.unwrap();
    assert!(port.tap.len() <= 15, "{}: the kernel takes 15 bytes", port.tap);
    assert_eq!(networks(stage).create_port("plugs", &request(owner, 1)).await.unwrap(), port);
    let other = networks(stage).create_port("plugs", &request(owner, 2)).await.unwrap();
    assert_ne!(other.tap, port.tap);
    let busy = networks(stage).stop("plugs").await.unwrap_err();
    assert_eq!(busy.code, ErrorCode::ResourceBusy);
    assert!(busy.message.contains("guest"), "it names who holds it: {busy}");
    networks(stage).delete_ports(owner, Some(port.mac)).await.unwrap();
    assert_eq!(networks(stage).ports().await.unwrap(), [other]);
    // Twice, as all may be repeated.
    for _ in 0..2 {
        networks(stage).delete_ports(owner, None).await.unwrap();
    }
    end(stage, "plugs").await;
}

async fn ports_need_an_active_network(stage: &mut Stage<'_>) {
    define(stage, "down").await;
    let request = request(Uuid::new_v4(), 1);
    assert_eq!(refused(networks(stage).create_port("down", &request).await), ErrorCode::OperationInvalid);
    assert_eq!(refused(networks(stage).create_port("there-is-none", &request).await), ErrorCode::NoNetwork);
    networks(stage).undefine("down").await.unwrap();
}

async fn ports_outlive_the_agent(stage: &mut Stage<'_>) {
    define(stage, "kept").await;
    networks(stage).start("kept").await.unwrap();
    let owner = Uuid::new_v4();
    let port = networks(stage).create_port("kept", &request(owner, 1)).await.unwrap();
    stage.restart().await;
    assert_eq!(networks(stage).ports().await.unwrap(), [port]);
    networks(stage).delete_ports(owner, None).await.unwrap();
    end(stage, "kept").await;
}
