//! What every driver does with pools and volumes.

use ostler_conf::domain::Owner;
use ostler_conf::{ErrorCode, StorageVolume};
use uuid::Uuid;

use super::{Stage, declare, refused, wait};
use crate::{Event, PoolEvent, Storage, VolumeFill, VolumeOwner, VolumeSummary};

declare! {
    a_pool_is_stored_started_stopped_and_forgotten: [StoragePool];
    a_pool_s_name_belongs_to_one_uuid: [StoragePool];
    a_wrong_pool_is_refused_whole: [StoragePool];
    what_is_unknown_is_no_pool: [StoragePool];
    pools_outlive_the_agent: [StoragePool];
    a_volume_is_made_once_found_and_deleted: [StoragePool, StorageVolume];
    a_volume_of_somebody_else_is_left_alone: [StoragePool, StorageVolume];
    a_volume_is_handed_to_another_with_what_is_in_it: [StoragePool, StorageVolume];
    a_wrong_volume_is_refused_whole: [StoragePool, StorageVolume];
    a_volume_that_another_stands_on_stays: [StoragePool, StorageVolume];
    volumes_need_an_active_pool: [StoragePool, StorageVolume];
    volumes_outlive_the_agent: [StoragePool, StorageVolume];
    a_volume_grows_and_never_shrinks: [StoragePool, StorageVolume, StorageVolumeResize];
}

const MIB: u64 = 1 << 20;

fn storage<'a>(stage: &'a Stage<'_>) -> &'a dyn Storage {
    stage.connection().storage().expect("a driver with storage's features has storage")
}

async fn define(stage: &Stage<'_>, name: &str) -> ostler_conf::StoragePool {
    storage(stage).define_pool(&stage.subject.pool(name)).await.unwrap()
}

async fn active(stage: &Stage<'_>, name: &str) {
    define(stage, name).await;
    storage(stage).start_pool(name).await.unwrap();
}

async fn end(stage: &Stage<'_>, name: &str) {
    for volume in storage(stage).volumes(name).await.unwrap() {
        storage(stage).delete_volume(name, &volume.name).await.unwrap();
    }
    storage(stage).stop_pool(name).await.unwrap();
    storage(stage).undefine_pool(name, true).await.unwrap();
}

fn volume(name: &str, format: &str, mib: u64) -> StorageVolume {
    let text = format!(
        "<volume><name>{name}</name><capacity unit='MiB'>{mib}</capacity>\
         <target><format type='{format}'/></target></volume>"
    );
    ostler_conf::parse::<StorageVolume>(&text).unwrap().strict().unwrap()
}

async fn create(
    stage: &Stage<'_>,
    pool: &str,
    wanted: &StorageVolume,
    owner: impl Into<VolumeOwner>,
    fill: VolumeFill,
) -> crate::Result<VolumeSummary> {
    storage(stage).create_volume(pool, wanted, &owner.into(), fill, None).await
}

fn is(name: &str, wanted: PoolEvent) -> impl Fn(&Event) -> bool {
    move |event| matches!(event, Event::Pool { name: of, event } if of == name && *event == wanted)
}

async fn a_pool_is_stored_started_stopped_and_forgotten(stage: &mut Stage<'_>) {
    let mut events = stage.connection().events();
    let stored = define(stage, "pool").await;
    wait::expect(&mut events, "its definition", is("pool", PoolEvent::Defined)).await;
    assert!(stored.uuid.is_some());
    assert_eq!(storage(stage).pool_definition("pool").await.unwrap(), stored);
    assert_eq!(storage(stage).check_pool(&stored).await.unwrap(), stored, "a completed definition is complete");
    assert_eq!(storage(stage).define_pool(&stored).await.unwrap(), stored, "the same again changes nothing");
    assert!(!storage(stage).pool("pool").await.unwrap().active);
    for _ in 0..2 {
        storage(stage).start_pool("pool").await.unwrap();
    }
    wait::expect(&mut events, "its start", is("pool", PoolEvent::Started)).await;
    let summary = storage(stage).pool("pool").await.unwrap();
    assert!(summary.active && summary.capacity_bytes > 0, "{summary:?}");
    assert_eq!(refused(storage(stage).undefine_pool("pool", true).await), ErrorCode::OperationInvalid);
    for _ in 0..2 {
        storage(stage).stop_pool("pool").await.unwrap();
    }
    wait::expect(&mut events, "its stop", is("pool", PoolEvent::Stopped)).await;
    storage(stage).undefine_pool("pool", true).await.unwrap();
    wait::expect(&mut events, "its end", is("pool", PoolEvent::Undefined)).await;
}

async fn a_pool_s_name_belongs_to_one_uuid(stage: &mut Stage<'_>) {
    let stored = define(stage, "named").await;
    let mut other = stage.subject.pool("named");
    other.uuid = Some(Uuid::new_v4());
    assert_eq!(refused(storage(stage).define_pool(&other).await), ErrorCode::OperationFailed);
    assert_eq!(storage(stage).pool_definition("named").await.unwrap(), stored);
    storage(stage).undefine_pool("named", true).await.unwrap();
}

async fn a_wrong_pool_is_refused_whole(stage: &mut Stage<'_>) {
    let mut wrong = stage.subject.pool("wrong");
    wrong.name.clear();
    assert_eq!(refused(storage(stage).check_pool(&wrong).await), ErrorCode::XmlError);
    assert_eq!(refused(storage(stage).define_pool(&wrong).await), ErrorCode::XmlError);
}

async fn what_is_unknown_is_no_pool(stage: &mut Stage<'_>) {
    let (storage, unknown) = (storage(stage), "there-is-none");
    for (what, code) in [
        ("get", refused(storage.pool(unknown).await)),
        ("definition", refused(storage.pool_definition(unknown).await)),
        ("start", refused(storage.start_pool(unknown).await)),
        ("stop", refused(storage.stop_pool(unknown).await)),
        ("undefine", refused(storage.undefine_pool(unknown, false).await)),
        ("volumes", refused(storage.volumes(unknown).await)),
    ] {
        assert_eq!(code, ErrorCode::NoStoragePool, "{what}");
    }
}

async fn pools_outlive_the_agent(stage: &mut Stage<'_>) {
    let stored = define(stage, "lasting").await;
    stage.restart().await;
    assert_eq!(storage(stage).pool_definition("lasting").await.unwrap(), stored);
    storage(stage).start_pool("lasting").await.unwrap();
    end(stage, "lasting").await;
}

async fn a_volume_is_made_once_found_and_deleted(stage: &mut Stage<'_>) {
    active(stage, "pool").await;
    let owner = Uuid::new_v4();
    for format in ["raw", "qcow2"] {
        let made = create(stage, "pool", &volume(format, format, 8), owner, VolumeFill::Empty).await.unwrap();
        assert_eq!((made.capacity_bytes, made.format.as_str(), made.owner), (8 * MIB, format, Some(owner)));
        let again = create(stage, "pool", &volume(format, format, 8), owner, VolumeFill::Empty).await.unwrap();
        assert_eq!(again, made, "the same wish of the same owner is the same volume");
        assert_eq!(storage(stage).volume("pool", format).await.unwrap(), made);
        let resolved = storage(stage).resolve("pool", format).await.unwrap();
        assert_eq!((&resolved.path, resolved.format.as_str(), resolved.backing.len()), (&made.path, format, 0));
    }
    let names: Vec<String> = storage(stage).volumes("pool").await.unwrap().into_iter().map(|v| v.name).collect();
    assert_eq!(names, ["qcow2", "raw"], "by name");
    storage(stage).delete_volume("pool", "raw").await.unwrap();
    for code in [
        refused(storage(stage).delete_volume("pool", "raw").await),
        refused(storage(stage).volume("pool", "raw").await),
        refused(storage(stage).resolve("pool", "raw").await),
    ] {
        assert_eq!(code, ErrorCode::NoStorageVol);
    }
    end(stage, "pool").await;
}

async fn a_volume_of_somebody_else_is_left_alone(stage: &mut Stage<'_>) {
    active(stage, "pool").await;
    let (one, other) = (Uuid::new_v4(), Uuid::new_v4());
    let made = create(stage, "pool", &volume("disk", "raw", 8), one, VolumeFill::Empty).await.unwrap();
    let wish = create(stage, "pool", &volume("disk", "raw", 16), other, VolumeFill::Empty).await;
    assert_eq!(refused(wish), ErrorCode::StorageVolExist);
    assert_eq!(storage(stage).volume("pool", "disk").await.unwrap(), made);
    end(stage, "pool").await;
}

async fn a_volume_is_handed_to_another_with_what_is_in_it(stage: &mut Stage<'_>) {
    active(stage, "pool").await;
    let mark = |uid: &str| {
        let (id, namespace, name) = ("cluster".to_owned(), "shop".to_owned(), "disk".to_owned());
        Some(Owner { id, namespace, name, uid: uid.to_owned(), claim: None, spec: None })
    };
    let [one, other] = ["one", "other"].map(|uid| VolumeOwner { uuid: Uuid::new_v4(), mark: mark(uid) });
    let (wanted, empty) = (volume("disk", "qcow2", 8), || VolumeFill::Empty);
    // What was made before there were marks gets one.
    let unmarked = create(stage, "pool", &wanted, one.uuid, empty()).await.unwrap();
    assert_eq!((unmarked.owner, &unmarked.mark), (Some(one.uuid), &None));
    let made = create(stage, "pool", &wanted, one.clone(), empty()).await.unwrap();
    assert_eq!(made, VolumeSummary { mark: one.mark.clone(), ..unmarked });
    let again = create(stage, "pool", &wanted, one.uuid, empty()).await.unwrap();
    assert_eq!(again, made, "who knows less takes nothing off");

    let handed = storage(stage).adopt_volume("pool", "disk", &other).await.unwrap();
    assert_eq!(handed, VolumeSummary { owner: Some(other.uuid), mark: other.mark.clone(), ..made });
    let back = create(stage, "pool", &wanted, one, empty()).await;
    assert_eq!(refused(back), ErrorCode::StorageVolExist, "it is not the first one's any more");
    stage.restart().await;
    storage(stage).start_pool("pool").await.unwrap();
    assert_eq!(create(stage, "pool", &wanted, other.clone(), empty()).await.unwrap(), handed);
    assert_eq!(refused(storage(stage).adopt_volume("pool", "none", &other).await), ErrorCode::NoStorageVol);
    end(stage, "pool").await;
}

async fn a_wrong_volume_is_refused_whole(stage: &mut Stage<'_>) {
    active(stage, "pool").await;
    let owner = Uuid::new_v4();
    let mut outside = volume("disk", "raw", 8);
    outside.name = "../disk".to_owned();
    assert_eq!(refused(create(stage, "pool", &outside, owner, VolumeFill::Empty).await), ErrorCode::XmlError);
    let backing = VolumeFill::Backing { volume: "there-is-none".to_owned() };
    let above = create(stage, "pool", &volume("above", "qcow2", 8), owner, backing).await;
    assert_eq!(refused(above), ErrorCode::NoStorageVol);
    assert_eq!(storage(stage).volumes("pool").await.unwrap(), []);
    end(stage, "pool").await;
}

async fn a_volume_that_another_stands_on_stays(stage: &mut Stage<'_>) {
    active(stage, "pool").await;
    let owner = Uuid::new_v4();
    let base = create(stage, "pool", &volume("base", "raw", 8), owner, VolumeFill::Empty).await.unwrap();
    let backing = || VolumeFill::Backing { volume: "base".to_owned() };
    let small = create(stage, "pool", &volume("small", "qcow2", 4), owner, backing()).await;
    assert_eq!(refused(small), ErrorCode::InvalidArg, "what stands on another is not smaller");
    let above = create(stage, "pool", &volume("above", "qcow2", 16), owner, backing()).await.unwrap();
    assert_eq!((above.capacity_bytes, above.backing.as_ref()), (16 * MIB, Some(&base.path)));
    let resolved = storage(stage).resolve("pool", "above").await.unwrap();
    assert_eq!(resolved.backing, [(base.path, "raw".to_owned())]);
    let busy = storage(stage).delete_volume("pool", "base").await.unwrap_err();
    assert_eq!(busy.code, ErrorCode::ResourceBusy);
    assert!(busy.message.contains("above"), "it names what stands on it: {busy}");
    storage(stage).delete_volume("pool", "above").await.unwrap();
    end(stage, "pool").await;
}

async fn volumes_need_an_active_pool(stage: &mut Stage<'_>) {
    define(stage, "down").await;
    let made = create(stage, "down", &volume("disk", "raw", 8), Uuid::new_v4(), VolumeFill::Empty).await;
    assert_eq!(refused(made), ErrorCode::OperationInvalid);
    assert_eq!(refused(storage(stage).volumes("down").await), ErrorCode::OperationInvalid);
    storage(stage).undefine_pool("down", true).await.unwrap();
}

async fn volumes_outlive_the_agent(stage: &mut Stage<'_>) {
    active(stage, "pool").await;
    let made = create(stage, "pool", &volume("disk", "qcow2", 8), Uuid::new_v4(), VolumeFill::Empty).await.unwrap();
    stage.restart().await;
    storage(stage).start_pool("pool").await.unwrap();
    assert_eq!(storage(stage).volume("pool", "disk").await.unwrap(), made);
    end(stage, "pool").await;
}

async fn a_volume_grows_and_never_shrinks(stage: &mut Stage<'_>) {
    active(stage, "pool").await;
    for format in ["raw", "qcow2"] {
        create(stage, "pool", &volume(format, format, 8), Uuid::new_v4(), VolumeFill::Empty).await.unwrap();
        let grown = storage(stage).resize_volume("pool", format, 16 * MIB).await.unwrap();
        assert_eq!(grown.capacity_bytes, 16 * MIB);
        let shrunk = storage(stage).resize_volume("pool", format, 8 * MIB).await;
        assert_eq!(refused(shrunk), ErrorCode::InvalidArg);
        assert_eq!(storage(stage).volume("pool", format).await.unwrap().capacity_bytes, 16 * MIB);
    }
    assert_eq!(refused(storage(stage).resize_volume("pool", "none", MIB).await), ErrorCode::NoStorageVol);
    end(stage, "pool").await;
}
