//! An open test driver.

use std::fmt;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use ostler_driver::{
    Accelerator, Connection, Domains, Error, Events, Feature, HostFacts, Networks, Result, Security, Storage,
};
use ostler_util::ErrorCode;

use crate::fault::Luck;
use crate::world::{ConnectionId, Host, World};
use crate::{Call, Control, Operation, preset};

/// The URI that is shared by all who open it in one process.
const DEFAULT_URI: &str = "test:///default";
/// The URI of a driver of one's own.
const PRIVATE_URI: &str = "test:///private";

/// The test driver, open. Dropping it touches no guest.
pub struct TestDriver {
    pub(crate) host: Arc<Host>,
    id: ConnectionId,
    uri: &'static str,
    features: &'static [Feature],
}

impl fmt::Debug for TestDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestDriver").field("uri", &self.uri).field("id", &self.id).finish_non_exhaustive()
    }
}

impl TestDriver {
    /// Opens `test:///default`: one host for the whole process, with libvirt's domain `test`, its network `default` and its
    /// pool `default-pool`.
    ///
    /// # Errors
    /// `NoConnect` for any other URI.
    pub fn open(uri: &str) -> Result<Self> {
        static DEFAULT: OnceLock<Arc<Host>> = OnceLock::new();
        if uri != DEFAULT_URI {
            return Err(Error::new(ErrorCode::NoConnect, format!("'{uri}' is no host to test on: {DEFAULT_URI} is")));
        }
        let host = DEFAULT.get_or_init(|| Arc::new(Host::new(preset::world())));
        Ok(TestDriver::connect(host.clone(), DEFAULT_URI, Feature::ALL))
    }

    /// Opens a host of one's own, with nothing on it.
    pub fn private() -> Self {
        TestDriver::with_features(Feature::ALL)
    }

    /// The same with fewer features: the calls of all others return `NoSupport`.
    pub fn with_features(features: &'static [Feature]) -> Self {
        TestDriver::connect(Arc::new(Host::new(World::default())), PRIVATE_URI, features)
    }

    fn connect(host: Arc<Host>, uri: &'static str, features: &'static [Feature]) -> Self {
        let id = host.lock().connect();
        TestDriver { host, id, uri, features }
    }

    /// Another connection to the same host.
    pub(crate) fn connect_again(&self) -> Self {
        TestDriver::connect(self.host.clone(), self.uri, self.features)
    }

    /// The other side: what the guests, the host and bad luck do.
    pub fn control(&self) -> Control {
        Control::new(self.host.clone(), self.connect_again())
    }

    /// Whether this call is supported.
    pub(crate) fn has(&self, operation: Operation) -> bool {
        self.features.contains(&operation.feature())
    }

    /// Carries out one call: it is noted, has the luck that a test gave it, and tells its events in one go.
    pub(crate) async fn call<T: Send>(
        &self,
        operation: Operation,
        target: impl ToString + Send,
        act: impl FnOnce(&mut World) -> Result<T> + Send,
    ) -> Result<T> {
        if !self.has(operation) {
            return Err(Error::no_support(self.driver(), operation.name()));
        }
        let call = Call { operation, target: target.to_string() };
        let luck = {
            let mut world = self.host.lock();
            world.check_open(self.id)?;
            let luck = Luck::of(&call, &mut world.faults);
            world.calls.push(call);
            luck
        };
        for hold in luck.holds {
            // Who closes it lets the call go on as well.
            let _ = hold.acquire().await.map(tokio::sync::SemaphorePermit::forget);
        }
        if !luck.delay.is_zero() {
            tokio::time::sleep(luck.delay).await;
        }
        if let Some(error) = luck.before {
            return Err(error);
        }
        let mut world = self.host.lock();
        world.check_open(self.id)?;
        let result = act(&mut world);
        world.deliver();
        match luck.after {
            Some(error) if result.is_ok() => Err(error),
            _ => result,
        }
    }
}

impl Drop for TestDriver {
    fn drop(&mut self) {
        self.host.lock().disconnect(self.id);
    }
}

#[async_trait]
impl Connection for TestDriver {
    fn driver(&self) -> &'static str {
        "test"
    }

    fn uri(&self) -> &str {
        self.uri
    }

    fn features(&self) -> &'static [Feature] {
        self.features
    }

    /// libvirt's test host: 16 CPUs and 3 GiB.
    async fn host(&self) -> Result<HostFacts> {
        let world = self.host.lock();
        world.check_open(self.id)?;
        Ok(HostFacts {
            hostname: "test".into(),
            hypervisor_version: Some("0.0.2".into()),
            cpus: 16,
            memory_bytes: 3 << 30,
            accelerators: vec![Accelerator::Tcg],
            machines: Vec::new(),
        })
    }

    fn events(&self) -> Events {
        self.host.lock().subscribe(self.id)
    }

    fn domains(&self) -> Option<&dyn Domains> {
        Some(self)
    }

    fn networks(&self) -> Option<&dyn Networks> {
        Some(self)
    }

    fn storage(&self) -> Option<&dyn Storage> {
        Some(self)
    }

    fn security(&self) -> Option<&dyn Security> {
        Some(self)
    }

    async fn close(&self) -> Result<()> {
        self.host.lock().disconnect(self.id);
        Ok(())
    }
}
