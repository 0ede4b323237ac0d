use ostler_crds::HostSpec;
use proptest::prelude::*;

use super::*;

fn host(name: &str, memory: i64) -> Candidate {
    Candidate {
        name: name.into(),
        labels: BTreeMap::from([("zone".to_owned(), name.to_owned())]),
        drivers: vec!["qemu".into()],
        closed: None,
        allow: Vec::new(),
        room: Room { cpu_milli: 4_000, memory_bytes: memory },
    }
}

fn wish(memory: i64) -> Wish {
    Wish { needs: Room { cpu_milli: 100, memory_bytes: memory }, ..Wish::default() }
}

fn named(host: &str) -> Placement {
    Placement { host: Some(host.into()), host_selector: None }
}

fn selected(value: &str) -> Placement {
    let match_labels = BTreeMap::from([("zone".to_owned(), value.to_owned())]);
    Placement { host: None, host_selector: Some(HostSelector { match_labels }) }
}

fn check(wish: &Wish, hosts: &[Candidate], expected: Result<&str, &str>) {
    assert_eq!(place(wish, hosts), expected.map_err(str::to_owned));
}

#[test]
fn the_host_with_the_most_room_is_taken_and_of_equals_the_first() {
    check(&wish(10), &[host("a", 20), host("b", 30)], Ok("b"));
    check(&wish(10), &[host("b", 30), host("a", 30)], Ok("a"));
}

#[test]
fn a_guest_that_fits_exactly_fits() {
    check(&wish(10), &[host("a", 10)], Ok("a"));
    check(&wish(11), &[host("a", 10)], Err("no host of 1 can take it: 1 without enough free memory"));
}

#[test]
fn a_guest_goes_where_what_it_reaches_is_allowed() {
    let allowing = |name: &str, namespaces: &[&str]| {
        let namespaces = namespaces.iter().map(|name| (*name).to_owned()).collect();
        Candidate { allow: vec![Allowed { name: Grant::HostPaths, namespaces }], ..host(name, 50) }
    };
    let guest = Wish { reaches: [(Grant::HostPaths, "shop".to_owned())].into(), ..wish(10) };
    check(&guest, &[host("a", 90), allowing("b", &[]), allowing("c", &["lab"])], Ok("b"));
    check(&guest, &[host("a", 90), allowing("c", &["lab", "shop"])], Ok("c"));
    check(
        &guest,
        &[host("a", 90), allowing("c", &["lab"])],
        Err("no host of 2 can take it: 2 whose Host's spec.allow does not list 'hostpaths' for namespace shop"),
    );
}

#[test]
fn cpus_count_too() {
    let guest = Wish { needs: Room { cpu_milli: 4_001, memory_bytes: 0 }, ..Wish::default() };
    check(&guest, &[host("a", 10)], Err("no host of 1 can take it: 1 without enough free CPUs"));
}

#[test]
fn placement_names_or_selects() {
    let hosts = [host("a", 20), host("b", 30)];
    check(&Wish { placements: vec![named("a")], ..wish(10) }, &hosts, Ok("a"));
    check(&Wish { placements: vec![selected("a")], ..wish(10) }, &hosts, Ok("a"));
    check(&Wish { placements: vec![named("c")], ..wish(10) }, &hosts, Err("there is no host c"));
    let both = Wish { placements: vec![named("a"), selected("b")], ..wish(10) };
    check(
        &both,
        &hosts,
        Err("no host of 2 can take it: 1 not the host that placement names, 1 without the labels of hostSelector"),
    );
}

#[test]
fn a_guest_goes_where_its_volumes_are() {
    let hosts = [host("a", 20), host("b", 30)];
    let bound =
        |hosts: &[&str]| hosts.iter().map(|host| ((*host).to_owned(), format!("the volume on-{host}"))).collect();
    check(&Wish { bound: bound(&["a"]), ..wish(10) }, &hosts, Ok("a"));
    let message = "no host of 2 can take it: 1 without the volume on-a, which is on another host, 1 without the volume on-b, which is on another host";
    check(&Wish { bound: bound(&["a", "b"]), ..wish(10) }, &hosts, Err(message));
}

#[test]
fn a_driver_must_be_there() {
    let mut bare = host("a", 20);
    bare.drivers.clear();
    check(&wish(10), &[bare], Err("no host of 1 can take it: 1 without any driver"));
    let guest = Wish { driver: Some("lxc".into()), ..wish(10) };
    check(&guest, &[host("a", 20)], Err("no host of 1 can take it: 1 without the driver lxc"));
}

#[test]
fn a_closed_host_takes_nothing_and_says_why() {
    let closed = |name: &str, why: Refusal| Candidate { closed: Some(why), ..host(name, 50) };
    let hosts =
        [closed("a", Refusal::Cordoned), closed("b", Refusal::Tainted("gpu".into())), closed("c", Refusal::Cordoned)];
    check(&wish(10), &hosts, Err("no host of 3 can take it: 2 cordoned, 1 tainted gpu"));
    check(&wish(10), &[closed("a", Refusal::Cordoned), host("b", 10)], Ok("b"));
    check(&wish(10), &[], Err("there is no host: no node runs an agent"));
}

#[test]
fn unreachable_is_not_fenced() {
    let node = Node::default();
    let out_of_service = Node { out_of_service: true, ..Node::default() };
    let tainted = Node { taints: vec!["node.kubernetes.io/unreachable".into()], ..Node::default() };
    let said = HostSpec { fenced: true, ..HostSpec::default() };
    let remote = HostSpec { uris: vec!["esx://vc".into()], ..HostSpec::default() };
    let plain = HostSpec::default();
    let cases = [
        (Some(&node), &plain, None),
        (Some(&tainted), &plain, None),
        (Some(&out_of_service), &plain, Some("NodeOutOfService")),
        (Some(&node), &said, Some("Spec")),
        (None, &plain, Some("NodeDeleted")),
        (None, &remote, None),
    ];
    for (node, host, expected) in cases {
        assert_eq!(fence(node, host), expected, "{node:?} {host:?}");
    }
}

fn any_host() -> impl Strategy<Value = Candidate> {
    let closed = prop_oneof![3 => Just(None), 1 => Just(Some(Refusal::Cordoned))];
    let drivers = prop::sample::subsequence(vec!["qemu".to_owned(), "lxc".to_owned()], 0..=2);
    ("[a-e]", -5_i64..50, -500_i64..5_000, closed, drivers).prop_map(|(name, memory, cpus, closed, drivers)| {
        Candidate { closed, drivers, room: Room { cpu_milli: cpus, memory_bytes: memory }, ..host(&name, memory) }
    })
}

fn any_wish() -> impl Strategy<Value = Wish> {
    let placement = prop_oneof!["[a-f]".prop_map(|name| named(&name)), "[a-f]".prop_map(|zone| selected(&zone))];
    let bound = prop::collection::btree_map("[a-f]", Just("v".to_owned()), 0..2);
    let driver = prop_oneof![Just(None), Just(Some("qemu".to_owned())), Just(Some("uml".to_owned()))];
    (0_i64..50, 0_i64..4_000, driver, prop::collection::vec(placement, 0..2), bound).prop_map(
        |(memory_bytes, cpu_milli, driver, placements, bound)| Wish {
            needs: Room { cpu_milli, memory_bytes },
            driver,
            placements,
            bound,
            reaches: BTreeSet::new(),
        },
    )
}

proptest! {
    /// Written the other way round: a host is right if each of its qualities is.
    #[test]
    fn what_is_chosen_may_and_can_take_the_guest_and_none_is_missed(wish in any_wish(), mut hosts in prop::collection::vec(any_host(), 0..6)) {
        hosts.sort_by(|one, other| one.name.cmp(&other.name));
        hosts.dedup_by(|one, other| one.name == other.name);
        let is_right = |host: &Candidate| {
            host.closed.is_none()
                && host.room.memory_bytes >= wish.needs.memory_bytes
                && host.room.cpu_milli >= wish.needs.cpu_milli
                && wish.driver.as_ref().map_or(!host.drivers.is_empty(), |driver| host.drivers.contains(driver))
                && wish.bound.keys().all(|bound| *bound == host.name)
                && allowed(&wish.placements, std::iter::once((host.name.as_str(), host.labels.clone()))).len() == 1
        };
        match place(&wish, &hosts) {
            Ok(chosen) => {
                let chosen = hosts.iter().find(|host| host.name == chosen).unwrap();
                prop_assert!(is_right(chosen));
                let best = hosts.iter().filter(|host| is_right(host)).map(|host| host.room.memory_bytes).max();
                prop_assert_eq!(Some(chosen.room.memory_bytes), best);
            }
            Err(message) => {
                prop_assert!(!hosts.iter().any(is_right), "{}", message);
            }
        }
    }

    #[test]
    fn the_order_of_the_hosts_does_not_matter(wish in any_wish(), mut hosts in prop::collection::vec(any_host(), 0..6)) {
        hosts.sort_by(|one, other| one.name.cmp(&other.name));
        hosts.dedup_by(|one, other| one.name == other.name);
        let forward = place(&wish, &hosts).map(str::to_owned);
        hosts.reverse();
        prop_assert_eq!(forward, place(&wish, &hosts).map(str::to_owned));
    }
}
