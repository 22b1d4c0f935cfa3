//! Announcements with a stopwatch.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use super::operation::Operation;
use crate::{Announcements, Channel, Heard, Result};

pub(super) struct Measured {
    inner: Arc<dyn Announcements>,
    announce: Operation,
    listen: Operation,
}

impl Measured {
    pub fn new(inner: Arc<dyn Announcements>, backend: &'static str) -> Self {
        Self {
            inner,
            announce: Operation::new(backend, "announce"),
            listen: Operation::new(backend, "listen"),
        }
    }
}

#[async_trait]
impl Announcements for Measured {
    async fn announce(&self, channel: Channel, message: Bytes) -> Result<()> {
        self.announce.measure(self.inner.announce(channel, message)).await
    }

    async fn listen(&self, channel: Channel) -> Result<BoxStream<'static, Heard>> {
        self.listen.measure(self.inner.listen(channel)).await
    }
}
