//! iceoryx2: publish and subscribe without loss, and an event for each direction if a reader
//! sleeps.

use super::Place;
use crate::messaging::link::{End, Link, pause};
use ::iceoryx2::port::listener::Listener;
use ::iceoryx2::port::notifier::Notifier;
use ::iceoryx2::port::publisher::Publisher;
use ::iceoryx2::port::subscriber::Subscriber;
use ::iceoryx2::port::update_connections::UpdateConnections;
use ::iceoryx2::prelude::*;
use anyhow::anyhow;

pub struct Services {
    publisher: Publisher<ipc::Service, [u8], ()>,
    subscriber: Subscriber<ipc::Service, [u8], ()>,
    events: Option<(Notifier<ipc::Service>, Listener<ipc::Service>)>,
    alone: bool,
    _node: Node<ipc::Service>,
}

/// Its errors do not all have the traits that `anyhow` needs.
fn why(error: impl std::fmt::Debug) -> anyhow::Error {
    anyhow!("iceoryx2: {error:?}")
}

impl Services {
    pub fn open(place: &Place, end: End) -> anyhow::Result<Self> {
        set_log_level(LogLevel::Error);
        let node = NodeBuilder::new().signal_handling_mode(SignalHandlingMode::Disabled);
        let node = node.create::<ipc::Service>().map_err(why)?;
        let name = |kind: &str, direction: usize| {
            let name = format!("hotpool-bench/{kind}/{:x}/{direction}", place.key);
            ServiceName::new(&name).map_err(why)
        };
        let service = |direction: usize| {
            let service = node.service_builder(&name("messages", direction)?).publish_subscribe::<[u8]>();
            let service = service.enable_safe_overflow(false).max_publishers(1).max_subscribers(1);
            let service = service.subscriber_max_buffer_size(place.op.capacity() as usize);
            service.open_or_create().map_err(why)
        };
        let event = |direction: usize| {
            node.service_builder(&name("events", direction)?).event().open_or_create().map_err(why)
        };
        let (out, back) = end.directions();
        let service_out = service(out)?;
        let publisher = service_out.publisher_builder().initial_max_slice_len(place.size);
        let publisher = publisher.backpressure_strategy(BackpressureStrategy::RetryUntilDelivered);
        let publisher = publisher.create().map_err(why)?;
        let subscriber = service(back)?.subscriber_builder().create().map_err(why)?;
        let events = match place.op.blocks() {
            true => {
                let notifier = event(out)?.notifier_builder().create().map_err(why)?;
                Some((notifier, event(back)?.listener_builder().create().map_err(why)?))
            }
            false => None,
        };
        Ok(Services { publisher, subscriber, events, alone: place.alone, _node: node })
    }

    /// Opens the connections of both directions, without which messages are lost.
    pub fn connect(&mut self) -> anyhow::Result<()> {
        self.publisher.update_connections().map_err(why)?;
        self.subscriber.receive().map_err(why)?;
        Ok(())
    }
}

impl Link for Services {
    #[inline]
    fn send(&mut self, message: &[u8]) -> anyhow::Result<()> {
        let sample = self.publisher.loan_slice_uninit(message.len()).map_err(why)?;
        sample.write_from_slice(message).send().map_err(why)?;
        if let Some((notifier, _)) = &self.events {
            notifier.notify().map_err(why)?;
        }
        Ok(())
    }

    #[inline]
    fn receive(&mut self, f: impl FnOnce(&[u8])) -> anyhow::Result<()> {
        loop {
            if let Some(sample) = self.subscriber.receive().map_err(why)? {
                f(sample.payload());
                return Ok(());
            }
            match &self.events {
                Some((_, listener)) => _ = listener.blocking_wait(|_| ()).map_err(why)?,
                None => pause(self.alone),
            }
        }
    }
}
